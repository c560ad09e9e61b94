"""ResNet-20 (He et al. 2015) on digits.

Run:     zoo train digits_resnet20
Expect:  99.4 % of 359 test images, one seed, 50 s with compiling;
         two cores of a shared x86-64 machine, jax 0.10.2, 2026-11-28
"""

from train.config import Data, Experiment, Model, Optim

CONFIG = Experiment(
    model=Model("resnet20"),
    data=Data("digits", batch=64),
    optim=Optim("adam", lr=3e-3, schedule="cosine", warmup_steps=50),
    steps=1_200,
    eval_every_steps=100,
    smoke={"steps": 2, "eval_every_steps": 2, "data": {"batch": 8}, "optim": {"warmup_steps": 1}},
)
