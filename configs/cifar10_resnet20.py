"""ResNet-20 on CIFAR-10 as the paper trains it: 64,000 steps, 45,000 examples, 5,000 for validation.

Recipe: He et al. 2015, section 4.2. Departs: normalized by channel; the paper subtracts the mean of each pixel.
Run:     zoo train cifar10_resnet20
Expect:  91.25 % test accuracy (paper, Table 6); not yet run
"""

from train.config import Data, Experiment, Model, Optim

CONFIG = Experiment(
    model=Model("resnet20"),
    data=Data("cifar10", batch=128, augment=("pad_crop_4", "flip"), validation=0.1),
    optim=Optim("momentum", lr=0.1, weight_decay=1e-4, schedule="steps", decay_at=(32_000, 48_000)),
    steps=64_000,
    eval_every_steps=1_000,
    smoke={"steps": 3, "eval_every_steps": 3, "data": {"batch": 4}, "optim": {"decay_at": (1, 2)}},
)
