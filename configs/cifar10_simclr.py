"""SimCLR (Chen et al. 2020) on CIFAR-10 with a small encoder on a laptop.

Recipe: appendix B.9: crops, flips, colours of strength 0.5, no blur, temperature 0.5. Departs: the encoder is a ResNet
        of three blocks at half the resolution, batches are of 256, Adam stands for LARS, 6 epochs for 1,000.
Run:     zoo train cifar10_simclr
         zoo probe runs/cifar10_simclr
Expect:  46.69 % test accuracy of a linear classifier on the frozen features, 47.14 % of nearest neighbours, against
         34.91 % and 33.32 % of the network as it began, in 7 minutes; one seed; on a JPEG copy of the set (cpu, one
         core beside other work, jax 0.10.2, 2026-11-28). With 1 % of the labels, fine-tuned from the features of 895 of
         these steps, 42.18 % (standard deviation 0.51) against 39.62 % (0.65) from scratch, 3 seeds (2026-11-24). For
         10 % see cifar10_few_labels
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
