"""Segmentation: a class for each pixel, by one gradient step on the mean cross entropy of the pixels of each batch."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import linen as nn
from jax import Array

from train.algorithms import losses
from train.algorithms.accumulate import by_sums
from train.core import Loss, Mean, Metrics, State, Task
from train.data.inputs import Inputs
from train.data.split import IGNORED
from train.metrics.accuracy import is_correct
from train.tasks.classify.task import confusion_matrix
from train.tasks.network import Network
from zoo.unet import center


def segment(
    model: nn.Module,
    tx: optax.GradientTransformation,
    inputs: Inputs,
    *,
    classes: int,
    weights: np.ndarray | None = None,
    precision: str = "float32",
) -> Task:
    """Build the Task over batches {"x": images, "y": masks, integer (B, H, W)}, with "mask": (B,) when evaluating.

    The model returns logits (B, H', W', classes), of which H' and W' may be smaller than H and W: they are of the
    pixels in the middle. A pixel that is IGNORED counts nowhere.
    weights: of the classes in the training loss, float32 (classes,).
    """
    net = Network(model, by_sums(tx, 1), precision)

    def init(key: Array) -> State:
        return net.init(key, inputs.example())

    def step(state: State, batch: dict[str, Array], key: Array) -> tuple[State, Metrics]:
        augment_key, dropout_key = jax.random.split(key)
        augmented, masks = inputs.train(augment_key, batch, batch["y"])

        def loss_fn(logits: Array) -> tuple[Loss, Metrics]:
            labels, known = _labels(masks, logits)
            own = known if weights is None else known * jnp.asarray(weights)[labels]
            loss = losses.token_cross_entropy(logits, labels)
            right = is_correct(logits, labels) * known
            accuracy = Mean(right.sum(), known.sum())
            # A batch in which no pixel weighs anything has the loss 0.
            return (Mean(jnp.sum(loss * own), jnp.maximum(own.sum(), 1e-12)),), {"pixel_accuracy": accuracy}

        return net.descend(state, augmented, dropout_key, loss_fn)

    def predict(state: State, batch: dict[str, Array]) -> Array:
        return net.evaluate(state, inputs.evaluate(batch))

    def confuse(state: State, batch: dict[str, Array]) -> tuple[Metrics, Array]:
        logits = predict(state, batch)
        labels, known = _labels(batch["y"], logits)
        known = known * batch["mask"][:, None, None]
        loss = losses.token_cross_entropy(logits, labels)
        counts = confusion_matrix(logits.reshape(-1, classes), labels.reshape(-1), known.reshape(-1))
        return {"loss": Mean(jnp.sum(loss * known), known.sum()), "count": batch["mask"].sum()}, counts

    def evaluate(state: State, batch: dict[str, Array]) -> Metrics:
        return confuse(state, batch)[0]

    return Task(init, step, evaluate, confuse=confuse)


def _labels(masks: Array, logits: Array) -> tuple[Array, Array]:
    """Return the class of each pixel that has logits, int32 (B, H', W'), and 1 where it is known, else 0."""
    masks = center(masks, logits.shape[1], logits.shape[2])
    known = masks != IGNORED
    return jnp.where(known, masks, 0).astype(jnp.int32), known.astype(jnp.float32)
