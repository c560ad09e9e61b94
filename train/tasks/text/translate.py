"""Translation: predict each target token from the source and the true target tokens before it (teacher forcing)."""

import jax.numpy as jnp
import optax
from flax import linen as nn
from jax import Array

from train.algorithms import losses
from train.algorithms.accumulate import by_sums
from train.core import Loss, Mean, Metrics, State, Task
from train.metrics.accuracy import is_correct
from train.tasks.network import Network


def translate(
    model: nn.Module,
    tx: optax.GradientTransformation,
    *,
    label_smoothing: float = 0.0,
    precision: str = "float32",
) -> Task:
    """Build the Task over {"source": (B, S), "target": (B, T + 1)} integer, padded with 0; "mask" (B,) when evaluating.

    A target begins with [BOS] and ends with [EOS]. The loss is the mean of -log p, in nats, over the real target tokens
    of a batch. It is smoothed in training only (Szegedy et al. 2015, section 7). "count" counts tokens.
    """
    net = Network(model, by_sums(tx, 1), precision)

    def shift(batch: dict[str, Array]) -> tuple[dict[str, Array], Array, Array]:
        """Shift the target by one: (arguments of the model, targets (B, T), 1 where a target is no padding (B, T))."""
        source, target = (batch[name].astype(jnp.int32) for name in ("source", "target"))
        targets = target[:, 1:]
        inputs = {"source": source, "source_mask": source != 0, "target": target[:, :-1]}
        return inputs, targets, (targets != 0).astype(jnp.float32)

    def init(key: Array) -> State:
        one = jnp.ones((1, 2), jnp.int32)
        return net.init(key, {"source": one, "source_mask": one != 0, "target": one})

    def step(state: State, batch: dict[str, Array], key: Array) -> tuple[State, Metrics]:
        inputs, targets, real = shift(batch)

        def loss_fn(logits: Array) -> tuple[Loss, Metrics]:
            loss = losses.token_cross_entropy(logits, targets, label_smoothing)
            correct = is_correct(logits, targets)
            return (Mean(jnp.sum(loss * real), real.sum()),), {"accuracy": jnp.sum(correct * real) / real.sum()}

        return net.descend(state, inputs, key, loss_fn)

    def evaluate(state: State, batch: dict[str, Array]) -> Metrics:
        inputs, targets, real = shift(batch)
        logits = net.evaluate(state, inputs)
        sums = {
            "loss": losses.token_cross_entropy(logits, targets),
            "accuracy": is_correct(logits, targets),
            "count": jnp.ones_like(real),
        }
        return {name: jnp.sum(value * real * batch["mask"][:, None]) for name, value in sums.items()}

    return Task(init, step, evaluate)
