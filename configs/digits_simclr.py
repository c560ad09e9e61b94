"""SimCLR (Chen et al. 2020) on digits: features without a single label.

Recipe: shifts for crops, as an image has 8 pixels on a side, and dark squares on them; no flips, which change digits.
Run:     zoo train digits_simclr
         zoo probe runs/digits_simclr
Expect:  97.77 % test accuracy of a linear classifier on the frozen features of the best checkpoint, 96.10 % of nearest
         neighbours; 89 s, one seed; a 2-core x86-64 machine, jax 0.10.2, 2026-11-24. (A linear classifier on the
         pixels themselves has 97.21 %: digits are too easy to show what SimCLR is for; mnist_simclr is not.)
         These figures are from before cutout filled with the mean.
"""

from train.config import Contrast, Data, Experiment, Model, Optim

CONFIG = Experiment(
    model=Model(
        "simclr_resnet20",
        {"fields": {"depths": (1, 1, 1), "widths": (16, 32, 64)}, "widths": (64, 64)},
    ),
    data=Data("digits", batch=128, augment=("shift_1", "cutout_3", "blur_0.5")),
    optim=Optim("adam", lr=2e-3, schedule="cosine", warmup_steps=50),
    task=Contrast(temperature=0.5),
    steps=800,
    eval_every_steps=100,
    smoke={"steps": 2, "eval_every_steps": 2, "data": {"batch": 8}, "optim": {"warmup_steps": 1}},
)
