"""The weighted loss of a classifier and its gradient against torch.nn.CrossEntropyLoss."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from train.algorithms import losses
from train.tasks.classify.weights import weighted_mean

torch = pytest.importorskip("torch")


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_class_weights_are_those_of_torch(smoothing: float) -> None:
    draw = np.random.default_rng(0)
    logits, labels = draw.normal(size=(32, 7)).astype(np.float32), draw.integers(0, 7, 32)
    weights = draw.uniform(0.1, 5, 7).astype(np.float32)

    def loss(logits: jax.Array) -> jax.Array:
        hot = losses.one_hot(jnp.asarray(labels), 7, smoothing)
        mean = weighted_mean(losses.cross_entropy, logits, hot, weights[None], smoothing)
        return mean.total / mean.count

    theirs = torch.tensor(logits, requires_grad=True)
    expected = torch.nn.CrossEntropyLoss(torch.tensor(weights), label_smoothing=smoothing)(theirs, torch.tensor(labels))
    expected.backward()
    value, gradient = jax.value_and_grad(loss)(jnp.asarray(logits))
    np.testing.assert_allclose(value, expected.item(), rtol=1e-5)
    np.testing.assert_allclose(gradient, theirs.grad.numpy(), rtol=1e-4, atol=1e-7)
