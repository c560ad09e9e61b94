"""Segmentation: its loss and its judges against NumPy and scikit-learn, and what is wrong in one line."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen as nn
from sklearn.metrics import confusion_matrix

from train import cli
from train.data.inputs import Inputs
from train.data.split import IGNORED
from train.metrics import overlap
from train.tasks.segment.task import segment

CLASSES = 5
RNG = np.random.default_rng(0)


class Given(nn.Module):
    """Returns the logits that it is given as images, each multiplied by a parameter."""

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        return x * self.param("scale", nn.initializers.ones_init(), ())


def task(weights: np.ndarray | None = None, cut: int = 0):
    same = lambda x: {"x": x[:, cut : x.shape[1] - cut, cut : x.shape[2] - cut] if cut else x}  # noqa: E731
    inputs = Inputs(
        lambda: same(jnp.zeros((1, 8, 9, CLASSES))),
        lambda key, batch, masks: (same(batch["x"]), masks),
        lambda batch: same(batch["x"]),
    )
    return segment(Given(), optax.sgd(0.1), inputs, classes=CLASSES, weights=weights)


def batch(count: int = 6) -> dict[str, jax.Array]:
    x = jnp.asarray(RNG.normal(size=(count, 8, 9, CLASSES)), jnp.float32)
    y = RNG.integers(0, CLASSES, (count, 8, 9)).astype(np.uint8)
    y[RNG.random(y.shape) < 0.2] = IGNORED
    return {"x": x, "y": jnp.asarray(y)}


@pytest.mark.parametrize("weights", [None, np.array([1, 2, 0.5, 0, 3], np.float32)])
@pytest.mark.parametrize("cut", [0, 2])
def test_the_loss_is_the_mean_over_the_known_pixels(weights: np.ndarray | None, cut: int) -> None:
    given, own = batch(), task(weights, cut)
    state = own.init(jax.random.key(0))
    _, metrics = jax.jit(own.step)(state, given, jax.random.key(1))
    inner = (slice(None), slice(cut, 8 - cut), slice(cut, 9 - cut))
    logits, y = np.asarray(given["x"], np.float64)[inner], np.asarray(given["y"])[inner]
    known = y != IGNORED
    chances = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    losses = -np.log(np.take_along_axis(chances, np.where(known, y, 0)[..., None], -1))[..., 0]
    weight = known * (1.0 if weights is None else weights[np.where(known, y, 0)])
    np.testing.assert_allclose(metrics["loss"], (losses * weight).sum() / weight.sum(), rtol=1e-5)
    right = metrics["pixel_accuracy"]
    assert (float(right.total), float(right.count)) == (((logits.argmax(-1) == y) & known).sum(), known.sum())


def test_judges_equal_those_of_scikit_learn() -> None:
    given, own = batch(200), task()
    mask = jnp.asarray(np.arange(200) < 190, jnp.float32)
    sums, counts = jax.jit(own.confuse)(own.init(jax.random.key(0)), given | {"mask": mask})
    y, seen = np.asarray(given["y"])[:190], np.asarray(given["x"])[:190].argmax(-1)
    known = y != IGNORED
    wanted = confusion_matrix(y[known], seen[known], labels=range(CLASSES))
    np.testing.assert_array_equal(counts, wanted)
    assert float(sums["count"]) == 190
    found = np.diag(wanted) / (wanted.sum(0) + wanted.sum(1) - np.diag(wanted))
    assert overlap.mean_iou(np.asarray(counts)) == pytest.approx(found.mean(), abs=1e-6)
    assert overlap.pixel_accuracy(np.asarray(counts)) == pytest.approx((y == seen)[known].mean(), abs=1e-6)


def test_judges_at_their_edges() -> None:
    assert overlap.mean_iou(np.diag([7, 3])) == 1
    assert overlap.mean_iou(np.array([[0, 5], [5, 0]])) == 0
    one = np.array([[6, 0, 0], [2, 0, 0], [0, 0, 0]])  # class 1 was missed, class 2 is nowhere
    np.testing.assert_allclose(overlap.ious(one), [6 / 8, 0, np.nan])
    assert overlap.mean_iou(one) == pytest.approx(3 / 8)
    assert np.isnan(overlap.mean_iou(np.zeros((2, 2), int)))
    assert np.isnan(overlap.pixel_accuracy(np.zeros((2, 2), int)))


def test_a_batch_without_a_known_pixel_changes_nothing() -> None:
    given, own = batch(), task()
    state = own.init(jax.random.key(0))
    after, metrics = own.step(state, given | {"y": jnp.full_like(given["y"], IGNORED)}, jax.random.key(1))
    assert float(metrics["loss"]) == 0
    assert jax.tree.all(jax.tree.map(jnp.array_equal, after.params, state.params))


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("scenes_unet --data.augment cutmix_1", "data.augment: cutmix is not for images with masks; these are: shift"),
        ("scenes_unet --data.wrong-labels 0.1", "the task 'segment' has no wrong labels"),
        ("scenes_unet --model.name resnet20", "resnet20 cannot tell a class for each pixel; models that can: fcn32s"),
        ("scenes_unet --task.class-weights 1 2", "task.class_weights has 2 numbers, and there are 11 classes"),
        ("scenes_unet --data.size 18", "unet: depth must be one whose every level has maps of even sides"),
        (
            "scenes_unet --data.name scenes",
            "scenes has one class for each scene; scenes/segment has one for each pixel",
        ),
        ("scenes_mlp --data.name scenes/segment", "scenes/segment has a class for each pixel, which the task segment"),
        ("scenes_mlp --model.name unet_mini", "unet_mini cannot classify images; models that can: perceptron"),
    ],
)
def test_what_is_wrong_is_one_line(command: str, said: str, tmp_path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["train", *command.split(), "--workdir", str(tmp_path)]) == 2
    error = [line for line in capsys.readouterr().err.splitlines() if "starting JAX" not in line]
    assert len(error) == 1
    assert said in error[0]
    assert not list(tmp_path.iterdir())
