"""Classification of images or sentences: one gradient step on the mean loss over each batch."""

import jax
import jax.numpy as jnp
import optax
from flax import linen as nn
from jax import Array

from train.algorithms import losses
from train.config.losses import LOSSES
from train.config.ways import resolve
from train.core import Metrics, State, Task
from train.data.inputs import Inputs
from train.metrics.accuracy import is_among_top, is_correct
from train.tasks.network import Network

TOP5_CLASSES = 100  # from this many classes on, top-5 accuracy is reported as well


def classify(
    model: nn.Module,
    tx: optax.GradientTransformation,
    inputs: Inputs,
    *,
    classes: int,
    loss: str = "cross_entropy",
    label_smoothing: float = 0.0,
    precision: str = "float32",
) -> Task:
    """Build the Task over batches that `inputs` accepts, with "y": (B,) int32, and "mask": (B,) when evaluating."""
    net = Network(model, tx, precision)
    per_example_loss = resolve(LOSSES.find(loss))

    def init(key: Array) -> State:
        return net.init(key, inputs.example())

    def step(state: State, batch: dict[str, Array], key: Array) -> tuple[State, Metrics]:
        augment_key, dropout_key = jax.random.split(key)
        one_hot = losses.one_hot(batch["y"], classes, label_smoothing)
        augmented, labels = inputs.train(augment_key, batch, one_hot)

        def loss_fn(logits: Array) -> tuple[Array, Metrics]:
            correct = is_correct(logits, labels.argmax(-1))
            return per_example_loss(logits, labels).mean(), {"accuracy": correct.mean()}

        return net.descend(state, augmented, dropout_key, loss_fn)

    def predict(state: State, batch: dict[str, Array]) -> Array:
        return net.evaluate(state, inputs.evaluate(batch))

    def evaluate(state: State, batch: dict[str, Array]) -> Metrics:
        logits = predict(state, batch)
        values = {
            "loss": per_example_loss(logits, losses.one_hot(batch["y"], classes)),
            "accuracy": is_correct(logits, batch["y"]),
        }
        if classes >= TOP5_CLASSES:
            values["top5_accuracy"] = is_among_top(logits, batch["y"], 5)
        values["count"] = jnp.ones_like(batch["mask"])
        return {name: jnp.sum(value * batch["mask"]) for name, value in values.items()}

    return Task(init, step, evaluate, predict)
