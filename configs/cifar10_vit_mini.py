"""A small vision transformer on CIFAR-10, 64 patches of 4×4, from nothing: 200 epochs with mixup and cutmix.

Recipe: close to that of Hassani et al. 2021 (arXiv:2104.05704) for ViT-Lite on CIFAR.
Run:     zoo train cifar10_vit_mini
Expect:  larger nets of patch 4 reach 78.4 % (UvA deep learning tutorial 15) and 80 % in 200 epochs (kentaroy47);
         not yet run
"""

from train.config import Classify, Data, Experiment, Model, Optim

CONFIG = Experiment(
    model=Model("vit_mini_patch4"),
    data=Data("cifar10", batch=128, augment=("pad_crop_4", "flip", "mixup_0.2", "cutmix_1")),
    optim=Optim("adamw", lr=1e-3, weight_decay=0.05, schedule="cosine", warmup_steps=3_510, clip_norm=1.0),
    task=Classify(label_smoothing=0.1),
    steps=70_200,
    eval_every_steps=1_755,
    smoke={"steps": 2, "eval_every_steps": 2, "data": {"batch": 4}, "optim": {"warmup_steps": 1}},
)
