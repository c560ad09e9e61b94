"""Accuracy: which predictions are right."""

import jax
import jax.numpy as jnp
from jax import Array


def is_correct(logits: Array, labels: Array) -> Array:
    """Return where the label has the largest logit: logits (..., C), labels (...) integer -> (...) bool.

    Of equal logits the first counts. A row with NaN or infinity predicts nothing, so it is wrong.
    """
    return (logits.argmax(-1) == labels) & _is_finite(logits)


def is_among_top(logits: Array, labels: Array, k: int) -> Array:
    """Return where the label is one of the k classes with the largest logits: (...) bool.

    There are exactly k of them: of equal logits the first count. A row with NaN or infinity is wrong.
    """
    own = jnp.take_along_axis(logits, labels[..., None], axis=-1)
    is_before = jax.lax.broadcasted_iota(labels.dtype, logits.shape, logits.ndim - 1) < labels[..., None]
    rank = jnp.sum((logits > own) | ((logits == own) & is_before), axis=-1)
    return (rank < k) & _is_finite(logits)


def _is_finite(logits: Array) -> Array:
    """Return where a row has neither NaN nor +inf; a logit of -inf only says that a class is out of the question.

    Every logit is compared, because on a CPU a compiled maximum may pass over NaN.
    """
    return (logits < jnp.inf).all(-1)
