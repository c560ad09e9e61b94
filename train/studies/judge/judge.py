"""Figures of the images that a run's generator makes."""

from typing import Any

import numpy as np

from train.core import State
from train.data.images.augment import for_evaluation
from train.data.images.augment import parse as parse_augment
from train.data.split import Split, some
from train.inference import images as samples
from train.loop.run import Run
from train.metrics.coverage import coverage
from train.metrics.frechet import fitted, frechet_distance
from train.metrics.parzen import parzen
from train.metrics.precision_recall import precision_recall
from train.studies.judge.classifier import Classifier
from train.tasks.setup import Setup
from zoo.errors import UserError


def make_images(parts: Setup, state: State, count: int, seed: int) -> tuple[np.ndarray, np.ndarray | None]:
    """(images float32 between 0 and 1, the labels they were made for: those of test images, over and over)."""
    model, test = parts.model, parts.dataset.test
    labels = np.resize(some(test, count)["y"], count) if model.cfg.classes else None
    z = samples.latents(model, seed, count)
    return samples.make(model, samples.variables(state), z, labels), labels


def by_parzen(run: Run, parts: Setup, made: np.ndarray) -> dict[str, Any]:
    """The figure of `train.metrics.parzen` on all of validation and test."""
    splits = [parts.dataset.validation, parts.dataset.test]
    if not len(splits[0]):
        raise UserError(f"{run.path} holds out no validation images, on which σ is chosen: --by features needs none")
    figure = parzen(made, *(_seen(run, split, len(split)) / np.float32(255) for split in splits))
    counts = {"validation_images": len(splits[0]), "test_images": len(splits[1])}
    return figure._asdict() | counts


def by_features(
    run: Run, parts: Setup, made: np.ndarray, labels: np.ndarray | None, judge: Classifier
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
