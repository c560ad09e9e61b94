"""A small vision transformer (Dosovitskiy et al. 2020) on digits, 16 patches of 2×2.

Run:     zoo train digits_vit
Expect:  95.5 % of 359 test images, one seed, 89 s with compiling, beside other work;
         two cores of an x86-64 machine, jax 0.10.2, 2026-11-28
"""

from train.config import Data, Experiment, Model, Optim

CONFIG = Experiment(
    model=Model("vit_mini_patch2", {"width": 64, "depth": 4}),
    data=Data("digits", batch=64),
    optim=Optim("adamw", lr=3e-3, schedule="cosine", warmup_steps=50, weight_decay=0.05),
    steps=1_200,
    eval_every_steps=100,
    smoke={"steps": 2, "eval_every_steps": 2, "data": {"batch": 8}, "optim": {"warmup_steps": 1}},
)
