"""The training task of each model in `zoo bench`: random examples of the size on its card, and its family's task."""

import dataclasses
from functools import partial
from typing import Any, cast

import jax
import jax.numpy as jnp
from jax import Array

from train.algorithms.optimizers import make_optimizer
from train.config import Model, Optim, QLearning, files
from train.core import State, Task
from train.data.inputs import images
from train.data.masks.inputs import masked as masked_images
from train.data.sources import Batch, Resident, Windows
from train.tasks.adversarial.task import adversarial
from train.tasks.assemble import assemble
from train.tasks.classify.task import classify
from train.tasks.contrast.task import contrast
from train.tasks.q_learning.setup import Nothing
from train.tasks.segment.task import segment
from train.tasks.setup import narrow
from train.tasks.text.language import language
from train.tasks.text.masked import Marks, Shape, masked
from train.tasks.text.translate import translate
from zoo.cards import Card
from zoo.measure import count_flops

OPTIM = Optim("momentum", lr=0.01)
MARKS = Marks(cls=1, sep=2, mask=3)
WITHOUT_BATCHES = ("dqn",)  # families that do not learn from batches of data
AGENTS = {"dqn_mlp": "cartpole_dqn"}
"""Model -> the config of the agent that is measured with it: only CartPole needs no emulator."""
LONGEST = 128  # default limit of tokens: on a CPU a step of bert at its 512 takes many seconds


def measurable(card: Card) -> bool:
    """Return whether there is a task here for the model of `card`."""
    return card.family not in WITHOUT_BATCHES or card.name in AGENTS


def text_length(card: Card, length: int | None = None) -> int | None:
    """Return the tokens per text: `length`, else those of the card up to 128. None for a model without text input."""
    text = card.inputs.get("tokens") or card.inputs.get("source")
    return (length or min(LONGEST, *text[0])) if text else None


def training(
    card: Card, batch: int, length: int | None = None, *, augment: bool = True
) -> tuple[Task, Resident | Windows | Nothing]:
    """Return a task for the model of a `measurable` card, and four batches for it. Texts have no padding.

    augment: draw SimCLR's two views inside the step. Without it they are two times the same image.
    """
    if card.name in AGENTS:
        return _acting(card, batch), Nothing()
    tx, length = make_optimizer(OPTIM, 1), text_length(card, length)
    if card.family == "simclr":
        shape = _image(card.inputs["x"][0])
        views = (f"resized_crop_{shape[0]}", "flip", "color_0.5", "grey_0.2") if augment else ()
        task = contrast(card.make(), tx, images(shape, views), temperature=0.5)
        examples = {"x": _uniform(0, 256, jnp.uint8, *shape)}
    elif "z" in card.inputs:
        model, shape = card.make(), _image(card.output[0])
        low, high = model.RANGE
        task = adversarial(model, tx, tx, images(shape, (), -low / (high - low), 1 / (high - low)))
        examples = {"x": _uniform(0, 256, jnp.uint8, *shape), "y": _uniform(0, 1, jnp.int32)}
    elif card.of_pixels:
        shape, (height, width, classes) = _image(card.inputs["x"][0]), _image(card.output)
        task = segment(card.make(), tx, masked_images(shape), classes=classes)
        examples = {"x": _uniform(0, 256, jnp.uint8, *shape), "y": _uniform(0, classes, jnp.uint8, height, width)}
    elif length is None:
        shape, classes = _image(card.inputs["x"][0]), card.output[-1]
        assert isinstance(classes, int), f"{card.name} has several outputs"
        task = classify(card.make(), tx, images(shape), classes=classes)
        examples = {"x": _uniform(0, 256, jnp.uint8, *shape), "y": _uniform(0, classes, jnp.int32)}
    elif hasattr(card.config, "head"):
        vocab = card.config.vocab
        task = masked(card.make(head="pretrain"), tx, Shape(length, vocab, MARKS))
        half = _uniform(4, vocab, jnp.int32, (length - 3) // 2)
        examples = {"a": half, "b": half}
    elif "source" in card.inputs:
        task = translate(card.make(), tx)
        source = getattr(card.config, "source_vocab", card.config.vocab)
        examples = {
            "source": _uniform(4, source, jnp.int32, length),
            "target": _uniform(4, card.config.vocab, jnp.int32, length + 1),
        }
    else:
        task = language(card.make(), tx, length=length)
        text = _uniform(0, card.config.vocab, jnp.int32)(jax.random.key(0), 4 * batch * length + 1)
        return task, Windows(text, batch, length)
    arrays = {name: sample(jax.random.key(seed), 4 * batch) for seed, (name, sample) in enumerate(examples.items())}
    return task, Resident(arrays, batch)


def _acting(card: Card, batch: int) -> Task:
    """Return the task of an agent: a step is `train_every` steps of the environment and one update on `batch` of them.

    Everything but model and batch is that of its config. It starts in the middle of the fall of epsilon, where half of
    the actions are random.
    """
    experiment = files.load(AGENTS[card.name])
    learning = narrow(experiment.task, QLearning)
    task = assemble(
        dataclasses.replace(experiment, model=Model(card.name), data=dataclasses.replace(experiment.data, batch=batch))
    ).task
    middle = learning.epsilon_steps // 2 // learning.train_every

    def init(key: Array) -> State:
        state = task.init(key)
        return state.replace(step=state.step + middle)

    return task._replace(init=init)


def first_batch(data: Resident | Windows | Nothing) -> Batch | None:
    """Return the batch of the first step."""
    return data.feed(_first(data.plan(jax.random.key(0), jnp.int32(0), 1)), lambda batch: batch)


def forward_flops(task: Task, data: Resident | Windows | Nothing) -> int | None:
    """Return the FLOPs of one batch's forward pass, counted as on the cards. None for an agent, which also acts."""
    if isinstance(data, Nothing):
        return None
    state = jax.eval_shape(task.init, jax.random.key(0))
    return count_flops(lambda state: data.feed(_first(data.sweep()), partial(task.evaluate, state)), state)


def _image(shape: object) -> tuple[int, int, int]:
    """Return `shape` itself, the shape of an image."""
    # Nothing is checked: a classifier that a user registers may take another shape, which works without augmentation.
    return cast(tuple[int, int, int], shape)


def _first(planned: Any) -> Any:
    return jax.tree.map(lambda leaf: leaf[0], planned)


def _uniform(low: int, high: int, dtype: Any, *shape: int) -> Any:
    def sample(key: Array, count: int) -> Array:
        return jax.random.randint(key, (count, *shape), low, high).astype(dtype)

    return sample
