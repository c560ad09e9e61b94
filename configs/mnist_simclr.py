"""SimCLR (Chen et al. 2020) on MNIST with a small encoder on a laptop.

Recipe: appendix B.9 without flips, which change digits, and without colours, of which there are none. Departs: the
        encoder is a ResNet of three blocks at half the resolution, Adam stands for LARS.
Run:     zoo train mnist_simclr
         zoo probe runs/mnist_simclr
Expect:  97.25 % test accuracy of a linear classifier on the frozen features, 96.39 % of nearest neighbours, against
         68.59 % and 72.73 % of the network as it began; with 1 % of the labels, fine-tuned, 97.05 % (standard
         deviation 0.24) against 96.53 % (0.20) from scratch, 3 seeds; one seed of this run, 7 minutes of processor
         time (48 of the clock beside much other work); a shared 2-core x86-64 machine, jax 0.10.2, 2026-11-24
"""

from train.config import Contrast, Data, Experiment, Model, Optim

CONFIG = Experiment(
    model=Model(
        "simclr_resnet20",
        {"fields": {"depths": (1, 1, 1), "widths": (16, 32, 64), "stem_stride": 2}, "widths": (64, 64)},
    ),
    data=Data("mnist", batch=256, augment=("resized_crop_28", "blur_0.5")),
    optim=Optim("adam", lr=2e-3, weight_decay=1e-6, schedule="cosine", warmup_steps=100),
    task=Contrast(temperature=0.5),
    steps=1_680,
    eval_every_steps=210,
    smoke={"steps": 2, "eval_every_steps": 2, "data": {"batch": 8}, "optim": {"warmup_steps": 1}},
)
