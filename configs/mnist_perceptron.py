"""Perceptron (Rosenblatt 1958) on MNIST: one linear layer, 10 epochs.

Run:     zoo train mnist_perceptron
Expect:  not yet run
"""

from train.config import Data, Experiment, Model, Optim

CONFIG = Experiment(
    model=Model("perceptron"),
    data=Data("mnist", batch=128),
    optim=Optim("adam", lr=1e-3, schedule="cosine"),
    steps=4_210,
    eval_every_steps=421,
    smoke={"steps": 2, "eval_every_steps": 2, "data": {"batch": 4}},
)
