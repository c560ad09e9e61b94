"""The small AlexNet of the 2012 paper's Figure 1, on composed scenes.

Run:     zoo train scenes_alexnet
Expect:  the row of docs/lines.md, where it stands too how the rate of every net was chosen
"""

from train.config import Experiment, Model, Optim, Scenes

CONFIG = Experiment(
    model=Model("alexnet_cifar"),
    data=Scenes(batch=64),
    optim=Optim("adam", lr=1e-2, schedule="cosine", warmup_steps=50),
    steps=800,
    eval_every_steps=100,
    budget="800 steps of 64",
    smoke={"steps": 2, "eval_every_steps": 2, "data": {"batch": 8}, "optim": {"warmup_steps": 1}},
)
