import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import slow_except
from PIL import Image

import train.data.images
import zoo
from train.algorithms.optimizers import make_optimizer
from train.config import AUGMENTATIONS, Optim
from train.config.augmentations import OWN_AUGMENTATIONS
from train.data.images.augment import augment, for_evaluation, output_shape, parse
from train.data.inputs import images
from train.tasks.classify.task import classify
from zoo.errors import UserError

BATCH, HEIGHT, WIDTH, CHANNELS, CLASSES = 64, 12, 10, 3, 10
SHAPE = (HEIGHT, WIDTH, CHANNELS)
X = jax.random.uniform(jax.random.key(0), (BATCH, *SHAPE), minval=0.1)
LABELS = jax.nn.one_hot(jnp.arange(BATCH) % CLASSES, CLASSES)
KEY = jax.random.key(7)
COLORS = ("color_1", "grey_0.5", "blur_0.5")  # more of these in test_color.py
ALL = ("shift_2", "pad_crop_2", "flip", "cutout_4", "mixup_0.5", "cutmix_1", "resized_crop_9", "crop_8", *COLORS)
apply = jax.jit(augment, static_argnums=0)


def run(*names, key=KEY, x=X, labels=LABELS, shape=SHAPE):
    return apply(parse(names, shape), key, x, labels)


def test_every_name_offered_is_tried_here():
    assert {operation.name for operation in parse(ALL)} == set(AUGMENTATIONS)


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("dtype", slow_except([jnp.float32], [jnp.float32, jnp.bfloat16]))
def test_acts_within_range_and_keeps_shapes_dtypes_and_sums(name, dtype):
    x, labels = run(name, x=X.astype(dtype))
    operations = parse((name,), SHAPE)
    assert (x.shape, x.dtype) == ((BATCH, *output_shape(operations, SHAPE)), dtype)
    assert (labels.shape, labels.dtype) == (LABELS.shape, LABELS.dtype)
    assert np.mean(np.any(x != for_evaluation(operations, X.astype(dtype)), axis=(1, 2, 3))) > 0.3
    assert x.min() >= 0
    assert x.max() <= 1 + ("resized" in name) * jnp.finfo(dtype).eps
    np.testing.assert_allclose(labels.sum(-1), 1, rtol=1e-6)


@pytest.mark.parametrize("name", ["shift_2", "flip", "cutout_4", "crop_8", "resized_crop_9"])
def test_labels_stay_where_images_are_not_mixed(name):
    np.testing.assert_array_equal(run(name)[1], LABELS)


def test_each_example_shifts_by_its_own_amount_up_to_the_limit_and_no_further():
    padded = np.pad(X, ((0, 0), (2, 2), (2, 2), (0, 0)))
    seen = set()
    for before, after in zip(padded, np.asarray(run("shift_2")[0]), strict=True):
        crops = {(i, j): before[i : i + HEIGHT, j : j + WIDTH] for i in range(5) for j in range(5)}
        matching = [place for place, crop in crops.items() if np.array_equal(crop, after)]
        assert len(matching) == 1
        seen.update(matching)
    assert {i for i, _ in seen} == {j for _, j in seen} == set(range(5))


def test_crop_takes_each_square_of_the_image_and_nothing_else():
    seen = set()
    for before, after in zip(np.asarray(X), np.asarray(run("crop_8")[0]), strict=True):
        crops = {(i, j): before[i : i + 8, j : j + 8] for i in range(HEIGHT - 7) for j in range(WIDTH - 7)}
        matching = [place for place, crop in crops.items() if np.array_equal(crop, after)]
        assert len(matching) == 1
        seen.update(matching)
    assert {i for i, _ in seen} == set(range(5))
    assert {j for _, j in seen} == set(range(3))


def test_resized_crop_is_a_box_of_the_area_and_ratio_asked_for_resized_as_pillow_does():
    size, side = 64, 16
    rows, columns = np.mgrid[:size, :size] / size
    noise = np.asarray(jax.random.uniform(KEY, (size, size)))
    image = np.stack([rows, columns, noise], axis=-1).astype(np.float32)
    x = np.asarray(run("resized_crop_16", x=jnp.tile(image, (BATCH, 1, 1, 1)), shape=image.shape)[0])

    # The ramps in the first two channels stay ramps, and tell where each box was.
    spacing = np.stack([x[:, 11, 8, 0] - x[:, 4, 8, 0], x[:, 8, 11, 1] - x[:, 8, 4, 1]]) * size / 7  # (2, B)
    box = spacing * side
    start = np.stack([x[:, 8, 8, 0], x[:, 8, 8, 1]]) * size + 0.5 - 8.5 * spacing
    area, ratio = box.prod(0) / size**2, box[1] / box[0]
    assert start.min() > -0.02
    assert (start + box).max() < size + 0.02
    assert 0.08 < area.min() < 0.2
    assert 0.8 < area.max() <= 1.001
    assert 3 / 4 - 0.01 < ratio.min() < 0.85
    assert 1.15 < ratio.max() < 4 / 3 + 0.01
    assert len(np.unique(area)) == BATCH
    for after, (top, left), (height, width) in zip(x, start.T, box.T, strict=True):
        corners = np.clip([left, top, left + width, top + height], 0, size)
        expected = Image.fromarray(noise).resize((side, side), Image.BILINEAR, box=tuple(corners))
        assert np.abs(after[..., 2] - expected).mean() < 0.02  # the box is known to a few hundredths of a pixel


def test_evaluation_sees_the_centre_in_the_size_of_training():
    operations = parse(("shift_1", "resized_crop_9", "crop_7", "cutmix_1"), SHAPE)
    x = (X * 255).astype(jnp.uint8)
    np.testing.assert_array_equal(for_evaluation(operations, x), x[:, 2:9, 1:8])
    np.testing.assert_array_equal(for_evaluation(parse(("shift_1", "flip")), x), x)


def test_a_task_is_made_for_the_size_after_cropping():
    def task(shape: tuple, *names: str):
        model, tx = zoo.create("perceptron", classes=CLASSES), make_optimizer(Optim("sgd"), 10)
        return classify(model, tx, images(shape, names), classes=CLASSES)

    crops, plain = task(SHAPE, "flip", "crop_8"), task((8, 8, CHANNELS))
    batch = {"x": (X * 255).astype(jnp.uint8), "y": LABELS.argmax(-1), "mask": jnp.ones(BATCH)}
    state, _ = jax.jit(crops.step)(jax.jit(crops.init)(KEY), batch, KEY)
    jax.tree.map(np.testing.assert_array_equal, jax.jit(crops.init)(KEY), jax.jit(plain.init)(KEY))
    sums = jax.jit(crops.evaluate)(state, batch)
    centre = jax.jit(plain.evaluate)(state, batch | {"x": batch["x"][:, 2:10, 1:9]})
    jax.tree.map(np.testing.assert_array_equal, sums, centre)


def test_flip_mirrors_about_half_and_twice_with_one_key_is_nothing():
    x, _ = run("flip")
    mirrored = np.array([np.array_equal(a, b[:, ::-1]) for a, b in zip(x, X, strict=True)])
    kept = np.array([np.array_equal(a, b) for a, b in zip(x, X, strict=True)])
    assert np.all(mirrored ^ kept)
    assert 0.3 < mirrored.mean() < 0.7
    np.testing.assert_array_equal(run("flip", x=x)[0], X)


@pytest.mark.parametrize("side", [3, 4])
def test_cutout_blackens_one_square_centred_in_the_image(side):
    x, _ = run(f"cutout_{side}")
    black = np.asarray(x == 0).all(-1)
    np.testing.assert_array_equal(np.where(black[..., None], 0, X), x)
    for hole in black:
        rows, columns = np.flatnonzero(hole.any(1)), np.flatnonzero(hole.any(0))
        assert hole.sum() == len(rows) * len(columns) == (np.ptp(rows) + 1) * (np.ptp(columns) + 1)
        assert side // 2 <= min(len(rows), len(columns))
        assert max(len(rows), len(columns)) <= side
    assert black.sum((1, 2)).max() == side**2


def test_mixup_mixes_pixels_and_labels_in_one_proportion_for_each_example():
    x, labels = run("mixup_1")
    own = np.asarray(labels)[np.arange(BATCH), np.arange(BATCH) % CLASSES]
    np.testing.assert_allclose(labels, own[:, None] * LABELS + (1 - own)[:, None] * np.roll(LABELS, 1, 0), atol=1e-6)
    own = own[:, None, None, None]
    np.testing.assert_allclose(x, own * X + (1 - own) * np.roll(X, 1, 0), atol=1e-6)
    assert len(np.unique(own)) == BATCH


def test_mixup_strength_is_the_alpha_of_a_beta_distribution():
    for alpha in (0.2, 1.0, 5.0):
        own = np.asarray(run(f"mixup_{alpha}")[1])[np.arange(BATCH), np.arange(BATCH) % CLASSES]
        np.testing.assert_allclose(own.var(), 1 / (4 * (2 * alpha + 1)), rtol=0.5)


def test_cutmix_mixes_labels_in_proportion_to_pixels():
    x, labels = run("cutmix_1")
    pasted = np.asarray(x != X).all(-1)
    np.testing.assert_array_equal(np.where(pasted[..., None], np.roll(X, 1, 0), X), x)
    own = 1 - pasted.mean((1, 2))[:, None]
    np.testing.assert_allclose(labels, own * LABELS + (1 - own) * np.roll(LABELS, 1, 0), atol=1e-6)
    assert own.std() > 0.1
    for hole in pasted:
        assert hole.sum() == hole.any(1).sum() * hole.any(0).sum()


def test_same_key_same_result_other_key_other_result():
    first, again, other = run(*ALL)[0], run(*ALL)[0], run(*ALL, key=jax.random.key(8))[0]
    np.testing.assert_array_equal(first, again)
    assert np.all(np.any(first != other, axis=(1, 2, 3)))


def test_each_position_draws_its_own_randomness():
    moved = run("shift_2", "shift_2")[0] == 0
    once = run("shift_2")[0]
    same_draw_twice = run("shift_2", x=once)[0] == 0
    assert np.any(moved != same_draw_twice)


@pytest.mark.slow
def test_vmap_over_keys_is_each_key_alone():
    keys = jax.random.split(KEY, 2)
    together = jax.jit(jax.vmap(lambda key: augment(parse(ALL, SHAPE), key, X, LABELS)))(keys)
    for i, key in enumerate(keys):
        jax.tree.map(lambda a, b, i=i: np.testing.assert_allclose(a[i], b, atol=1e-6), together, run(*ALL, key=key))


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("flp", "unknown data.augment 'flp': did you mean flip?"),
        ("shfit_2", "unknown data.augment 'shfit_2': did you mean shift?"),
        ("flip_2", "data.augment 'flip_2': flip takes no strength, write 'flip'"),
        ("shift", "data.augment 'shift': shift needs a whole number of pixels above 0, such as 'shift_1'"),
        ("shift_1.5", "data.augment 'shift_1.5': shift needs a whole number of pixels above 0, such as 'shift_1'"),
        ("pad_crop_-2", "data.augment 'pad_crop_-2': pad_crop needs a whole number of pixels above 0, such as "),
        ("mixup_0", "data.augment 'mixup_0': mixup needs an alpha above 0, such as 'mixup_1'"),
        ("cutmix_nan", "data.augment 'cutmix_nan': cutmix needs an alpha above 0, such as 'cutmix_1'"),
        ("cutout_10", "data.augment 'cutout_10': must be smaller than the image, 12×10"),
        ("crop_11", "data.augment 'crop_11': must be at most the image, 12×10"),
        ("color", "data.augment 'color': color needs a strength above 0, such as 'color_1'"),
        ("grey_1.5", "data.augment 'grey_1.5': grey needs a share above 0 and at most 1, such as 'grey_1'"),
        ("blur_0", "data.augment 'blur_0': blur needs a share above 0 and at most 1, such as 'blur_1'"),
        ("resized_crop", "data.augment 'resized_crop': resized_crop needs a whole number of pixels above 0, such as "),
    ],
)
def test_bad_name_or_strength_is_one_line(name, line):
    with pytest.raises(UserError) as error:
        parse(("flip", name), SHAPE)
    assert str(error.value).startswith(line)


def test_what_follows_a_crop_is_checked_against_its_size():
    assert output_shape(parse(("resized_crop_10", "crop_8"), SHAPE), SHAPE) == (8, 8, CHANNELS)
    with pytest.raises(UserError, match="'resized_crop_9': must be at most the image, 8×8"):
        parse(("crop_8", "resized_crop_9"), SHAPE)


@pytest.mark.parametrize("name", ["color_0.5", "grey_0.2"])
def test_colours_of_an_image_that_has_none_are_one_line(name):
    kind = name.partition("_")[0]
    line = f"data.augment '{name}': {kind} needs images of 3 channels, and these have 1"
    with pytest.raises(UserError, match=line):
        parse((name,), (28, 28, 1))
    parse(("blur_0.5",), (28, 28, 1))  # which needs none


def test_size_is_not_checked_before_the_image_is_known():
    assert parse(("cutout_10",)) == (("cutout", 10),)


def test_an_own_augmentation_is_called_by_name_with_its_strength() -> None:
    train.data.images.register_augmentation("dim", lambda key, x, labels, strength: (x * strength, labels))
    try:
        x, labels = jnp.ones((2, 4, 4, 1)), jnp.ones((2, 3))
        assert parse(("dim_0.5", "dim")) == (("dim", 0.5), ("dim", 1.0))
        dimmed, same = augment(parse(("dim_0.5", "dim")), jax.random.key(0), x, labels)
        np.testing.assert_array_equal(dimmed, x / 2)
        np.testing.assert_array_equal(same, labels)
        with pytest.raises(UserError, match="dim needs a strength above 0"):
            parse(("dim_no",))
        with pytest.raises(UserError, match="the augmentation name 'dim' is taken"):
            train.data.images.register_augmentation("dim", print)
    finally:
        OWN_AUGMENTATIONS.remove("dim")
    with pytest.raises(UserError, match="the augmentation name 'flip' is taken"):
        train.data.images.register_augmentation("flip", print)
    with pytest.raises(UserError, match=r"unknown data\.augment 'dim'"):
        parse(("dim",))


def test_cutout_is_zero_in_what_the_network_sees():
    """The square is the mean before normalization, so normalized images keep their mean of 0 (black gave -0.4)."""
    mean, std = np.float32([0.2, 0.5, 0.7]), np.float32([0.1, 0.2, 0.3])
    prepared = images((12, 10, 3), ("cutout_4",), mean, std)
    x = np.broadcast_to((mean * 255).astype(np.uint8), (BATCH, 12, 10, 3))
    seen, _ = prepared.train(KEY, {"x": jnp.asarray(x)}, LABELS)
    assert abs(np.asarray(seen["x"])).max() < 0.05  # rounding to bytes
    own = prepared.train(KEY, {"x": jnp.asarray(x), "mean": mean - 0.1, "std": std}, LABELS)[0]["x"]
    holes = np.isclose(own, 0, atol=1e-6).all(-1)
    assert holes.any((1, 2)).all()
