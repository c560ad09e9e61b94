"""What `zoo bench` trains each model on: random examples of the size on its card, by the task its family is for."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from train.algorithms.optimizers import make_optimizer
from train.config import Optim
from train.core import Task
from train.data.inputs import images
from train.data.sources import Batch, Resident, Windows
from train.tasks.adversarial.task import adversarial
from train.tasks.classify.task import classify
from train.tasks.contrast.task import contrast
from train.tasks.text.language import language
from train.tasks.text.masked import Marks, masked
from train.tasks.text.translate import translate
from zoo.cards import Card
from zoo.measure import count_flops

OPTIM = Optim("momentum", lr=0.01)
MARKS = Marks(cls=1, sep=2, mask=3)
UNPOSED = ("dqn",)  # families that learn from no batches
LONGEST = 128  # tokens, unless more are asked for: a step of bert at its 512 takes a CPU many seconds


def measurable(card: Card) -> bool:
    """Whether there is a task here for the model of `card`."""
    return card.family not in UNPOSED


def text_length(card: Card, length: int | None = None) -> int | None:
    """Tokens of a text, `length` or those on the card, at most 128; None for a model that reads no text."""
    text = card.inputs.get("tokens") or card.inputs.get("source")
    return (length or min(LONGEST, *text[0])) if text else None


def training(card: Card, batch: int, length: int | None = None) -> tuple[Task, Resident | Windows]:
    """A task for the model of a `measurable` card, and four batches for it; texts have no padding."""
    tx, length = make_optimizer(OPTIM, 1), text_length(card, length)
    if card.family == "simclr":
        shape, _ = card.inputs["x"]
        views = (f"resized_crop_{shape[0]}", "flip", "color_0.5", "grey_0.2")
        task = contrast(card.make(), tx, images(shape, views), temperature=0.5)
        examples = {"x": _draw(0, 256, jnp.uint8, *shape)}
    elif "z" in card.inputs:
        model, shape = card.make(), card.output[0]
        low, high = model.RANGE
        task = adversarial(model, tx, tx, images(shape, (), -low / (high - low), 1 / (high - low)))
        examples = {"x": _draw(0, 256, jnp.uint8, *shape), "y": _draw(0, 1, jnp.int32)}
    elif length is None:
        shape, _ = card.inputs["x"]
        task = classify(card.make(), tx, images(shape), classes=card.output[-1])
        examples = {"x": _draw(0, 256, jnp.uint8, *shape), "y": _draw(0, card.output[-1], jnp.int32)}
    elif hasattr(card.config, "head"):
        vocab = card.config.vocab
        task = masked(card.make(head="pretrain"), tx, length=length, vocab=vocab, marks=MARKS)
        half = _draw(4, vocab, jnp.int32, (length - 3) // 2)
        examples = {"a": half, "b": half}
    elif "source" in card.inputs:
        task = translate(card.make(), tx)
        source = getattr(card.config, "source_vocab", card.config.vocab)
        examples = {
            "source": _draw(4, source, jnp.int32, length),
            "target": _draw(4, card.config.vocab, jnp.int32, length + 1),
        }
    else:
        task = language(card.make(), tx, length=length)
        text = _draw(0, card.config.vocab, jnp.int32)(jax.random.key(0), 4 * batch * length + 1)
        return task, Windows(text, batch, length)
    drawn = {name: draw(jax.random.key(number), 4 * batch) for number, (name, draw) in enumerate(examples.items())}
    return task, Resident(drawn, batch)


def first_batch(data: Resident | Windows) -> Batch:
    """What the first step is shown."""
    return data.feed(_first(data.plan(jax.random.key(0), jnp.int32(0), 1)), lambda batch: batch)


def forward_flops(task: Task, data: Resident | Windows) -> int:
    """Operations of one batch's forward pass, counted as on the cards."""
    state = jax.eval_shape(task.init, jax.random.key(0))
    return count_flops(lambda state: data.feed(_first(data.sweep()), partial(task.evaluate, state)), state)


def _first(planned: Any) -> Any:
    return jax.tree.map(lambda leaf: leaf[0], planned)


def _draw(low: int, high: int, dtype: Any, *shape: int) -> Any:
    def draw(key: Array, count: int) -> Array:
        return jax.random.randint(key, (count, *shape), low, high).astype(dtype)

    return draw
