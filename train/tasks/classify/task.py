"""Classification of images or sentences: one gradient step on the mean loss over each batch."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import linen as nn
from jax import Array

from train.algorithms import losses
from train.algorithms.accumulate import by_sums
from train.config import Classify
from train.config.losses import LOSSES
from train.config.ways import resolve
from train.core import Loss, Metrics, State, Task
from train.data.inputs import Inputs
from train.metrics.accuracy import is_among_top, is_correct
from train.tasks.classify.weights import weighted_mean
from train.tasks.network import Network

TOP5_CLASSES = 100  # from this many classes on, top-5 accuracy is reported as well
MOST_CONFUSED = 5_000  # classes of which a confusion matrix is counted: it takes 100 MB


def classify(
    model: nn.Module,
    tx: optax.GradientTransformation,
    inputs: Inputs,
    *,
    classes: int,
    config: Classify = Classify(),  # noqa: B008  frozen
    weights: np.ndarray | None = None,
    precision: str = "float32",
) -> Task:
    """Build the Task over batches that `inputs` accepts, with "y": (B,) int32, and "mask": (B,) when evaluating.

    config: gives the loss, the label smoothing and the initial kernels.
    weights: of the classes in the training loss, float32 (classes,). A batch may bring its own as "class_weights".
    """
    net = Network(model, tx if weights is None else by_sums(tx, 1), precision, config.initial)
    per_example_loss = resolve(LOSSES.find(config.loss))

    def init(key: Array) -> State:
        return net.init(key, inputs.example())

    def step(state: State, batch: dict[str, Array], key: Array) -> tuple[State, Metrics]:
        augment_key, dropout_key = jax.random.split(key)
        one_hot = losses.one_hot(batch["y"], classes, config.label_smoothing)
        augmented, labels = inputs.train(augment_key, batch, one_hot)

        def loss_fn(logits: Array) -> tuple[Loss, Metrics]:
            accuracy: Metrics = {"accuracy": is_correct(logits, labels.argmax(-1)).mean()}
            if weights is None:
                return per_example_loss(logits, labels).mean(), accuracy
            own = jnp.asarray(batch.get("class_weights", weights))[None]
            return (weighted_mean(per_example_loss, logits, labels, own, config.label_smoothing),), accuracy

        return net.descend(state, augmented, dropout_key, loss_fn)

    def predict(state: State, batch: dict[str, Array]) -> Array:
        return net.evaluate(state, inputs.evaluate(batch))

    def evaluate(state: State, batch: dict[str, Array]) -> Metrics:
        return sums(predict(state, batch), batch)

    def confuse(state: State, batch: dict[str, Array]) -> tuple[Metrics, Array]:
        logits = predict(state, batch)
        return sums(logits, batch), confusion_matrix(logits, batch["y"], batch["mask"])

    def correct(state: State, batch: dict[str, Array]) -> tuple[Metrics, Array]:
        logits = predict(state, batch)
        return sums(logits, batch), is_correct(logits, batch["y"]) * batch["mask"]

    def sums(logits: Array, batch: dict[str, Array]) -> Metrics:
        values = {
            "loss": per_example_loss(logits, losses.one_hot(batch["y"], classes)),
            "accuracy": is_correct(logits, batch["y"]),
        }
        if classes >= TOP5_CLASSES:
            values["top5_accuracy"] = is_among_top(logits, batch["y"], 5)
        values["count"] = jnp.ones_like(batch["mask"])
        return {name: jnp.sum(value * batch["mask"]) for name, value in values.items()}

    return Task(init, step, evaluate, predict, confuse if classes <= MOST_CONFUSED else None, correct)


def confusion_matrix(logits: Array, labels: Array, mask: Array) -> Array:
    """Count the examples of each true class (row) that were taken for each class (column): int32 (C, C).

    logits (B, C), labels (B,) integer, mask (B,): 1 for an example, 0 for padding, which is not counted. A row that is
    not finite is wrong: it counts as taken for the next class.
    """
    classes = logits.shape[-1]
    found = jnp.where(jnp.isfinite(logits).all(-1), logits.argmax(-1), (labels + 1) % classes)
    return jnp.zeros((classes, classes), jnp.int32).at[labels, found].add(mask.astype(jnp.int32))
