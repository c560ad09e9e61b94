"""DCGAN (Radford et al. 2015) on MNIST: its recipe at half the width and 28 pixels.

Run:     zoo train mnist_dcgan
         zoo judge runs/mnist_dcgan
Expect:  not run yet
"""

from train.config import Adversarial, Data, Experiment, Model, Optim

CONFIG = Experiment(
    model=Model("dcgan_28"),
    data=Data("mnist", batch=64),
    task=Adversarial(),
    optim=Optim("adam", lr=2e-4, b1=0.5),
    steps=2_500,
    eval_every_steps=250,
    smoke={"steps": 2, "eval_every_steps": 2, "data": {"batch": 8}},
)
