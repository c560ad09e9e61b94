"""`zoo judge RUN`: figures of what a run's generator makes."""

import dataclasses
import datetime
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import flax
import jax
import numpy as np
from rich.console import Console
from rich.table import Table

import train.run
from train import devices, samples
from train.assemble import Parts
from train.commands import named, restore
from train.core import State
from train.data.augment import for_evaluation
from train.data.augment import parse as parse_augment
from train.data.split import Split, some
from train.judge import classifier
from train.judge.classifier import Classifier
from train.judge.coverage import coverage
from train.judge.frechet import fitted, frechet_distance
from train.judge.manifold import K, precision_recall
from train.judge.parzen import parzen
from train.run import Run
from zoo.errors import UserError

LEAST = 100  # images; with fewer the figures say nothing


@dataclasses.dataclass(frozen=True)
class JudgeOptions:
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
    run = train.run.load(path)
    if (own := run.experiment.task.name) != "adversarial":
        raise UserError(f"{run.path} is of the task {own!r} and makes no images: zoo eval measures it")
    judge_run = classifier.find(options.classifier, run.experiment.data) if options.classifier else None
    devices.prepare_backend()
    console = Console()
    parts, state = restore(run, options.checkpoint)
    report = {"step": int(state.step), **dataclasses.asdict(options)}
    if options.by != "parzen":
        judge_run = judge_run or classifier.train_or_find(run.experiment.data, run.path.parent.parent, console)
    made, labels = _made(parts, state, options)
    if options.by != "features":
        report["parzen"] = by_parzen(run, parts, made)
    if options.by != "parzen":
        report["features"] = by_features(run, parts, made, labels, classifier.load(judge_run))
    report |= {"device": devices.describe(), "date": datetime.date.today().isoformat()}
    report["versions"] = {"jax": jax.__version__, "flax": flax.__version__}
    file = run.path / "judge" / f"{options.checkpoint}_{options.by}_{options.samples}_{options.seed}.json"
    _write(file, json.dumps(report, indent=2) + "\n")
    _print(console, run, report, file)


def _made(parts: Parts, state: State, options: JudgeOptions) -> tuple[np.ndarray, np.ndarray | None]:
    """(images float32 between 0 and 1, the labels they were made for: those of test images, over and over)."""
    model, test = parts.model, parts.dataset.test
    labels = np.resize(some(test, options.samples)["y"], options.samples) if model.cfg.classes else None
    z = samples.latents(model, options.seed, options.samples)
    return samples.make(model, samples.variables(state), z, labels), labels


def by_parzen(run: Run, parts: Parts, made: np.ndarray) -> dict[str, Any]:
    """The figure of `train.judge.parzen` on all of validation and test."""
    splits = [parts.dataset.validation, parts.dataset.test]
    if not len(splits[0]):
        raise UserError(f"{run.path} holds out no validation images, on which σ is chosen: --by features needs none")
    figure = parzen(made, *(_seen(run, split, len(split)) / np.float32(255) for split in splits))
    counts = {"validation_images": len(splits[0]), "test_images": len(splits[1])}
    return figure._asdict() | counts


def by_features(
    run: Run, parts: Parts, made: np.ndarray, labels: np.ndarray | None, judge: Classifier
) -> dict[str, Any]:
    """Fréchet distance, precision, recall and classes of made images against test images, and of as many training
    images, which is what a perfect generator would reach."""
    if judge.shape[2] != made.shape[3]:
        raise UserError(f"--classifier: {judge.path} takes {judge.shape[2]} channels, and images have {made.shape[3]}")
    count = min(len(made), len(parts.dataset.test))
    real, real_labels = judge(_seen(run, parts.dataset.test, count))
    sets = {"made": samples.bytes_of(made), "training_images": _seen(run, parts.dataset.train, len(made))}
    report: dict[str, Any] = {
        "classifier": judge.name,
        "classifier_run": str(judge.path),
        "classifier_test_accuracy": judge.accuracy,
        "dimensions": real.shape[1],
        "test_images": count,
    }
    for name, images in sets.items():
        points, found = judge(images)
        precision, recall = precision_recall(real, points[:count])
        report[name] = {
            "images": len(images),
            "frechet_distance": frechet_distance(fitted(real), fitted(points)),
            "precision": precision,
            "recall": recall,
            **coverage(found, real_labels, judge.classes)._asdict(),
        }
        if name == "made" and labels is not None:
            report[name]["label_agreement"] = float((found == labels).mean())
    return report


def _seen(run: Run, split: Split, count: int) -> np.ndarray:
    """`count` images of a split as the discriminator sees them, uint8; without what training changes at random."""
    return for_evaluation(parse_augment(run.experiment.data.augment), some(split, count)["x"])


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
    "entropy of classes, nats": lambda row: f"{row['entropy']:.3f} of {np.log(row['of']):.3f}",
}


def _write(file: Path, text: str) -> None:
    part = file.with_name(file.name + ".part")
    try:
        file.parent.mkdir(exist_ok=True)
        part.write_text(text, encoding="utf-8")
        os.replace(part, file)
    except OSError as error:
        raise UserError(f"cannot write {file}: {error.strerror}") from None
