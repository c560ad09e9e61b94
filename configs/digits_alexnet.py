"""The small AlexNet of the 2012 paper's Figure 1 on digits.

Run:     zoo train digits_alexnet
Expect:  97.8 % of 359 test images, one seed (2026-11-29); 21 s with compiling (2026-11-28);
         two cores of a shared x86-64 machine, jax 0.10.2
"""

from train.config import Data, Experiment, Model, Optim

CONFIG = Experiment(
    model=Model("alexnet_cifar"),
    data=Data("digits", batch=64),
    optim=Optim("adam", lr=1e-3, schedule="cosine", warmup_steps=50),
    steps=1_200,
    eval_every_steps=100,
    smoke={"steps": 2, "eval_every_steps": 2, "data": {"batch": 8}, "optim": {"warmup_steps": 1}},
)
