"""Perceptron (Rosenblatt 1958) on digits: one linear layer.

Run:     zoo train digits_perceptron
Expect:  not yet run
"""

from train.config import Data, Experiment, Model, Optim

CONFIG = Experiment(
    model=Model("perceptron"),
    data=Data("digits", batch=64),
    optim=Optim("adam", lr=1e-2, schedule="cosine", warmup_steps=50),
    steps=1_200,
    eval_every_steps=100,
    smoke={"steps": 2, "eval_every_steps": 2, "data": {"batch": 8}, "optim": {"warmup_steps": 1}},
)
