"""An image is mixed by mixup or by cutmix, as often by the one as by the other."""

import jax
import jax.numpy as jnp
import numpy as np

from train.data.images.augment import augment, parse

BATCH = 64
X = jax.random.uniform(jax.random.key(0), (BATCH, 12, 10, 1), minval=0.1)
LABELS = jnp.eye(BATCH)


def test_each_image_is_mixed_by_one_of_the_two_and_its_label_likewise() -> None:
    operations = parse(("mixup_or_cutmix_0.8",), (12, 10, 1))
    x, labels = jax.jit(augment, static_argnums=0)(operations, jax.random.key(1), X, LABELS)
    own = np.asarray(labels)[np.arange(BATCH), np.arange(BATCH)]
    partner = np.roll(X, 1, axis=0)
    is_mixup = np.isclose(x, own[:, None, None, None] * X + (1 - own)[:, None, None, None] * partner, atol=1e-5).all(
        (1, 2, 3)
    )
    pasted = np.asarray(x == partner).all(-1)
    is_cutmix = (np.asarray(x == X).all(-1) | pasted).all((1, 2)) & np.isclose(pasted.mean((1, 2)), 1 - own, atol=1e-5)
    assert (is_mixup | is_cutmix).all()
    assert 20 < is_mixup.sum() < 44
    np.testing.assert_allclose(labels, own[:, None] * LABELS + (1 - own)[:, None] * np.roll(LABELS, 1, 0), atol=1e-5)
