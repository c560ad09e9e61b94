"""What the card of a run's weights says that must be measured: their figure, their picture, their commonest errors."""

import io
import shlex
from pathlib import Path

from PIL import Image

from train.config import files, metrics
from train.config.fields import changed
from train.core import State
from train.loop.replicas import confuse_replicas
from train.loop.restore import restore_replicas
from train.loop.run import Run
from train.metrics.confusion import Confusion
from train.pictures import confusion as confusions
from train.pictures import figures
from train.tasks.setup import Setup
from zoo.errors import UserError
from zoo.files import write_atomically
from zoo.weights.model_card import ModelCard, figure_text
from zoo.weights.table import Figure

PICTURE = "picture.png"
SAMPLES = ("samples.png", "episode.png", "views.png")  # what the ways of learning leave in samples/


def of_run(run: Run, name: str, picture: Path) -> ModelCard:
    """Return the card of the weights of a run's best checkpoint, and draw its picture where it has one."""
    setup, _, state = restore_replicas(run, "best")
    metric, value, unit = measured(setup, state)
    data, model = run.experiment.data.name, run.experiment.model
    figure = Figure(metric, value, f"the test split of {data}", "zoo eval RUN --checkpoint best", unit, seeds=1)
    return ModelCard(
        name=name,
        model=model.name,
        fields=model.fields,
        trained_on=data,
        figure=figure_text(figure),
        fails_on=draw(run, name, picture),
        picture=picture.name if picture.is_file() else "",
        recipe=_command(run),
    )


def _command(run: Run) -> str:
    """Return the command that trains a run again; that of a config which is not there any more has no options."""
    config = run.config or run.name
    try:
        options = changed(files.load(config), run.experiment)
    except UserError:
        options = []
    return shlex.join(["zoo", "train", config, *options])


def measured(setup: Setup, state: State) -> tuple[str, float, str]:
    """Return (metric, value on the test split, unit); the metric is the one that chose the checkpoint."""
    evaluate = setup.evaluator("test", None)
    assert evaluate is not None, "every data set has a test split"
    value = float(evaluate(state)[setup.best])
    percent = metrics.METRICS.find(setup.best).share
    return setup.best, round(100 * value if percent else value, 6), "%" if percent else ""


def draw(run: Run, name: str, path: Path) -> str:
    """Write the picture of a run's best checkpoint. Returns a classifier's commonest errors in words, else "".

    A classifier has its confusion matrix on the test split; another run the picture of its samples, if it left one.
    """
    setup, replicas, state = restore_replicas(run, "best")
    classes = getattr(setup.dataset, "class_names", ())
    evaluate = confuse_replicas(replicas, setup, "test", None) if classes else None
    ((_, matrix),) = evaluate(state) if evaluate else ((None, None),)
    if matrix is None:
        samples = next((run.samples / file for file in SAMPLES if (run.samples / file).is_file()), None)
        if samples is not None:
            _write_small(samples, path)
        return ""
    confusion = Confusion(matrix, classes)
    note = "Blue: recognized, brick: confused; the darker, the larger the share of the true class."
    figures.write(confusions.draw(confusion, f"{name}, test split of {run.experiment.data.name}", note), path)
    _write_small(path, path)
    total, right = int(matrix.sum()), int(matrix.trace())
    errors = [f"{classes[true]} as {classes[taken]} ({count})" for true, taken, count in confusion.commonest(3)]
    return f"{total - right:,} of the {total:,} test examples" + (f", most often {', '.join(errors)}" if errors else "")


def _write_small(source: Path, path: Path) -> None:
    """Write a picture with 64 colors: a third of the bytes, which travel with the weights."""
    content = io.BytesIO()
    with Image.open(source) as image:
        image.convert("RGB").quantize(64).save(content, "PNG", optimize=True)
    write_atomically(path, content.getvalue())
