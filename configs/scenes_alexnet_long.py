"""The small AlexNet of the 2012 paper's Figure 1, on composed scenes, until validation stops rising.

Run:     zoo train scenes_alexnet_long
Expect:  the row of docs/lines.md, where it stands too how the number of steps was chosen
"""

from train.config import Experiment, Model, Optim, Scenes

CONFIG = Experiment(
    model=Model("alexnet_cifar"),
    data=Scenes(batch=64),
    optim=Optim("adam", lr=1e-2, schedule="cosine", warmup_steps=50),
    steps=7_200,
    eval_every_steps=900,
    budget="until validation stops rising",
    smoke={"steps": 2, "eval_every_steps": 2, "data": {"batch": 8}, "optim": {"warmup_steps": 1}},
)
