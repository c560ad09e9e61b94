"""Adversarial training as a way of learning."""

from train.config import Adversarial, Data
from train.config.ways import Way

ADVERSARIAL = Way(
    name="adversarial",
    config=Adversarial,
    setups={Data: "train.tasks.adversarial.setup:assemble"},
    metrics=("pixel_frechet", "disc_loss", "gen_loss", "real_accuracy", "fake_accuracy", "distance"),
    best="pixel_frechet",
    compared_by="pixel_frechet",
    judged_by=("data.image_size", "data.fit", "data.decode"),  # its distance is one of pixels
    check="train.tasks.adversarial.check:check",
    early_stopping=False,
)
