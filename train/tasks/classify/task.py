"""Classification: images or sentences and labels in, one descent a step on the mean loss over the batch."""

import jax
import jax.numpy as jnp
import optax
from flax import linen as nn
from jax import Array

from train.algorithms import losses
from train.core import Metrics, State, Task
from train.data.inputs import Inputs
from train.tasks.network import Network

TOP5_CLASSES = 100  # with this many classes or more, accuracy among the five likeliest is reported as well
LOSSES = {"cross_entropy": losses.cross_entropy, "mse": losses.mean_squared_error, "hinge": losses.hinge}


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
    """A Task over the batches that `inputs` takes, with "y": (B,) int32, and "mask": (B,) when evaluating."""
    net = Network(model, tx, precision)
    per_example_loss = LOSSES[loss]

    def init(key: Array) -> State:
        return net.init(key, inputs.example())

    def step(state: State, batch: dict[str, Array], key: Array) -> tuple[State, Metrics]:
        augment_key, dropout_key = jax.random.split(key)
        shown, labels = inputs.train(augment_key, batch, losses.one_hot(batch["y"], classes, label_smoothing))

        def loss_fn(logits: Array) -> tuple[Array, Metrics]:
            correct = logits.argmax(-1) == labels.argmax(-1)
            return per_example_loss(logits, labels).mean(), {"accuracy": correct.mean()}

        return net.descend(state, shown, dropout_key, loss_fn)

    def predict(state: State, batch: dict[str, Array]) -> Array:
        return net.evaluate(state, inputs.evaluate(batch))

    def evaluate(state: State, batch: dict[str, Array]) -> Metrics:
        logits = predict(state, batch)
        sums = {
            "loss": per_example_loss(logits, losses.one_hot(batch["y"], classes)),
            "accuracy": logits.argmax(-1) == batch["y"],
            **({"top5_accuracy": _in_top(logits, batch["y"], 5)} if classes >= TOP5_CLASSES else {}),
            "count": jnp.ones_like(batch["mask"]),
        }
        return {name: jnp.sum(value * batch["mask"]) for name, value in sums.items()}

    return Task(init, step, evaluate, predict)


def _in_top(logits: Array, labels: Array, k: int) -> Array:
    """(B,) bool: whether fewer than k classes have a higher logit than the label's."""
    own = jnp.take_along_axis(logits, labels[:, None], axis=-1)
    return jnp.sum(logits > own, axis=-1) < k
