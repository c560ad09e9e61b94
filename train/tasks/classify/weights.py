"""Class weights: how much the examples of each class count in the training loss of a classifier."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array

from train.algorithms import losses
from train.config import Classify
from train.core import Mean
from zoo.errors import UserError


class Weighting(NamedTuple):
    """The weights of the classes, and what to tell the user of them."""

    weights: np.ndarray | None  # float32 (classes,); None: all examples count alike
    remarks: tuple[str, ...] = ()


def weighting(task: Classify, labels: Callable[[], np.ndarray], names: Sequence[str]) -> Weighting:
    """Return the weights that a config asks for. labels: returns those of the training split, integer (N,).

    Raises UserError for another number of weights than classes.
    """
    asked = task.class_weights
    if asked is None:
        return Weighting(None)
    if asked == "balanced":
        weights = balanced(labels(), names)
    elif len(asked) != len(names):
        raise UserError(f"task.class_weights has {len(asked)} numbers, and there are {len(names)} classes")
    else:
        weights = np.array(asked, np.float32)
    low, high = int(weights.argmin()), int(weights.argmax())
    range_ = f"{weights[low]:.3g} ({names[low]}) to {weights[high]:.3g} ({names[high]})"
    return Weighting(weights, (f"class weights {range_} in the training loss; validation and test are not weighted",))


def balanced(labels: np.ndarray, names: Sequence[str]) -> np.ndarray:
    """Return n / (classes * count of the class), float32 (classes,): all classes then count alike together.

    Raises UserError for a class without examples, whose weight would be infinite.
    """
    counts = np.bincount(labels, minlength=len(names))
    if not counts.all():
        name = names[int(counts.argmin())]
        raise UserError(
            f"task.class_weights balanced: the class {name!r} has no training example; give the weights as numbers"
        )
    return (len(labels) / (len(names) * counts)).astype(np.float32)


def weighted_mean(
    loss: Callable[[Array, Array], Array], logits: Array, labels: Array, weights: Array, smoothing: float | Array
) -> Mean:
    """Return the loss of a batch as the weighted sum over its examples, and the sum of their weights.

    labels (B, C): probabilities, smoothed by `smoothing` and perhaps mixed. An example weighs as much as its class; one
    that is mixed of two, as much as its parts. Cross-entropy is linear in the labels, and each of its terms has the
    weight of its own class: this is torch.nn.CrossEntropyLoss(weight, label_smoothing) with reduction="mean". Without
    smoothing, and for other losses, the loss of an example is multiplied by its weight.
    """
    unsmoothed = (labels - smoothing / labels.shape[-1]) / (1 - smoothing)
    weight = jnp.sum(unsmoothed * weights, axis=-1)
    if loss is losses.cross_entropy:
        total = jnp.sum(loss(logits, labels * weights))
    else:
        total = jnp.sum(loss(logits, labels) * weight)
    # A batch in which no example weighs anything has the loss 0.
    return Mean(total, jnp.maximum(weight.sum(), 1e-12))
