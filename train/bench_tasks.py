"""What `zoo bench` trains each model on: random examples of the size on its card, by the task its family is for."""

from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from train.config import Optim
from train.core import Task
from train.data.device import Resident
from train.optimizers import make_optimizer
from train.tasks.classify import classify
from train.tasks.inputs import images
from train.tasks.language import language
from train.tasks.masked import Marks, masked
from train.tasks.translate import translate
from zoo.cards import Card

OPTIM = Optim("momentum", lr=0.01)
MARKS = Marks(cls=1, sep=2, mask=3)


def training(card: Card, batch: int) -> tuple[Task, Resident]:
    """A task for the model of `card`, and four batches for it."""
    tx = make_optimizer(OPTIM, 1)
    sizes = {name: shape for name, (shape, _) in card.inputs.items()}
    if "x" in sizes:
        task = classify(card.make(), tx, images(sizes["x"]), classes=card.output[-1])
        examples = {"x": _draw(0, 256, jnp.uint8, *sizes["x"]), "y": _draw(0, card.output[-1], jnp.int32)}
    elif hasattr(card.config, "head"):
        (length,), vocab = sizes["tokens"], card.config.vocab
        task = masked(card.make(head="pretrain"), tx, length=length, vocab=vocab, marks=MARKS)
        half = _draw(4, vocab, jnp.int32, (length - 3) // 2)
        examples = {"a": half, "b": half}
    elif "source" in sizes:
        task = translate(card.make(), tx)
        source = getattr(card.config, "source_vocab", card.config.vocab)
        examples = {
            "source": _draw(4, source, jnp.int32, *sizes["source"]),
            "target": _draw(4, card.config.vocab, jnp.int32, sizes["target"][0] + 1),
        }
    else:
        (length,) = sizes["tokens"]
        task = language(card.make(), tx, length=length)
        examples = {"tokens": _draw(0, card.config.vocab, jnp.int32, length + 1)}
    drawn = {name: draw(jax.random.key(number), 4 * batch) for number, (name, draw) in enumerate(examples.items())}
    return task, Resident(drawn, batch)


def _draw(low: int, high: int, dtype: Any, *shape: int) -> Any:
    def draw(key: Array, count: int) -> Array:
        return jax.random.randint(key, (count, *shape), low, high).astype(dtype)

    return draw
