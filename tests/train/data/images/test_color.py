"""Each change of colours or sharpness is Pillow's, or its formula, and touches as many images as it is told to."""

import colorsys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image, ImageEnhance
from scipy.ndimage import convolve1d

from train.data.images import color

KEY = jax.random.key(3)
X = np.random.default_rng(0).integers(0, 256, (400, 6, 7, 3)).astype(np.uint8)
UNIT = jnp.asarray(X / 255, jnp.float32)
LABELS = jnp.ones((400, 1))
FACTORS = np.linspace(0.2, 1.8, 9).astype(np.float32)[:, None, None]


def changed(function, argument):
    few = UNIT[: len(argument)]
    return np.stack(function(color.planes(few), jnp.asarray(argument)), axis=-1)


@pytest.mark.parametrize(
    ("function", "pillow"),
    [
        (color.brightness, ImageEnhance.Brightness),
        (color.contrast, ImageEnhance.Contrast),
        (color.saturation, ImageEnhance.Color),
    ],
)
def test_a_factor_does_what_pillow_does(function, pillow):
    expected = [pillow(Image.fromarray(x)).enhance(float(f)) for x, f in zip(X, FACTORS.ravel(), strict=False)]
    ours = changed(function, FACTORS)
    assert np.abs(ours * 255 - np.stack(expected)).max() < 2.5  # Pillow computes in whole numbers
    np.testing.assert_allclose(changed(function, np.ones_like(FACTORS)), UNIT[:9], atol=1e-6)


def test_hue_turns_the_circle_of_hsv():
    by = np.linspace(-0.5, 0.5, 9).astype(np.float32)[:, None, None]

    def turned(pixel, angle):
        h, s, v = colorsys.rgb_to_hsv(*map(float, pixel))
        return colorsys.hsv_to_rgb((h + float(angle)) % 1, s, v)

    expected = [[[turned(p, a) for p in row] for row in x] for x, a in zip(np.asarray(UNIT), by.ravel(), strict=False)]
    np.testing.assert_allclose(changed(color.hue, by), expected, atol=1e-5)
    greys = tuple(jnp.full((1, 2, 2), 0.3) for _ in range(3))
    np.testing.assert_allclose(color.hue(greys, jnp.full((1, 1, 1), 0.4)), 0.3, atol=1e-6)


def test_grey_is_pillow_s_luminance_in_three_channels():
    x, labels = color.grey(KEY, UNIT, LABELS, 1.0)
    expected = np.stack([np.asarray(Image.fromarray(image).convert("L")) for image in X])
    assert np.abs(np.asarray(x) * 255 - expected[..., None]).max() < 1
    assert np.ptp(x, axis=-1).max() == 0
    assert labels is LABELS


@pytest.mark.parametrize("size", [28, 64])
def test_blur_is_a_gaussian_cut_to_a_tenth_of_the_side(size):
    x = np.random.default_rng(1).random((3, size, size, 1)).astype(np.float32)
    sigma = np.array([0.1, 0.7, 2.0], np.float32).reshape(3, 1, 1, 1)
    ours = color.smooth(color.smooth(jnp.asarray(x), jnp.asarray(sigma), 1), jnp.asarray(sigma), 2)
    radius = max(1, size // 20)
    for image, blurred, deviation in zip(x, np.asarray(ours), sigma.ravel().astype(float), strict=True):
        kernel = np.exp(-(np.arange(-radius, radius + 1) ** 2) / (2 * deviation**2))
        for axis in (0, 1):
            image = convolve1d(image, kernel / kernel.sum(), axis=axis, mode="mirror")
        np.testing.assert_allclose(blurred, image, atol=1e-5)


def share_changed(x):
    return float(np.mean(np.any(np.abs(np.asarray(x) - UNIT) > 0, axis=(1, 2, 3))))


@pytest.mark.parametrize(("function", "share"), [(color.grey, 0.2), (color.blur, 0.5), (color.grey, 0.7)])
def test_a_share_is_that_of_the_images_that_change(function, share):
    assert abs(share_changed(function(KEY, UNIT, LABELS, share)[0]) - share) < 0.08


def test_colours_are_distorted_in_four_of_five_images_by_no_more_than_the_strength():
    x = np.asarray(color.color(KEY, UNIT, LABELS, 0.5)[0])
    assert abs(share_changed(x) - 0.8) < 0.06
    weak, strong = (np.abs(np.asarray(color.color(KEY, UNIT, LABELS, s)[0]) - UNIT).mean() for s in (0.1, 1.0))
    assert 4 * weak < strong
    flat = jnp.full((400, 1, 1, 3), 0.5)  # a grey point: contrast, saturation and hue leave it, brightness remains
    values = np.asarray(color.color(KEY, flat, LABELS, 0.5)[0])
    assert 0.3 - 1e-6 <= values.min() < 0.32
    assert 0.68 < values.max() <= 0.7 + 1e-6
    assert np.ptp(values, axis=-1).max() < 1e-6


def test_hue_moves_by_a_fifth_of_the_strength_at_most():
    red = jnp.tile(jnp.array([0.6, 0.1, 0.1]), (400, 2, 2, 1))
    x = np.asarray(color.color(KEY, red, LABELS, 0.5)[0])
    hues = np.array([colorsys.rgb_to_hsv(*pixel)[0] for pixel in x[:, 0, 0].astype(float)])
    hues = np.where(hues > 0.5, hues - 1, hues)
    assert np.abs(hues).max() <= 0.1 + 1e-3
    assert np.abs(hues).max() > 0.09
