"""LeNet-5 on MNIST padded to 32 pixels as in the 1998 paper, with a modern optimizer, 20 epochs.

Run:     zoo train mnist_lenet5
Expect:  not yet run
"""

from train.config import Data, Experiment, Model, Optim

CONFIG = Experiment(
    model=Model("lenet5"),
    data=Data("mnist", batch=128, image_size=32, fit="pad", augment=("shift_2",)),
    optim=Optim("adam", lr=3e-3, schedule="cosine"),
    steps=8_420,
    eval_every_steps=421,
    smoke={"steps": 2, "eval_every_steps": 2, "data": {"batch": 4}},
)
