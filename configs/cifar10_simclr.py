"""SimCLR (Chen et al. 2020) on CIFAR-10 with a small encoder on a laptop.

Recipe: appendix B.9: crops, flips, colours of strength 0.5, no blur, temperature 0.5. Departs: the encoder is a ResNet
        of three blocks at half the resolution, batches are of 256, Adam stands for LARS, 6 epochs for 1,000.
Run:     zoo train cifar10_simclr
         zoo probe runs/cifar10_simclr
Expect:  not yet run to its end; stopped after 895 of the 1,050 steps (5 minutes of processor time) 46.61 % test
         accuracy of a linear classifier on the frozen features, 46.48 % of nearest neighbours, against 34.96 % and
         33.32 % of the network as it began; with 1 % of the labels, fine-tuned, 42.18 % (standard deviation 0.51)
         against 39.62 % (0.65) from scratch, 3 seeds; on a JPEG copy of the set, one seed of this run; a shared 2-core
         x86-64 machine, jax 0.10.2, 2026-11-24
"""

from train.config import Contrast, Data, Experiment, Model, Optim

CONFIG = Experiment(
    model=Model(
        "simclr_resnet20",
        {"fields": {"depths": (1, 1, 1), "widths": (16, 32, 64), "stem_stride": 2}, "widths": (64, 64)},
    ),
    data=Data("cifar10", batch=256, augment=("resized_crop_32", "flip", "color_0.5", "grey_0.2")),
    optim=Optim("adam", lr=2e-3, weight_decay=1e-6, schedule="cosine", warmup_steps=100),
    task=Contrast(temperature=0.5),
    steps=1_050,
    eval_every_steps=175,
    smoke={"steps": 2, "eval_every_steps": 2, "data": {"batch": 8}, "optim": {"warmup_steps": 1}},
)
