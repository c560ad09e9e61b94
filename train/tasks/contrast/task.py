"""Contrastive learning (SimCLR): tell which two views are of one image, from images without labels."""

import jax
import jax.numpy as jnp
import optax
from flax import linen as nn
from jax import Array

from train.algorithms import losses
from train.core import Mean, Metrics, State, Task
from train.data.inputs import Inputs, views
from train.tasks.network import Network


def contrast(
    model: nn.Module,
    tx: optax.GradientTransformation,
    inputs: Inputs,
    *,
    temperature: float,
    precision: str = "float32",
) -> Task:
    """Build the Task over batches that `inputs` accepts, with "mask": (B,) when evaluating; labels are ignored.

    A step is one gradient step on NT-Xent. The two views of an image are two draws of the augmentations that `inputs`
    trains with; when evaluating, the draw depends on the batch alone, and an image alone in its batch does not count.
    Batch statistics are those of all 2B views.
    """
    net = Network(model, tx, precision)

    def init(key: Array) -> State:
        return net.init(key, inputs.example())

    def compare(projections: Array, mask: Array | None = None) -> tuple[Array, Array]:
        """Return (loss, accuracy) of each image, (B,), from the projections of its two views."""
        pairs = projections.reshape(-1, 2, projections.shape[-1])
        return losses.nt_xent(pairs[:, 0], pairs[:, 1], temperature, mask)

    def step(state: State, batch: dict[str, Array], key: Array) -> tuple[State, Metrics]:
        view_key, dropout_key = jax.random.split(key)

        def loss_fn(projections: Array) -> tuple[Array, Metrics]:
            loss, accuracy = compare(projections)
            return loss.mean(), {"contrastive_accuracy": accuracy.mean()}

        return net.descend(state, views(inputs, view_key, batch), dropout_key, loss_fn)

    def evaluate(state: State, batch: dict[str, Array]) -> Metrics:
        key = jax.random.fold_in(jax.random.key(0), batch["x"].sum(dtype=jnp.uint32))
        mask = batch["mask"]
        loss, accuracy = compare(net.evaluate(state, views(inputs, key, batch)), mask)
        compared = mask * (mask.sum() > 1)  # one image alone has no others to be told from
        values = {"loss": loss, "contrastive_accuracy": accuracy}
        means = {name: Mean(jnp.sum(value * compared), compared.sum()) for name, value in values.items()}
        return means | {"count": mask.sum()}

    return Task(init, step, evaluate)
