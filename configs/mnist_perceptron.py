"""Perceptron (Rosenblatt 1958) on MNIST: one linear layer, 10 epochs.

Run:     zoo train mnist_perceptron
Expect:  92.58 % test accuracy, mean of 3 seeds (standard deviation 0.02), 4 to 7 s each;
         one core of a shared 2-core x86-64 machine, jax 0.10.2, 2026-11-23
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
