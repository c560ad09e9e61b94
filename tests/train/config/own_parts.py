"""Config files that bring their own parts, and a module beside them: what the tests of the doors write."""

import sys
from pathlib import Path

import zoo.registry
from train.config import files, source

MADE = '''\
"""Images of a bright square in one of three places."""

import numpy as np


def images():
    random = np.random.default_rng(0)
    y = np.arange(180) % 3
    x = random.integers(0, 60, (180, 8, 8, 1))
    for image, label in zip(x, y):
        image[2 * label : 2 * label + 3, 2:6] += 150
    return x.astype(np.uint8), y


def numbers():
    """The same images; where the square lies, from 0 to 1, is what is to be found."""
    x, y = images()
    return x, y / 2
'''
CONFIG = '''\
"""A model, a data set and a config of my own."""

import zoo
from flax import linen as nn
from made import images

import train.algorithms
import train.data
from train.config import Classify, Data, Experiment, Model, Optim


class Mine(nn.Module):
    classes: int = 3
    width: int = 8

    def setup(self):
        self.hidden = nn.Dense(self.width)
        self.head = nn.Dense(self.classes)

    def represent(self, x, *, train):
        return nn.relu(self.hidden(x.reshape(x.shape[0], -1)))

    def __call__(self, x, *, train):
        return self.head(self.represent(x, train=train))


zoo.register("mine", Mine, inputs=zoo.cards.image(8, 8, 1))
train.algorithms.register_loss("far", lambda logits, labels: abs(nn.softmax(logits) - labels).sum(-1))
train.data.register("squares", images, classes=("top", "middle", "bottom"))

CONFIG = Experiment(
    model=Model("mine", {"width": 16}),
    data=Data("squares", batch=16),
    optim=Optim("adam", lr=1e-2),
    task=Classify(loss="far"),
    steps=20,
    eval_every_steps=10,
)
'''
REGRESSION = '''\
"""A model, a data set, a task, its losses and its metric of my own: a number for each image."""

import dataclasses
from typing import Literal

import jax.numpy as jnp
import zoo
from flax import linen as nn
from made import numbers

import train.data
import train.metrics
import train.tasks
from train.config import Data, Experiment, Model, Optim
from train.core import Task
from train.data.inputs import images
from train.tasks.images import evaluators, feeder
from train.tasks.network import Network
from train.tasks.setup import Setup, make_model, make_optimizer, sizes

LOSSES = {"squared": jnp.square, "absolute": jnp.abs}


class Line(nn.Module):
    width: int = 8

    @nn.compact
    def __call__(self, x):
        x = nn.relu(nn.Dense(self.width)(x.reshape(x.shape[0], -1)))
        return nn.Dense(1)(x)


@dataclasses.dataclass(frozen=True)
class Regress:
    """A number for each image."""

    name: Literal["regress"] = "regress"
    loss: Literal["squared", "absolute"] = "squared"
    """Of the distance from the target."""


def regression(net, inputs, loss):
    def distance(output, batch):
        return output[:, 0] - batch["y"]

    def step(state, batch, key):
        arguments, _ = inputs.train(key, batch, jnp.zeros((len(batch["y"]), 1)))
        return net.descend(state, arguments, key, lambda output: (LOSSES[loss](distance(output, batch)).mean(), {}))

    def evaluate(state, batch):
        far = jnp.abs(distance(net.evaluate(state, inputs.evaluate(batch)), batch))
        return {"miss": jnp.sum(far * batch["mask"]), "count": batch["mask"].sum()}

    return Task(lambda key: net.init(key, inputs.example()), step, evaluate)


def setup(experiment, task, data):
    dataset = train.data.load(data)
    model, inputs = make_model(experiment), images(dataset.shape, data.augment, dataset.mean, dataset.std)

    def build(changed):
        return regression(Network(model, make_optimizer(changed), changed.precision), inputs, changed.task.loss)

    learning = build(experiment)
    return Setup(
        dataset,
        model,
        learning,
        build,
        *sizes(learning, model, inputs.example()),
        feed=feeder(experiment, dataset),
        evaluator=evaluators(experiment, dataset, learning),
    )


zoo.register("line", Line, inputs=zoo.cards.image(8, 8, 1))
train.data.register("places", numbers)
train.metrics.register("miss", better="lower", low=0.0)
train.tasks.register("regress", config=Regress, setup=setup, learns_from=(Data,), metrics=("miss",))

CONFIG = Experiment(
    model=Model("line"),
    data=Data("places", batch=16),
    optim=Optim("adam", lr=1e-2),
    task=Regress(loss="absolute"),
    steps=120,
    eval_every_steps=10,
)
'''


def write(folder: Path, config: str = CONFIG) -> Path:
    """Write my.py and the module made.py beside it, and return the first."""
    folder.mkdir(exist_ok=True)
    (folder / "made.py").write_text(MADE)
    (folder / "my.py").write_text(config)
    return folder / "my.py"


def forget() -> None:
    """Forget every user's file, as a new process would."""
    for registry in list(zoo.registry._registries):
        for name in [name for name in registry if registry.owner(name) is not None]:
            registry.remove(name)
    for file, (_, module) in files._loaded.items():
        sys.modules.pop(module.__name__, None)
        del file
    for name in source._modules:
        sys.modules.pop(name, None)
    files._loaded.clear()
    source._modules.clear()
