"""`zoo judge`: measure the images that a trained generator makes."""

import dataclasses
import datetime
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from rich.table import Table

import train.loop.named
from train.commands.options import OwnParts, named
from train.config import Data
from train.core.console import Console
from train.loop.run import Run
from train.studies.judge import LEAST
from zoo.errors import UserError
from zoo.files import write_atomically


@dataclasses.dataclass(frozen=True)
class JudgeOptions(OwnParts):
    """Measure the images that a trained generator makes."""

    by: Literal["all", "parzen", "features"] = "all"
    """parzen: Parzen-window log-likelihood, in pixels alone; features: Fréchet distance, precision, recall and classes
    in the features of a classifier of the same data."""
    classifier: str | None = None
    """Folder of the run of that classifier; without one LeNet-5 is trained, and kept beside RUN for the next time."""
    samples: int = 10_000
    """Images to make."""
    checkpoint: Literal["last", "best"] = "last"
    """`last`: the end of the run; `best`: the one nearest to the validation images in pixels."""
    seed: int = 0
    """Another seed makes other images."""


def judge_command(args: Sequence[str]) -> None:
    """`zoo judge RUN`."""
    path, options = named(args, "RUN", JudgeOptions, "zoo judge")
    if options.samples < LEAST:
        raise UserError(f"--samples must be at least {LEAST}, not {options.samples}")
    if not 0 <= options.seed < 2**32:
        raise UserError(f"--seed must be at least 0 and below 2^32, not {options.seed}")
    run = train.loop.named.load_or_named(path, options.config)
    if (own := run.experiment.task.name) != "adversarial":
        raise UserError(f"{run.path} is of the task {own!r} and makes no images: zoo eval measures it")
    import flax
    import jax

    from train.core import machine
    from train.loop.restore import restore
    from train.studies.judge import classifier
    from train.studies.judge.judge import by_features, by_parzen, make_images
    from train.tasks.setup import narrow

    judge_run = None
    if options.classifier:
        judge_run = classifier.find(options.classifier, narrow(run.experiment.data, Data), options.config)
    machine.prepare_backend()
    console = Console()
    parts, state = restore(run, options.checkpoint)
    report = {"step": int(state.step), **dataclasses.asdict(options)}
    if options.by != "parzen":
        judge_run = judge_run or classifier.train_or_find(
            narrow(run.experiment.data, Data), run.path.parent.parent, console, run.source
        )
    made, labels = make_images(parts, state, options.samples, options.seed)
    if options.by != "features":
        report["parzen"] = by_parzen(run, parts, made)
    if options.by != "parzen":
        assert judge_run is not None, "found or trained above"
        report["features"] = by_features(run, parts, made, labels, classifier.load(judge_run))
    report |= {"device": machine.describe(), "date": datetime.date.today().isoformat()}
    report["versions"] = {"jax": jax.__version__, "flax": flax.__version__}
    which = ""
    if options.classifier and options.by != "parzen" and judge_run is not None:
        which = f"_{judge_run.name}_{judge_run.path.name}"  # figures of another classifier are on another scale
    file = run.outputs / "judge" / f"{options.checkpoint}_{options.by}_{options.samples}_{options.seed}{which}.json"
    write_atomically(file, json.dumps(report, indent=2) + "\n", make_folder=True)
    _print(console, run, report, file)


def _print(console: Console, run: Run, report: dict[str, Any], file: Path) -> None:
    heading = f"{run.path}, step {report['step']:,}, {report['samples']:,} images made"
    console.print(heading, soft_wrap=True, highlight=False)
    table = Table()
    table.add_column("measure")
    for head in ("made", "training images"):
        table.add_column(head, justify="right")
    notes = []
    if found := report.get("parzen"):
        figure = f"{found['log_likelihood']:.1f} ± {found['standard_error']:.1f}"
        table.add_row("Parzen log-likelihood, nats", figure, "")
        notes.append(
            f"Parzen: σ = {found['sigma']:.3g}, chosen on {found['validation_images']:,} validation images; "
            f"{found['test_images']:,} test images; ± is the standard error"
        )
    from train.metrics.precision_recall import K

    if found := report.get("features"):
        rows = [found["made"], found["training_images"]]
        for title, form in _ROWS.items():
            table.add_row(title, *(form(row) for row in rows))
        if "label_agreement" in rows[0]:
            table.add_row("classifier finds the label told", f"{100 * rows[0]['label_agreement']:.1f} %", "")
        notes.append(
            f"features: the {found['dimensions']} of {found['classifier']} "
            f"({100 * found['classifier_test_accuracy']:.2f} % of test images right) in {found['classifier_run']}, "
            f"against {found['test_images']:,} test images, k = {K}; figures of another classifier, or FID, are on "
            "another scale"
        )
    console.print(table)
    for note in (*notes, f"all figures: {file}"):
        console.print(note, soft_wrap=True, highlight=False)


_ROWS = {
    "Fréchet distance in features": lambda row: f"{row['frechet_distance']:.3f}",
    "precision": lambda row: f"{row['precision']:.3f}",
    "recall": lambda row: f"{row['recall']:.3f}",
    "classes made": lambda row: f"{row['classes']} of {row['of']}",
    "entropy of classes, nats": lambda row: f"{row['entropy']:.3f} of {math.log(row['of']):.3f}",
}
