"""The small AlexNet of Figure 1 on CIFAR-10: ReLU units, no regularization of any kind, 20 epochs.

Recipe: Krizhevsky et al. 2012, section 3.1; the paper gives neither batch nor rate, so both are chosen here.
Run:     zoo train cifar10_alexnet
Expect:  25 % training error six times sooner than with --model.activation tanh (paper, Figure 1); not yet run
"""

from train.config import Data, Experiment, Model, Optim

CONFIG = Experiment(
    model=Model("alexnet_cifar"),
    data=Data("cifar10", batch=128),
    optim=Optim("momentum", lr=0.01),
    steps=7_020,
    eval_every_steps=351,
    smoke={"steps": 2, "eval_every_steps": 2, "data": {"batch": 4}},
)
