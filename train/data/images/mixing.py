"""Mixing of images by one of two augmentations. In a file of its own, so that other results do not depend on it."""

import jax
import jax.numpy as jnp
from jax import Array

from train.data.images.augment import Operation, augment

NAME = "mixup_or_cutmix"


def mixup_or_cutmix(key: Array, x: Array, labels: Array, alpha: float) -> tuple[Array, Array]:
    """Mix each image by `mixup` with this alpha or, as often, by `cutmix` with alpha 1.

    Touvron et al. 2020, arXiv:2012.12877, Table 9; their code draws one of the two for a whole batch.
    """
    choice_key, mixup_key, cutmix_key = jax.random.split(key, 3)
    mixed = augment((Operation("mixup", alpha),), mixup_key, x, labels)
    pasted = augment((Operation("cutmix", 1.0),), cutmix_key, x, labels)
    first = jax.random.bernoulli(choice_key, shape=(len(x),))
    images, targets = (
        jnp.where(first.reshape(-1, *(1,) * (a.ndim - 1)), a, b) for a, b in zip(mixed, pasted, strict=True)
    )
    return images, targets
