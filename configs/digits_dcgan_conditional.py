"""DCGAN (Radford et al. 2015) on digits, told the label as in Mirza and Osindero 2014, 8 pixels in two stages.

Run:     zoo train digits_dcgan_conditional
         zoo sample runs/digits_dcgan_conditional --label 3
Expect:  97.8 % of made images have the label told, by digits_lenet5; in its features Fréchet distance 0.617
         (0.575 between training and test images), precision 0.914, recall 0.869; Parzen log-likelihood
         31.4 ± 0.7 nats (σ = 0.129); 199 s while others computed, one seed, cpu, 2 cores, shared, jax 0.10.2,
         2026-11-24
"""

from train.config import Adversarial, Data, Experiment, Model, Optim

CONFIG = Experiment(
    model=Model("dcgan_28", {"base": 2, "widths": (64, 32), "latent": 32}),
    data=Data("digits", batch=64),
    task=Adversarial(conditional=True),
    optim=Optim("adam", lr=2e-4, b1=0.5, ema=0.99),
    steps=3_000,
    eval_every_steps=250,
    smoke={"steps": 2, "eval_every_steps": 2, "data": {"batch": 8}},
)
