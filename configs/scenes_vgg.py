"""A small VGG (Simonyan and Zisserman 2014), on composed scenes.

Run:     zoo train scenes_vgg
Expect:  not measured yet
"""

from train.config import Experiment, Model, Optim, Scenes

CONFIG = Experiment(
    model=Model("vgg_mini", {"grid": 2}),  # maps of 16x16 pixels are 2x2 after three poolings
    data=Scenes(batch=64),
    optim=Optim("adam", lr=1e-3, schedule="cosine", warmup_steps=50),
    steps=800,
    eval_every_steps=100,
    budget="800 steps of 64",
    smoke={"steps": 2, "eval_every_steps": 2, "data": {"batch": 8}, "optim": {"warmup_steps": 1}},
)
