"""The pair of Goodfellow et al. 2014 on digits, its layers narrower.

Run:     zoo train digits_gan
Expect:  not run yet
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
