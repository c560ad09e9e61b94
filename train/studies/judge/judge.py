"""Compute the metrics of images from a run's generator."""

from typing import Any, cast

import numpy as np
from jax import Array

from train.config import Data
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
from train.tasks.setup import Setup, narrow
from zoo.errors import UserError


def make_images(setup: Setup, state: State, count: int, seed: int) -> tuple[np.ndarray, np.ndarray | None]:
    """Generate `count` images, float32 in [0, 1]. Returns them and the labels that they are conditioned on, if any.

    The labels are those of the test images, repeated as often as needed.
    """
    model, test = setup.model, setup.dataset.test
    labels = np.resize(some(test, count)["y"], count) if model.cfg.classes else None
    z = samples.latents(model, seed, count)
    return samples.make(model, samples.variables(state), z, labels), labels


def by_parzen(run: Run, setup: Setup, made: np.ndarray) -> dict[str, Any]:
    """Return the Parzen estimate (`train.metrics.parzen`) of the whole validation and test splits."""
    validation, test = setup.dataset.validation, setup.dataset.test
    if not len(validation):
        raise UserError(f"{run.path} has no validation images to choose σ on: --by features needs none")
    validation_images, test_images = (_real(run, split, len(split)) / np.float32(255) for split in (validation, test))
    counts = {"validation_images": len(validation), "test_images": len(test)}
    return parzen(made, validation_images, test_images)._asdict() | counts


def by_features(
    run: Run, setup: Setup, made: np.ndarray, labels: np.ndarray | None, judge: Classifier
) -> dict[str, Any]:
    """Compare generated images with test images: Fréchet distance, precision, recall and class coverage.

    The same metrics of as many training images show what a perfect generator would reach.
    """
    if judge.shape[2] != made.shape[3]:
        raise UserError(
            f"--classifier: {judge.path} takes {judge.shape[2]} channels, and the images have {made.shape[3]}"
        )
    count = min(len(made), len(setup.dataset.test))
    real, real_labels = judge(_real(run, setup.dataset.test, count))
    sets = {"made": samples.bytes_of(made), "training_images": _real(run, setup.dataset.train, len(made))}
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


def _real(run: Run, split: Split, count: int) -> np.ndarray:
    """Return `count` images of a split as the discriminator sees them, uint8, but without random augmentation."""
    operations = parse_augment(narrow(run.experiment.data, Data).augment)
    # It only cuts, so an array of NumPy stays one.
    return cast(np.ndarray, for_evaluation(operations, cast(Array, some(split, count)["x"])))
