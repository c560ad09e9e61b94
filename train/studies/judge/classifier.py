"""The classifier whose features compare generated images with real ones: a run of this zoo on the same data set."""

import dataclasses
from functools import partial
from pathlib import Path
from typing import Any, cast

import jax
import numpy as np
from flax import linen as nn
from jax import Array
from rich.console import Console

import train.loop.run
from train.algorithms.averages import evaluation_variables
from train.config import Classify, Data, Experiment, Model, Optim, files
from train.config.files import ConfigFile
from train.core import devices
from train.data.decode import bring
from train.data.inputs import Inputs, images
from train.loop.fit import fit
from train.loop.restore import opened, restore
from train.loop.run import Run
from train.tasks.setup import narrow
from zoo.errors import UserError

BLOCK = 500  # images per call
HEAD = "head"  # name of the last layer in every classifier of the zoo


@dataclasses.dataclass(frozen=True)
class Classifier:
    """A trained classifier, from its best checkpoint."""

    name: str  # of its model
    path: Path  # of its run
    accuracy: float  # on the test split, of that checkpoint
    classes: int
    model: nn.Module
    variables: dict[str, Any]
    inputs: Inputs
    shape: tuple[int, int, int]  # of its input images
    fit: str

    def __call__(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the features (N, D) float32, which are the input of the last layer, and the predicted labels (N,).

        x: (N, H, W, C) uint8.
        """
        features, labels = [], []
        for start in range(0, len(x), BLOCK):
            block = np.stack([bring(image, self.shape, self.fit) for image in x[start : start + BLOCK]])
            inputs = self.inputs.evaluate({"x": cast(Array, block)})  # they take NumPy's arrays too
            block_features, logits = _forward(self.model, self.variables, inputs["x"])
            features.append(np.asarray(block_features))
            labels.append(np.asarray(logits).argmax(axis=-1))
        return np.concatenate(features), np.concatenate(labels)


@partial(jax.jit, static_argnums=0)
def _forward(model: nn.Module, variables: dict[str, Any], x: Array) -> tuple[Array, Array]:
    """Return the input of the layer "head", flattened to (N, D), and the logits."""
    head_inputs = []

    def record(call: Any, args: tuple, kwargs: dict, context: nn.module.InterceptorContext) -> Any:
        if context.module.path == (HEAD,) and context.method_name == "__call__":
            head_inputs.append(args[0])
        return call(*args, **kwargs)

    with nn.intercept_methods(record):
        logits = model.apply(variables, x, train=False)
    # Without `mutable`, `apply` returns the output alone.
    return head_inputs[0].reshape(len(x), -1), cast(Array, logits)


def experiment_for(data: Data) -> Experiment:
    """Return the default classifier of a data set: the LeNet-5 config for it, or one like it.

    Its validation split is that of the judged run. Test images are never trained on. Scenes keep their size and preset.
    """
    known = f"{data.name}_lenet5"
    if known in files.names() and data.plain() == Data(data.name):  # else the config there is of other examples
        experiment = files.load(known)
    else:
        experiment = Experiment(
            model=Model("lenet5", {"activation": "relu", "pooling": "max"}),
            data=dataclasses.replace(data.plain(), batch=128, image_size=32, fit=data.fit),
            optim=Optim("adam", lr=1e-3, schedule="cosine"),
            steps=4_000,
            eval_every_steps=500,
        )
    same = dataclasses.replace(experiment.data, validation=data.validation, split_seed=data.split_seed)
    return dataclasses.replace(experiment, data=same)


def find(path: str, data: Data, config: Path | None = None) -> Run:
    """Return the run at `path`. Raises UserError where it is unfinished or not a classifier of the same data set."""
    run = train.loop.run.load(path, config)
    own = run.experiment
    if not isinstance(own.task, Classify) or not isinstance(own.data, Data):
        raise UserError(f"--classifier: {run.path} has the task {own.task.name!r}, so it is no classifier of images")
    if own.data.name != data.name:
        raise UserError(
            f"--classifier: {run.path} was trained on {own.data.name}, and the generator was trained on {data.name}"
        )
    if not train.loop.run.read_summary(run.path):
        raise UserError(f"--classifier: {run.path} is not finished: zoo train --resume {run.path}")
    return run


def train_or_find(data: Data, workdir: Path, console: Console, source: ConfigFile | None = None) -> Run:
    """Return the finished run of `experiment_for(data)` in `workdir`; train it if there is none.

    source: the user's own config file that may bring the data.
    """
    experiment = experiment_for(data)
    name = f"{data.name.replace('/', '_').replace(':', '_')}_lenet5"
    run, setup, resume = opened(name, experiment, workdir, source=source)
    if setup is not None:
        console.print(
            f"training the classifier for the metrics: {experiment.model.name} on {data.name}, "
            f"{experiment.steps:,} steps, in {run.path}",
            soft_wrap=True,
            highlight=False,
        )
        fit(run, setup, console, resume=resume)
    return run


def load(run: Run) -> Classifier:
    """Load the best checkpoint of a finished run."""
    setup, state = restore(run, "best")
    dataset, data = setup.dataset, narrow(run.experiment.data, Data)
    evaluate = setup.evaluator("test", devices.make_mesh(data.batch))
    assert evaluate is not None, f"{run.path} is not finished: it has no test split"
    moments = (dataset.mean, dataset.std) if data.normalize else (0.0, 1.0)
    return Classifier(
        run.experiment.model.name,
        run.path,
        evaluate(state)["accuracy"],  # the summary is of the last checkpoint
        dataset.classes,
        setup.model,
        evaluation_variables(state),
        images(dataset.shape, data.augment, *moments),
        dataset.shape,
        data.fit,
    )
