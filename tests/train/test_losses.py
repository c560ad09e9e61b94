import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats
from scipy.special import log_softmax

from train.losses import cross_entropy, gaussian_nll, mean_squared_error, one_hot

RNG = np.random.default_rng(0)


def test_one_hot_spreads_the_smoothed_share_over_all_classes():
    np.testing.assert_allclose(one_hot(jnp.array([2, 0]), 4), [[0, 0, 1, 0], [1, 0, 0, 0]])
    np.testing.assert_allclose(one_hot(jnp.array([2]), 4, 0.2), [[0.05, 0.05, 0.85, 0.05]], rtol=1e-6)


def test_cross_entropy_is_its_formula_on_soft_labels():
    logits, labels = RNG.normal(size=(5, 7)), RNG.dirichlet(np.ones(7), size=5)
    expected = -(labels * log_softmax(logits, axis=-1)).sum(-1)
    np.testing.assert_allclose(cross_entropy(jnp.array(logits), jnp.array(labels)), expected, rtol=1e-5)


def test_cross_entropy_and_its_gradient_are_finite_on_huge_logits():
    labels = one_hot(jnp.array([1]), 2)
    loss, gradient = jax.value_and_grad(lambda z: cross_entropy(z, labels)[0])(jnp.array([[1e6, -1e6]]))
    np.testing.assert_allclose(loss, 2e6)
    np.testing.assert_allclose(gradient, [[1, -1]])


def test_mean_squared_error_averages_all_but_the_batch():
    predictions, targets = RNG.normal(size=(2, 3, 4, 5))
    expected = ((predictions - targets) ** 2).mean((1, 2))
    np.testing.assert_allclose(mean_squared_error(jnp.array(predictions), jnp.array(targets)), expected, rtol=1e-5)


def test_gaussian_nll_is_minus_the_log_density():
    mean, log_variance, targets = RNG.normal(size=(3, 4, 2))
    expected = -stats.norm.logpdf(targets, mean, np.exp(log_variance / 2)).sum(-1)
    loss = gaussian_nll(jnp.array(mean), jnp.array(log_variance), jnp.array(targets))
    np.testing.assert_allclose(loss, expected, rtol=1e-5)


@pytest.mark.parametrize("loss", [cross_entropy, mean_squared_error, lambda a, b: gaussian_nll(a, a, b)])
def test_one_float32_value_per_example_whatever_the_input(loss):
    out = loss(jnp.ones((6, 3), jnp.bfloat16), jnp.ones((6, 3), jnp.bfloat16))
    assert out.shape == (6,)
    assert out.dtype == jnp.float32
