"""Losses, one value per example or token, float32 whatever the input dtype; averaging is the caller's."""

import math

import jax
import jax.numpy as jnp
from jax import Array


def one_hot(labels: Array, classes: int, smoothing: float = 0.0) -> Array:
    """Labels (B,) integer -> probabilities (B, classes) float32.

    `smoothing` is the share of each label's probability that is spread evenly over all classes, its
    own included (Szegedy et al. 2015, arXiv 1512.00567, section 7).
    """
    return (1 - smoothing) * jax.nn.one_hot(labels, classes) + smoothing / classes


def cross_entropy(logits: Array, labels: Array) -> Array:
    """-Σ_k labels_k · log softmax(logits)_k, in nats.

    logits, labels: (B, classes); labels are probabilities that sum to one, so they may be smoothed or mixed.
    """
    log_probabilities = jax.nn.log_softmax(logits.astype(jnp.float32))
    return -jnp.sum(labels.astype(jnp.float32) * log_probabilities, axis=-1)


def token_cross_entropy(logits: Array, tokens: Array, smoothing: float = 0.0) -> Array:
    """-log softmax(logits)[token], in nats: logits (..., V), tokens (...) integer -> (...) float32.

    The same as `cross_entropy` with labels `one_hot(tokens, V, smoothing)`, which are never made: V may be large.
    """
    logits = logits.astype(jnp.float32)
    log_total = jax.nn.logsumexp(logits, axis=-1)
    own = jnp.take_along_axis(logits, tokens[..., None], axis=-1)[..., 0]
    return log_total - (1 - smoothing) * own - (smoothing * logits.mean(-1) if smoothing else 0.0)


def mean_squared_error(predictions: Array, targets: Array) -> Array:
    """Mean of (predictions - targets)² over every axis but the first; both (B, ...)."""
    error = predictions.astype(jnp.float32) - targets.astype(jnp.float32)
    return jnp.mean(jnp.square(error), axis=tuple(range(1, error.ndim)))


def gaussian_nll(mean: Array, log_variance: Array, targets: Array) -> Array:
    """-log N(targets; mean, exp(log_variance)), summed over every axis but the first; all (B, ...).

    ½ Σ [log 2π + log σ² + (y - μ)² / σ²], with its constant, in nats (Nix and Weigend 1994, eq. 1). Predicting
    log σ² keeps the variance positive without a constraint.
    """
    mean, log_variance, targets = (a.astype(jnp.float32) for a in (mean, log_variance, targets))
    terms = math.log(2 * math.pi) + log_variance + jnp.square(targets - mean) * jnp.exp(-log_variance)
    return 0.5 * jnp.sum(terms, axis=tuple(range(1, terms.ndim)))


def huber(errors: Array) -> Array:
    """½ e² up to 1 and |e| - ½ beyond (Huber 1964): its gradient is the error, clipped to -1..1."""
    size = jnp.abs(errors)
    return jnp.where(size <= 1, 0.5 * jnp.square(errors), size - 0.5)


def squared(errors: Array) -> Array:
    """e², as it stands: not halved."""
    return jnp.square(errors)
