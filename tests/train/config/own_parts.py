"""A config file that brings its own model and data set, and a helper beside it: what the tests of the doors write."""

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
'''
CONFIG = '''\
"""A model, a data set and a config of my own."""

import zoo
from flax import linen as nn
from made import images

import train.data
from train.config import Data, Experiment, Model, Optim


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
train.data.register("squares", images, classes=("top", "middle", "bottom"))

CONFIG = Experiment(
    model=Model("mine", {"width": 16}),
    data=Data("squares", batch=16),
    optim=Optim("adam", lr=1e-2),
    steps=20,
    eval_every_steps=10,
)
'''


def write(folder: Path) -> Path:
    """Write my.py and its helper made.py, and return the first."""
    folder.mkdir(exist_ok=True)
    (folder / "made.py").write_text(MADE)
    (folder / "my.py").write_text(CONFIG)
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
