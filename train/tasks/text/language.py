"""Language modelling: predict each token from those before it."""

import jax.numpy as jnp
import optax
from flax import linen as nn
from jax import Array

from train.algorithms import losses
from train.core import Metrics, State, Task
from train.metrics.accuracy import is_correct
from train.tasks.network import Network


def language(model: nn.Module, tx: optax.GradientTransformation, *, length: int, precision: str = "float32") -> Task:
    """Build the Task over {"tokens": (B, length + 1) int32}, and "mask": (B, length) when evaluating.

    The loss is the mean over tokens of -log p in nats; "count" counts tokens.
    """
    net = Network(model, tx, precision)

    def init(key: Array) -> State:
        return net.init(key, {"tokens": jnp.zeros((1, length), jnp.int32)})

    def step(state: State, batch: dict[str, Array], key: Array) -> tuple[State, Metrics]:
        inputs, targets = batch["tokens"][:, :-1], batch["tokens"][:, 1:]

        def loss_fn(logits: Array) -> tuple[Array, Metrics]:
            return losses.token_cross_entropy(logits, targets).mean(), {}

        return net.descend(state, {"tokens": inputs}, key, loss_fn)

    def evaluate(state: State, batch: dict[str, Array]) -> Metrics:
        inputs, targets = batch["tokens"][:, :-1], batch["tokens"][:, 1:]
        logits = net.evaluate(state, {"tokens": inputs})
        sums = {
            "loss": losses.token_cross_entropy(logits, targets),
            "accuracy": is_correct(logits, targets),
            "count": jnp.ones_like(batch["mask"]),
        }
        return {name: jnp.sum(value * batch["mask"]) for name, value in sums.items()}

    return Task(init, step, evaluate)
