"""Class weights: the loss and its gradient against NumPy, balanced weights, accumulation, folds, and bad input."""

import dataclasses
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from train import cli
from train.algorithms import losses
from train.config import Classify, Data, Experiment, Model, Optim
from train.core import PerReplica
from train.tasks.assemble import assemble
from train.tasks.classify.weights import balanced, weighted_mean
from zoo.errors import UserError

WEIGHTS = tuple(float(w) for w in range(1, 11))
PLAIN = Experiment(
    model=Model("perceptron"),
    data=Data("digits", batch=16),
    optim=Optim("sgd", lr=0.5),
    task=Classify(class_weights=WEIGHTS),
    steps=4,
)


def torch_loss(logits: np.ndarray, labels: np.ndarray, weights: np.ndarray, smoothing: float = 0.0) -> float:
    """torch.nn.CrossEntropyLoss(weights, label_smoothing=smoothing, reduction="mean"), as its documentation defines it.

    tests/peers/test_torch_losses.py compares with PyTorch itself.
    """
    logits = logits.astype(np.float64)
    log_p = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    own = weights[labels]
    hard = -(own * log_p[np.arange(len(labels)), labels]).sum()
    spread = -(weights * log_p).sum() / len(weights)
    return float(((1 - smoothing) * hard + smoothing * spread) / own.sum())


def a_batch(rows: int = 16, seed: int = 0) -> dict[str, jax.Array]:
    draw = np.random.default_rng(seed)
    x, y = draw.integers(0, 256, (rows, 8, 8, 1), np.uint8), draw.integers(0, 10, rows)
    return {"x": jnp.asarray(x), "y": jnp.asarray(y, jnp.int32)}


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_cross_entropy_is_that_of_torch(smoothing: float) -> None:
    logits = np.array([[2.0, -1.0, 0.5], [0.0, 1.0, 3.0], [1.0, 1.0, -2.0], [0.3, 0.2, 0.1]], np.float32)
    labels, weights = np.array([0, 1, 2, 2]), np.array([1.0, 3.0, 0.5], np.float32)
    mean = weighted_mean(
        losses.cross_entropy, jnp.asarray(logits), losses.one_hot(labels, 3, smoothing), weights[None], smoothing
    )
    assert float(mean.total / mean.count) == pytest.approx(torch_loss(logits, labels, weights, smoothing), rel=1e-6)
    assert float(mean.count) == pytest.approx(1.0 + 3.0 + 0.5 + 0.5)


def test_other_losses_weigh_examples_and_mixed_ones_by_their_parts() -> None:
    logits, weights = jnp.array([[1.0, 0.0], [0.0, 2.0]]), jnp.array([[1.0, 4.0]])
    mean = weighted_mean(losses.mean_squared_error, logits, jnp.array([[1.0, 0.0], [0.25, 0.75]]), weights, 0.0)
    of_mixed = 0.25 * 1 + 0.75 * 4
    assert float(mean.count) == pytest.approx(1 + of_mixed)
    assert float(mean.total) == pytest.approx(0.0 + of_mixed * (0.25**2 + 1.25**2) / 2)


def test_a_batch_that_weighs_nothing_is_no_nan() -> None:
    mean = weighted_mean(losses.cross_entropy, jnp.ones((1, 2)), jnp.array([[1.0, 0.0]]), jnp.array([[0.0, 1.0]]), 0.0)
    assert float(mean.total / mean.count) == 0


def test_balanced_weights_are_examples_over_classes_times_count() -> None:
    np.testing.assert_allclose(balanced(np.array([0, 0, 0, 1]), "ab"), [4 / (2 * 3), 4 / (2 * 1)])
    with pytest.raises(UserError, match="the class 'c' has no training example"):
        balanced(np.array([0, 1]), "abc")


def test_a_step_descends_the_weighted_mean_and_evaluation_is_not_weighted() -> None:
    weighted, alike = (assemble(dataclasses.replace(PLAIN, task=task)) for task in (PLAIN.task, Classify()))
    state, batch = weighted.task.init(jax.random.key(0)), a_batch()
    new, metrics = weighted.task.step(state, batch, jax.random.key(1))
    logits = np.asarray(weighted.task.predict(state, batch))
    assert float(metrics["loss"]) == pytest.approx(
        torch_loss(logits, np.asarray(batch["y"]), np.array(WEIGHTS)), rel=1e-5
    )
    # The gradient of the bias of a linear layer is the weighted mean of (probabilities - one-hot label).
    shares = np.exp(logits) / np.exp(logits).sum(1, keepdims=True) - np.eye(10)[np.asarray(batch["y"])]
    own = np.array(WEIGHTS)[np.asarray(batch["y"])]
    expected = -0.5 * (own[:, None] * shares).sum(0) / own.sum()
    [before], [after] = (
        [leaf for leaf in jax.tree.leaves(each.params) if leaf.ndim == 1 and leaf.size == 10] for each in (state, new)
    )
    np.testing.assert_allclose(np.asarray(after - before), expected, rtol=1e-4, atol=1e-6)
    masked = batch | {"mask": jnp.ones(16)}
    assert float(weighted.task.evaluate(state, masked)["loss"]) == float(alike.task.evaluate(state, masked)["loss"])


def test_accumulated_batches_are_one_large_batch() -> None:
    half = dataclasses.replace(
        PLAIN, data=Data("digits", batch=8), optim=dataclasses.replace(PLAIN.optim, accumulate=2)
    )
    one, two = assemble(PLAIN).task, assemble(half).task
    batch, key = a_batch(), jax.random.key(1)
    whole, _ = one.step(one.init(jax.random.key(0)), batch, key)
    state = two.init(jax.random.key(0))
    for part in (slice(0, 8), slice(8, 16)):
        state, _ = two.step(state, {name: leaf[part] for name, leaf in batch.items()}, key)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6), state.params, whole.params)


def test_balanced_weights_come_from_the_training_split_and_in_folds_from_that_of_each_fold() -> None:
    task = Classify(class_weights="balanced")
    setup = assemble(dataclasses.replace(PLAIN, task=task))
    assert "in the training loss; validation and test are not weighted" in setup.remarks[0]
    source: Any = assemble(dataclasses.replace(PLAIN, task=task, folds=3)).feed(None, None).take(1)
    assert isinstance(source, PerReplica)
    labels = np.asarray(source.shared.examples["y"])
    for rows, weights in zip(source.own["rows"], source.own["given"]["class_weights"], strict=True):
        counts = np.bincount(labels[np.asarray(rows)], minlength=10)
        np.testing.assert_allclose(weights, len(rows) / (10 * counts), rtol=1e-6)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("1 2 3", "task.class_weights has 3 numbers, and there are 10 classes"),
        ("1 1 1 1 1 1 1 1 1 -1", "task.class_weights must be finite numbers from 0 up, one of them above 0"),
        ("0 0 0 0 0 0 0 0 0 0", "one of them above 0"),
        ("1 1 1 1 1 1 1 1 1 nan", "finite numbers"),
    ],
)
def test_bad_weights_are_one_line(given: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    args = ["train", "digits_mlp", "--workdir", str(tmp_path), "--task.class-weights", *given.split()]
    assert cli.run(args) == 2
    assert said in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
