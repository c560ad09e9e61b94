"""LeCun et al. 1989 on as many digits as there were then: 7,291 of MNIST in 16x16, one at a time, 23 passes.

Recipe: section 4, mean squared error of tanh outputs to 1 and -1, examples always in the same order. Departs: MNIST for
        zip codes; plain gradient descent at a rate that validation chose, where the paper has a diagonal of second
        derivatives; the test split is all 10,000 of MNIST, where the paper has 2,007.
Run:     zoo train mnist_lecun1989
Expect:  errors 0.95 % in training (61 to 88 of 7,291) and 4.18 % in test (3.93 to 4.43), 5 seeds of 1 min (cpu, 1 core
         of x86-64, jax 0.10.2, 2026-11-29); the paper has 10 (0.14 %) in training and 102 of 2,007 (5.0 %) in test
"""

from train.config import Classify, Data, Experiment, Model, Optim

DIGITS = 7_291
CONFIG = Experiment(
    model=Model("lecun1989"),
    data=Data(
        "mnist", batch=1, image_size=16, mean=(0.5,), std=(0.5,), labels=(DIGITS + 0.5) / 54_000, order="constant"
    ),  # paper is -1 and ink 1
    task=Classify(loss="mse_signs"),
    optim=Optim("sgd", lr=0.03),
    steps=23 * DIGITS,
    eval_every_steps=DIGITS,
    smoke={"steps": 2, "eval_every_steps": 2, "data": {"batch": 4}},
)
