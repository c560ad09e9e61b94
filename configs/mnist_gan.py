"""The pair of Goodfellow et al. 2014 on MNIST: rectified generator, maxout discriminator with dropout.

Run:     zoo train mnist_gan
         zoo judge runs/mnist_gan
Expect:  not run yet
"""

from train.config import Adversarial, Data, Experiment, Model, Optim

CONFIG = Experiment(
    model=Model("gan"),
    data=Data("mnist", batch=100),
    task=Adversarial(),
    optim=Optim("adam", lr=2e-4, b1=0.5, ema=0.999),
    steps=10_800,
    eval_every_steps=540,
    smoke={"steps": 2, "eval_every_steps": 2, "data": {"batch": 8}},
)
