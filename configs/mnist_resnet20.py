"""ResNet-20 on MNIST, its first convolution striding to 14 pixels so that it runs on a laptop, 6 epochs.

Run:     zoo train mnist_resnet20
Expect:  99.57 % test accuracy, mean of 3 seeds (standard deviation 0.03), 11 to 12.5 minutes each beside other work;
         one core of a shared 2-core x86-64 machine, jax 0.10.2, 2026-11-23
"""

from train.config import Data, Experiment, Model, Optim

CONFIG = Experiment(
    model=Model("resnet20", {"stem_stride": 2}),
    data=Data("mnist", batch=128, augment=("shift_2",)),
    optim=Optim("nesterov", lr=0.2, weight_decay=5e-4, schedule="one_cycle"),
    steps=2_526,
    eval_every_steps=421,
    smoke={"steps": 2, "eval_every_steps": 2, "data": {"batch": 4}},
)
