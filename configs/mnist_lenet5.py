"""LeNet-5 on MNIST padded to 32 pixels as in the 1998 paper, with a modern optimizer, 20 epochs.

Run:     zoo train mnist_lenet5
Expect:  99.29 % test accuracy, mean of 3 seeds (standard deviation 0.05), 3.5 to 6 minutes each;
         one core of a shared 2-core x86-64 machine, jax 0.10.2, 2026-11-23.
         LeCun et al. 1998 give 99.2 % with distorted training images, 99.05 % without (section III.B)
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
