import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats
from scipy.special import log_softmax

from train.algorithms import losses
from train.algorithms.losses import cross_entropy, gaussian_nll, hinge, mean_squared_error, one_hot

RNG = np.random.default_rng(0)
nt_xent = jax.jit(losses.nt_xent)


def test_one_hot_spreads_the_smoothed_share_over_all_classes():
    np.testing.assert_allclose(one_hot(jnp.array([2, 0]), 4), [[0, 0, 1, 0], [1, 0, 0, 0]])
    np.testing.assert_allclose(one_hot(jnp.array([2]), 4, 0.2), [[0.05, 0.05, 0.85, 0.05]], rtol=1e-6)


def test_a_swept_smoothing_is_that_number():
    logits, tokens = jnp.array(RNG.normal(size=(3, 7)), jnp.float32), jnp.array([1, 0, 6])
    swept = jax.jit(losses.token_cross_entropy)
    for smoothing in (0.0, 0.1):
        expected = losses.token_cross_entropy(logits, tokens, smoothing)
        np.testing.assert_allclose(swept(logits, tokens, jnp.float32(smoothing)), expected, rtol=1e-6)
        np.testing.assert_allclose(cross_entropy(logits, one_hot(tokens, 7, smoothing)), expected, rtol=1e-5)


def test_cross_entropy_is_its_formula_on_soft_labels():
    logits, labels = RNG.normal(size=(5, 7)), RNG.dirichlet(np.ones(7), size=5)
    expected = -(labels * log_softmax(logits, axis=-1)).sum(-1)
    np.testing.assert_allclose(cross_entropy(jnp.array(logits), jnp.array(labels)), expected, rtol=1e-5)


def test_cross_entropy_and_its_gradient_are_finite_on_huge_logits():
    labels = one_hot(jnp.array([1]), 2)
    loss, gradient = jax.value_and_grad(lambda z: cross_entropy(z, labels)[0])(jnp.array([[1e6, -1e6]]))
    np.testing.assert_allclose(loss, 2e6)
    np.testing.assert_allclose(gradient, [[1, -1]])


def test_hinge_counts_what_is_within_the_margin_of_every_other_class():
    logits, y = RNG.normal(size=(5, 4)), RNG.integers(0, 4, 5)
    expected = [
        sum(max(0, 1 - row[own] + row[k]) for k in range(4) if k != own) for row, own in zip(logits, y, strict=True)
    ]
    np.testing.assert_allclose(hinge(jnp.array(logits), one_hot(jnp.array(y), 4)), expected, rtol=1e-5)
    assert hinge(jnp.array([[2.0, 0.9, 1.0]]), one_hot(jnp.array([0]), 3)) == 0


def test_mean_squared_error_averages_all_but_the_batch():
    predictions, targets = RNG.normal(size=(2, 3, 4, 5))
    expected = ((predictions - targets) ** 2).mean((1, 2))
    np.testing.assert_allclose(mean_squared_error(jnp.array(predictions), jnp.array(targets)), expected, rtol=1e-5)


def test_gaussian_nll_is_minus_the_log_density():
    mean, log_variance, targets = RNG.normal(size=(3, 4, 2))
    expected = -stats.norm.logpdf(targets, mean, np.exp(log_variance / 2)).sum(-1)
    loss = gaussian_nll(jnp.array(mean), jnp.array(log_variance), jnp.array(targets))
    np.testing.assert_allclose(loss, expected, rtol=1e-5)


@pytest.mark.parametrize("loss", [cross_entropy, mean_squared_error, hinge, lambda a, b: gaussian_nll(a, a, b)])
def test_one_float32_value_per_example_whatever_the_input(loss):
    out = loss(jnp.ones((6, 3), jnp.bfloat16), jnp.ones((6, 3), jnp.bfloat16))
    assert out.shape == (6,)
    assert out.dtype == jnp.float32


def by_loops(first, second, temperature):
    """Algorithm 1 of the paper, pair by pair in float64: (loss, accuracy) of each image."""
    z = np.concatenate([first, second]).astype(np.float64)
    size, losses, right = len(first), [], []
    for i in range(2 * size):
        j = (i + size) % (2 * size)
        cosine = {k: z[i] @ z[k] / np.linalg.norm(z[i]) / np.linalg.norm(z[k]) for k in range(2 * size) if k != i}
        losses.append(-np.log(np.exp(cosine[j] / temperature) / sum(np.exp(c / temperature) for c in cosine.values())))
        right.append(j == max(cosine, key=cosine.get))
    return np.mean([losses[:size], losses[size:]], axis=0), np.mean([right[:size], right[size:]], axis=0)


FIRST = RNG.normal(size=(6, 4)).astype(np.float32)
SECOND = FIRST + 0.9 * RNG.normal(size=(6, 4)).astype(np.float32)


@pytest.mark.parametrize("temperature", [0.05, 0.5, 3.0])
def test_nt_xent_is_the_paper_s_algorithm(temperature):
    loss, accuracy = nt_xent(FIRST, SECOND, temperature)
    expected, right = by_loops(FIRST, SECOND, temperature)
    np.testing.assert_allclose(loss, expected, rtol=1e-5)
    np.testing.assert_array_equal(accuracy, right)
    assert 0 < right.mean() < 1


def test_views_swapped_have_the_same_nt_xent():
    for one, other in zip(nt_xent(FIRST, SECOND, 0.2), nt_xent(SECOND, FIRST, 0.2), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6)
    assert np.ptp(nt_xent(FIRST, SECOND, 0.2)[0]) > 0.1  # not because all are equal


def test_nt_xent_does_not_see_the_length_of_a_projection():
    stretched = SECOND * np.array([[1e-3], [1], [5], [100], [2], [1e4]], np.float32)
    np.testing.assert_allclose(nt_xent(FIRST, stretched, 0.2)[0], nt_xent(FIRST, SECOND, 0.2)[0], rtol=1e-5)


def test_nt_xent_of_views_that_say_nothing_is_the_log_of_their_number():
    loss, accuracy = nt_xent(jnp.ones((6, 4)), jnp.ones((6, 4)), 0.1)
    np.testing.assert_allclose(loss, np.log(11), rtol=1e-6)
    np.testing.assert_array_equal(accuracy, 0)


def test_nt_xent_descends_through_both_views_and_is_finite_at_zero():
    gradients = jax.grad(lambda a, b: nt_xent(a, b, 0.2)[0].mean(), (0, 1))(FIRST, SECOND)
    for gradient in gradients:
        assert (np.abs(gradient).sum(-1) > 1e-4).all()
    dead = jax.grad(lambda a: nt_xent(a, SECOND, 0.2)[0].mean())(FIRST * 0)
    assert np.isfinite(dead).all()


def test_masked_images_are_nobody_s_other():
    padded = [np.concatenate([z, z[:2]]) for z in (FIRST, SECOND)]
    mask = np.array([1] * 6 + [0] * 2, np.float32)
    for kept, alone in zip(nt_xent(*padded, 0.2, mask), nt_xent(FIRST, SECOND, 0.2), strict=True):
        assert np.isfinite(kept).all()
        np.testing.assert_allclose(kept[:6], alone, rtol=1e-6)
    assert np.any(nt_xent(*padded, 0.2)[0][:6] != nt_xent(FIRST, SECOND, 0.2)[0])


def test_nt_xent_is_float32_whatever_the_input():
    loss, accuracy = nt_xent(FIRST.astype(jnp.bfloat16), SECOND.astype(jnp.bfloat16), 0.2)
    assert (loss.shape, loss.dtype, accuracy.dtype) == ((6,), jnp.float32, jnp.float32)
