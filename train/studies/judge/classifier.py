"""The classifier in whose features made images are compared with real ones: a run of this zoo on the same data."""

import dataclasses
from functools import partial
from pathlib import Path
from typing import Any

import jax
import numpy as np
from flax import linen as nn
from jax import Array
from rich.console import Console

import train.loop.run
from train.algorithms.averages import evaluation_params
from train.config import Classify, Data, Experiment, Model, Optim, files
from train.data.decode import bring
from train.data.inputs import Inputs, images
from train.loop.fit import fit
from train.loop.restore import assemble_run, finished, restore
from train.loop.run import Run
from zoo.errors import UserError

BLOCK = 500  # images at a time
HEAD = "head"  # name of the last layer in every classifier of the zoo


@dataclasses.dataclass(frozen=True)
class Classifier:
    """A trained classifier, its best checkpoint."""

    name: str  # of its model
    path: Path  # of its run
    accuracy: float  # on the test split, from its summary
    classes: int
    model: nn.Module
    variables: dict[str, Any]
    inputs: Inputs
    shape: tuple[int, int, int]  # of what it is shown
    fit: str

    def __call__(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Images (N, H, W, C) uint8 -> features (N, D) float32, what its last layer reads, and labels (N,) int."""
        features, labels = [], []
        for start in range(0, len(x), BLOCK):
            block = np.stack([bring(image, self.shape, self.fit) for image in x[start : start + BLOCK]])
            read, logits = _read(self.model, self.variables, self.inputs.evaluate({"x": block})["x"])
            features.append(np.asarray(read))
            labels.append(np.asarray(logits).argmax(axis=-1))
        return np.concatenate(features), np.concatenate(labels)


@partial(jax.jit, static_argnums=0)
def _read(model: nn.Module, variables: dict[str, Any], x: Array) -> tuple[Array, Array]:
    """(what the layer called "head" is given, logits)."""
    given = []

    def note(call: Any, args: tuple, kwargs: dict, context: nn.module.InterceptorContext) -> Any:
        if context.module.path == (HEAD,) and context.method_name == "__call__":
            given.append(args[0])
        return call(*args, **kwargs)

    with nn.intercept_methods(note):
        logits = model.apply(variables, x, train=False)
    return given[0].reshape(len(x), -1), logits


def experiment_for(data: Data) -> Experiment:
    """How the classifier of a data set is trained where the user names none: the set's LeNet-5 config, or one like it.

    Validation is cut from the training split as for the run that is judged; test images are never trained on.
    """
    known = f"{data.name}_lenet5"
    if known in files.names():
        experiment = files.load(known)
    else:
        experiment = Experiment(
            model=Model("lenet5", {"activation": "relu", "pooling": "max"}),
            data=Data(data.name, batch=128, image_size=32, fit=data.fit),
            optim=Optim("adam", lr=1e-3, schedule="cosine"),
            steps=4_000,
            eval_every_steps=500,
        )
    same = dataclasses.replace(experiment.data, validation=data.validation, split_seed=data.split_seed)
    return dataclasses.replace(experiment, data=same)


def find(path: str, data: Data) -> Run:
    """The run that the user names. UserError where it is unfinished or no classifier of the same data."""
    run = train.loop.run.load(path)
    own = run.experiment
    if not isinstance(own.task, Classify) or not isinstance(own.data, Data):
        raise UserError(f"--classifier: {run.path} is of the task {own.task.name!r}, not a classifier of images")
    if own.data.name != data.name:
        raise UserError(f"--classifier: {run.path} knows {own.data.name}, and the images are made after {data.name}")
    if not train.loop.run.read_summary(run.path):
        raise UserError(f"--classifier: {run.path} is not finished: zoo train --resume {run.path}")
    return run


def train_or_find(data: Data, workdir: Path, console: Console) -> Run:
    """The finished run of `experiment_for(data)` in `workdir`, trained first if there is none."""
    experiment = experiment_for(data)
    name = f"{data.name.replace('/', '_').replace(':', '_')}_lenet5"
    run = finished(workdir / name, experiment)
    if run is None:
        parts = assemble_run(experiment)
        run = train.loop.run.create(name, experiment, workdir)
        console.print(
            f"training the classifier that judges: {experiment.model.name} on {data.name}, "
            f"{experiment.steps:,} steps, kept in {run.path}",
            soft_wrap=True,
            highlight=False,
        )
        fit(run, parts, console)
    return run


def load(run: Run) -> Classifier:
    """The best checkpoint of a finished run."""
    parts, state = restore(run, "best")
    dataset, data = parts.dataset, run.experiment.data
    moments = (dataset.mean, dataset.std) if data.normalize else (0.0, 1.0)
    return Classifier(
        run.experiment.model.name,
        run.path,
        train.loop.run.read_summary(run.path).test["accuracy"],
        dataset.classes,
        parts.model,
        {"params": evaluation_params(state), **state.vars["net"]},
        images(dataset.shape, data.augment, *moments),
        dataset.shape,
        data.fit,
    )
