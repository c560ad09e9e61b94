"""Losses. Each returns one float32 value per example or token, whatever the input dtype; the caller averages."""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import Array


def one_hot(labels: Array, classes: int, smoothing: float = 0.0) -> Array:
    """Turn labels (B,) integer into probabilities (B, classes) float32.

    smoothing: the share of the probability that is spread evenly over all classes, that of the label included
    (Szegedy et al. 2015, arXiv 1512.00567, section 7).
    """
    return (1 - smoothing) * jax.nn.one_hot(labels, classes) + smoothing / classes


def cross_entropy(logits: Array, labels: Array) -> Array:
    """-Σ_k labels_k · log softmax(logits)_k, in nats.

    logits, labels: (B, classes); labels are probabilities that sum to one, so they may be smoothed or mixed.
    """
    log_probabilities = jax.nn.log_softmax(logits.astype(jnp.float32))
    return -jnp.sum(labels.astype(jnp.float32) * log_probabilities, axis=-1)


def token_cross_entropy(logits: Array, tokens: Array, smoothing: float | Array = 0.0) -> Array:
    """-log softmax(logits)[token], in nats: logits (..., V), tokens (...) integer -> (...) float32.

    It equals `cross_entropy` with labels `one_hot(tokens, V, smoothing)`, but never builds them: V may be large.
    """
    logits = logits.astype(jnp.float32)
    unsmoothed = isinstance(smoothing, int | float) and smoothing == 0  # a swept value is an array, inside jit
    log_total = jax.nn.logsumexp(logits, axis=-1)
    own = jnp.take_along_axis(logits, tokens[..., None], axis=-1)[..., 0]
    return log_total - (1 - smoothing) * own - (0.0 if unsmoothed else smoothing * logits.mean(-1))


def nt_xent(first: Array, second: Array, temperature: float, mask: Array | None = None) -> tuple[Array, Array]:
    """Normalized temperature-scaled cross entropy (Chen et al. 2020, arXiv 2002.05709, equation 1, Algorithm 1).

    first, second: (B, P), the projections of two views of the same B images. mask: (B,), 0 for images to ignore as
    negatives. Return (loss, accuracy), both (B,) float32, means over the two views of an image. The loss is -log of the
    softmax of cosine / temperature over the 2B - 1 other views, at the view of the same image; the accuracy says
    whether that view is the nearest. Negatives come from the whole batch, also where it is sharded among devices.
    """
    size = len(first)
    similarity = _cosines(jnp.concatenate([first, second]))  # (2B, 2B)
    row = jnp.arange(2 * size)
    partner = (row + size) % (2 * size)
    others = row[:, None] != row[None, :]
    if mask is not None:
        others &= (jnp.tile(mask, 2) > 0)[None, :] | (partner[:, None] == row[None, :])
    similarity = jnp.where(others, similarity, -jnp.inf)
    loss = token_cross_entropy(similarity / temperature, partner)
    own = jnp.take_along_axis(similarity, partner[:, None], axis=-1)
    # A tie does not count: a network that maps all views to one point has learned nothing.
    nearest = jnp.sum(similarity >= own, axis=-1) == 1
    return loss.reshape(2, size).mean(0), nearest.astype(jnp.float32).reshape(2, size).mean(0)


def _cosines(z: Array) -> Array:
    """Return the cosines (N, N) float32 of z (N, P). Zero vectors have cosine 0, and finite gradients."""
    z = z.astype(jnp.float32)
    z = z * jax.lax.rsqrt(jnp.maximum(jnp.sum(jnp.square(z), axis=-1, keepdims=True), 1e-12))
    return jnp.matmul(z, z.T, precision="highest")


def mean_squared_error(predictions: Array, targets: Array) -> Array:
    """Mean of (predictions - targets)² over every axis but the first; both (B, ...)."""
    error = predictions.astype(jnp.float32) - targets.astype(jnp.float32)
    return jnp.mean(jnp.square(error), axis=tuple(range(1, error.ndim)))


def squared_error_of_signs(outputs: Array, labels: Array) -> Array:
    """Mean over the classes of (outputs - targets)², where the target is 1 for the label's class and -1 for others.

    outputs, labels: (B, classes); labels are probabilities p, for which the target is 2p - 1. It is the loss of nets
    whose outputs are tanh units (LeCun et al. 1989, doi:10.1162/neco.1989.1.4.541).
    """
    return mean_squared_error(outputs, 2 * labels.astype(jnp.float32) - 1)


def hinge(logits: Array, labels: Array) -> Array:
    """Σ_k (1 - labels_k) · max(0, 1 - (own - logits_k)), own = Σ_k labels_k · logits_k.

    logits, labels: (B, classes); labels are probabilities. For one-hot labels it is the multi-class hinge loss of
    Weston and Watkins 1999 (Support vector machines for multi-class pattern recognition, ESANN), with margin 1.
    """
    logits, labels = logits.astype(jnp.float32), labels.astype(jnp.float32)
    own = jnp.sum(labels * logits, axis=-1, keepdims=True)
    return jnp.sum((1 - labels) * jax.nn.relu(1 - own + logits), axis=-1)


def gaussian_nll(mean: Array, log_variance: Array, targets: Array) -> Array:
    """-log N(targets; mean, exp(log_variance)), summed over every axis but the first; all (B, ...).

    It is ½ Σ [log 2π + log σ² + (y - μ)² / σ²] in nats (Nix and Weigend 1994, eq. 1), with the constant. Predicting
    log σ² keeps the variance positive without a constraint.
    """
    mean, log_variance, targets = (a.astype(jnp.float32) for a in (mean, log_variance, targets))
    terms = math.log(2 * math.pi) + log_variance + jnp.square(targets - mean) * jnp.exp(-log_variance)
    return 0.5 * jnp.sum(terms, axis=tuple(range(1, terms.ndim)))


def minimax_discriminator(real: Array, fake: Array) -> Array:
    """-log D(x) - log(1 - D(G(z))), in nats; logits (B,) of real and of generated images, D = sigmoid(logit).

    The discriminator of Goodfellow et al. 2014 (arXiv 1406.2661) minimizes it: it is minus equation 1.
    """
    return jax.nn.softplus(-real.astype(jnp.float32)) + jax.nn.softplus(fake.astype(jnp.float32))


def minimax_generator(fake: Array) -> Array:
    """log(1 - D(G(z))), in nats, of logits (B,): the generator's part of equation 1 (Goodfellow et al. 2014)."""
    return -jax.nn.softplus(fake.astype(jnp.float32))


def non_saturating_generator(fake: Array) -> Array:
    """-log D(G(z)), in nats, of logits (B,): section 3 of Goodfellow et al. 2014.

    Its gradient does not vanish where the discriminator is confident.
    """
    return jax.nn.softplus(-fake.astype(jnp.float32))


def hinge_discriminator(real: Array, fake: Array) -> Array:
    """max(0, 1 - D(x)) + max(0, 1 + D(G(z))) of logits (B,): Miyato et al. 2018 (arXiv 1802.05957), equation 16."""
    return jax.nn.relu(1 - real.astype(jnp.float32)) + jax.nn.relu(1 + fake.astype(jnp.float32))


def wasserstein_critic(real: Array, fake: Array) -> Array:
    """f(G(z)) - f(x) of the critic's outputs (B,): minus equation 2 of Arjovsky et al. 2017 (arXiv 1701.07875).

    It bounds the Wasserstein distance only while the slope of f is at most 1: see `gradient_penalty`.
    """
    return fake.astype(jnp.float32) - real.astype(jnp.float32)


def critic_generator(fake: Array) -> Array:
    """-f(G(z)) of outputs (B,): Arjovsky et al. 2017, Algorithm 1, and the hinge loss (Miyato et al. 2018, eq. 17)."""
    return -fake.astype(jnp.float32)


def gradient_penalty(critic: Callable[[Array], Array], x: Array) -> Array:
    """(|grad f(x)| - 1)² of each example of x (B, ...); the critic maps (B, ...) to (B,).

    Gulrajani et al. 2017 (arXiv 1704.00028), equation 3. The gradient is taken for each example by itself, so the
    critic must not mix the examples of a batch, as batch normalization does (section 4).
    """
    gradients = jax.grad(lambda x: jnp.sum(critic(x)))(x).astype(jnp.float32)
    squares = jnp.sum(jnp.square(gradients), axis=tuple(range(1, x.ndim)))
    # The root has no derivative at 0: a critic that is flat at x would turn the whole update into NaN.
    norms = jnp.where(squares > 0, jnp.sqrt(jnp.where(squares > 0, squares, 1.0)), 0.0)
    return jnp.square(norms - 1)


def huber(errors: Array) -> Array:
    """½ e² where |e| ≤ 1, else |e| - ½ (Huber 1964). Its gradient is the error, clipped to -1..1."""
    size = jnp.abs(errors)
    return jnp.where(size <= 1, 0.5 * jnp.square(errors), size - 0.5)


def squared(errors: Array) -> Array:
    """e², not halved."""
    return jnp.square(errors)
