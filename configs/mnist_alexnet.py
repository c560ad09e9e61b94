"""The small AlexNet of the 2012 paper's Figure 1 on MNIST, 6 epochs.

Run:     zoo train mnist_alexnet
Expect:  not yet recorded
"""

from train.config import Data, Experiment, Model, Optim

CONFIG = Experiment(
    model=Model("alexnet_cifar"),
    data=Data("mnist", batch=128, augment=("shift_2",)),
    optim=Optim("adam", lr=1e-3, schedule="cosine", warmup_steps=421),
    steps=2_526,
    eval_every_steps=421,
    smoke={"steps": 2, "eval_every_steps": 2, "data": {"batch": 4}, "optim": {"warmup_steps": 1}},
)
