"""ResNet-20 on CIFAR-10 in an hour on a laptop: one-cycle learning rate (Smith 2017), Nesterov momentum, 12 epochs.

Run:     zoo train cifar10_resnet20_modern
Expect:  not yet run
"""

from train.config import Data, Experiment, Model, Optim

CONFIG = Experiment(
    model=Model("resnet20"),
    data=Data("cifar10", batch=128, augment=("pad_crop_4", "flip"), validation=0.04),
    optim=Optim("nesterov", lr=0.2, weight_decay=5e-4, schedule="one_cycle"),
    label_smoothing=0.05,
    steps=4_500,
    eval_every_steps=375,
    smoke={"steps": 2, "eval_every_steps": 2, "data": {"batch": 4}},
)
