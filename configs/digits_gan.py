"""The pair of Goodfellow et al. 2014 on digits, its layers narrower.

Run:     zoo train digits_gan
Expect:  all 10 classes; Fréchet distance 1.92 (0.575 between training and test images), precision 0.805,
         recall 0.891 in the features of digits_lenet5; Parzen log-likelihood 20.3 ± 0.5 nats (σ = 0.167);
         145 s while others computed, one seed, cpu, 2 cores, shared, jax 0.10.2, 2026-11-24
"""

from train.config import Adversarial, Data, Experiment, Model, Optim

CONFIG = Experiment(
    model=Model("gan", {"latent": 32, "widths": (256, 256), "units": (64, 64), "pieces": 3}),
    data=Data("digits", batch=64),
    task=Adversarial(),
    optim=Optim("adam", lr=1e-3, b1=0.5, ema=0.99),
    steps=10_000,
    eval_every_steps=1_000,
    smoke={"steps": 2, "eval_every_steps": 2, "data": {"batch": 8}},
)
