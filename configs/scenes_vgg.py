"""A small VGG (Simonyan and Zisserman 2014), on composed scenes.

Run:     zoo train scenes_vgg
Expect:  93.7 % of 5,026 test scenes (92.2 to 95.0 over the 359 digits), seed 100, at the only rate that was tried;
         59 s of one core of a shared x86-64 machine, jax 0.10.2, 2026-11-29
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
