"""DCGAN (Radford et al. 2015) on CIFAR-10: its recipe at half the width, 32 pixels, 25 epochs.

Run:     zoo train cifar10_dcgan
Expect:  not run to its end yet
"""

from train.config import Adversarial, Data, Experiment, Model, Optim

CONFIG = Experiment(
    model=Model("dcgan_32"),
    data=Data("cifar10", batch=128, augment=("flip",)),
    task=Adversarial(),
    optim=Optim("adam", lr=2e-4, b1=0.5),
    steps=8_775,
    eval_every_steps=351,
    smoke={"steps": 2, "eval_every_steps": 2, "data": {"batch": 4}},
)
