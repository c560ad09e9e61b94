"""A small vision transformer on MNIST, 16 patches of 7×7, 12 epochs.

Run:     zoo train mnist_vit_mini
Expect:  99.14 % test accuracy, mean of 3 seeds (standard deviation 0.11), 8 minutes each beside other work;
         one core of a shared 2-core x86-64 machine, jax 0.10.2, 2026-11-23, before the table of positions decayed
"""

from train.config import Data, Experiment, Model, Optim

CONFIG = Experiment(
    model=Model("vit_mini_patch4", {"patch": 7, "width": 64, "depth": 4}),
    data=Data("mnist", batch=128, augment=("shift_2",)),
    optim=Optim("adamw", lr=3e-3, weight_decay=0.05, schedule="cosine", warmup_steps=421),
    steps=5_052,
    eval_every_steps=421,
    smoke={"steps": 2, "eval_every_steps": 2, "data": {"batch": 4}, "optim": {"warmup_steps": 1}},
)
