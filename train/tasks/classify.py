"""Classification: images and labels in, one descent a step on the mean loss over the batch."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import linen as nn
from jax import Array

from train import losses
from train.core import Metrics, State, Task, descend
from train.data.augment import augment, for_evaluation, output_shape, parse
from train.optimizers import ema_params

TOP5_CLASSES = 100  # with this many classes or more, accuracy among the five likeliest is reported as well
LOSSES = {"cross_entropy": losses.cross_entropy, "mse": losses.mean_squared_error}


def classify(
    model: nn.Module,
    tx: optax.GradientTransformation,
    *,
    image_shape: tuple[int, int, int],
    classes: int,
    loss: str = "cross_entropy",
    label_smoothing: float = 0.0,
    augmentations: tuple[str, ...] = (),
    mean: np.ndarray | float = 0.0,
    std: np.ndarray | float = 1.0,
    precision: str = "float32",
) -> Task:
    """A Task over batches {"x": (B, *image_shape) uint8, "y": (B,) int32, and "mask": (B,) when evaluating}.

    x is brought to 0..1, augmented in training (in evaluation only cropped, where training crops), then normalized
    with `mean` and `std`, each () or (C,). With precision "bfloat16" parameters and inputs are cast for the forward
    and backward pass; parameters, updates, losses and batch statistics stay float32. If the optimizer keeps an
    average of the weights, that average is evaluated.
    """
    operations = parse(augmentations, image_shape)
    per_example_loss = LOSSES[loss]
    compute_dtype = jnp.dtype(precision)
    mean, std = (np.reshape(moment, (1, 1, 1, -1)).astype(np.float32) for moment in (mean, std))

    def forward(params: Any, variables: Any, x: Array, **kwargs: Any) -> Any:
        x = (x - mean) / std
        params, x = jax.tree.map(lambda leaf: leaf.astype(compute_dtype), (params, x))
        return model.apply({"params": params, **variables}, x, **kwargs)

    def init(key: Array) -> State:
        variables = dict(model.init(key, jnp.zeros((1, *output_shape(operations, image_shape))), train=False))
        params = variables.pop("params")
        return State(jnp.zeros((), jnp.int32), {"net": params}, {"net": tx.init(params)}, {"net": variables})

    def step(state: State, batch: dict[str, Array], key: Array) -> tuple[State, Metrics]:
        augment_key, dropout_key = jax.random.split(key)
        labels = losses.one_hot(batch["y"], classes, label_smoothing)
        x, labels = augment(operations, augment_key, batch["x"].astype(jnp.float32) / 255, labels)

        def loss_fn(params: Any) -> tuple[Array, tuple[Any, Metrics]]:
            how = {"train": True, "rngs": {"dropout": dropout_key}, "mutable": list(state.vars["net"])}
            logits, updated = forward(params, state.vars["net"], x, **how)
            correct = logits.argmax(-1) == labels.argmax(-1)
            return per_example_loss(logits, labels).mean(), (updated, {"accuracy": correct.mean()})

        return descend(state, "net", tx, loss_fn)

    def evaluate(state: State, batch: dict[str, Array]) -> Metrics:
        params = ema_params(state.opt["net"]) or state.params["net"]
        x = for_evaluation(operations, batch["x"]).astype(jnp.float32) / 255
        logits = forward(params, state.vars["net"], x, train=False)
        labels = losses.one_hot(batch["y"], classes)
        sums = {
            "loss": per_example_loss(logits, labels),
            "accuracy": logits.argmax(-1) == batch["y"],
            **({"top5_accuracy": _in_top(logits, batch["y"], 5)} if classes >= TOP5_CLASSES else {}),
            "count": jnp.ones_like(batch["mask"]),
        }
        return {name: jnp.sum(value * batch["mask"]) for name, value in sums.items()}

    return Task(init, step, evaluate)


def _in_top(logits: Array, labels: Array, k: int) -> Array:
    """(B,) bool: whether fewer than k classes have a higher logit than the label's."""
    own = jnp.take_along_axis(logits, labels[:, None], axis=-1)
    return jnp.sum(logits > own, axis=-1) < k
