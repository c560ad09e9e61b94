"""A small U-Net (Ronneberger et al. 2015): where is the whole digit, and which is it, on composed scenes.

Run:     zoo train scenes_unet
Expect:  the row of docs/lines.md
"""

from train.config import Experiment, Model, Optim, Scenes, Segment

CONFIG = Experiment(
    model=Model("unet_mini"),
    data=Scenes("scenes/segment", size=32, batch=32),
    optim=Optim("adam", lr=3e-3, schedule="cosine", warmup_steps=50),
    steps=3_000,
    eval_every_steps=300,
    task=Segment(),
    smoke={"steps": 2, "eval_every_steps": 2, "data": {"batch": 8}, "optim": {"warmup_steps": 1}},
)
