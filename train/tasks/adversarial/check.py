"""Checks of an adversarial experiment that need no data."""

import dataclasses

import zoo
from train.config import Adversarial, Data, Experiment
from train.data.images.augment import parse
from train.tasks.setup import require_able
from zoo.errors import UserError

PREFIXES = ("gen/", "disc/")  # of parameter paths: which of the two networks
UNFIT = ("mixup", "cutmix", "cutout")  # augmentations after which an image is no longer one that could be real
RESIZING = ("crop", "resized_crop")  # augmentations that decide the size of an image


def check(experiment: Experiment) -> None:
    """Raise UserError for whatever can be seen to be wrong before data are read."""
    task, data, optim = experiment.task, experiment.data, experiment.optim
    assert isinstance(task, Adversarial)
    assert isinstance(data, Data)
    require_pair(experiment.model.name)
    if task.gen_lr is not None and optim.final_lr > task.gen_lr:
        raise UserError(f"optim.final_lr must be at most task.gen_lr {task.gen_lr}, not {optim.final_lr}")
    if task.critic_steps > 1 and optim.accumulate > 1:
        raise UserError("optim.accumulate needs task.critic_steps 1: each counts updates of the discriminator")
    for pattern in (*optim.freeze, *optim.rates):
        if not pattern.startswith(PREFIXES):
            raise UserError(f"optim.freeze and optim.rates begin with gen/ or disc/ for a pair, not {pattern!r}")
    if unfit := [name for name in data.augment if name.startswith(UNFIT)]:
        raise UserError(f"data.augment {unfit[0]!r} makes images that are none: the pair would learn to make such")
    parse(data.augment)
    if data.image_size and not any(name.startswith(RESIZING) for name in data.augment):
        require_size(experiment, data.image_size, data.image_size, "data.image_size is")


def require_pair(model: str) -> None:
    """Raise UserError unless the model is a generator and a discriminator."""
    require_able(model, is_pair, "make images from noise")


def is_pair(card: zoo.Card) -> bool:
    """Whether the model of `card` is a generator and a discriminator."""
    return hasattr(card.module, "generate") and hasattr(card.module, "discriminate")


def require_size(experiment: Experiment, height: int, width: int, whose: str) -> None:
    """Raise UserError unless the model makes images of this size, or can be given any.

    whose: how the message introduces the size: "mnist has", "data.image_size is".
    """
    config = zoo.create(experiment.model.name, **experiment.model.fields).cfg
    takes_any = "shape" in {field.name for field in dataclasses.fields(config)}
    if takes_any or config.shape[:2] == (height, width):
        return
    rows, columns = config.shape[:2]
    given = f"{height}x{width}" if whose.endswith("has") else str(height)
    remedy = f"set data.image_size={rows}, or model.base and model.widths"
    raise UserError(f"{experiment.model.name} makes images of {rows}x{columns}, and {whose} {given}: {remedy}")
