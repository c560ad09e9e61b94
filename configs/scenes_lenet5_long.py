"""LeNet-5 (LeCun et al. 1998), on composed scenes, until validation stops rising.

Run:     zoo train scenes_lenet5_long
Input:   the same scenes, enlarged to the 32 pixels that the net is made for
Expect:  the row of docs/lines.md, where it stands too how the number of steps was chosen
"""

from train.config import Experiment, Model, Optim, Scenes

CONFIG = Experiment(
    model=Model("lenet5"),
    data=Scenes(batch=64, image_size=32),
    optim=Optim("adam", lr=3e-3, schedule="cosine", warmup_steps=50),
    steps=7_200,
    eval_every_steps=900,
    budget="until validation stops rising",
    smoke={"steps": 2, "eval_every_steps": 2, "data": {"batch": 8}, "optim": {"warmup_steps": 1}},
)
