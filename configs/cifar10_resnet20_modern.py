"""ResNet-20 on CIFAR-10 in about an hour on a laptop: one-cycle rate (Smith 2017), Nesterov momentum, 18 epochs.

Run:     zoo train cifar10_resnet20_modern
Expect:  85.92 % test accuracy on a JPEG copy of the set, one seed, 52 minutes; a shared 2-core x86-64 machine,
         jax 0.10.2, 2026-11-23 (stopped and resumed once)
"""

from train.config import Classify, Data, Experiment, Model, Optim

CONFIG = Experiment(
    model=Model("resnet20"),
    data=Data("cifar10", batch=128, augment=("pad_crop_4", "flip"), validation=0.04),
    optim=Optim("nesterov", lr=0.2, weight_decay=5e-4, schedule="one_cycle"),
    task=Classify(label_smoothing=0.05),
    steps=6_750,
    eval_every_steps=375,
    smoke={"steps": 2, "eval_every_steps": 2, "data": {"batch": 4}},
)
