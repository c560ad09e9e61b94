"""Linear probe: multinomial logistic regression on features, with the regularization chosen on validation."""

import dataclasses
import warnings
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from zoo.errors import UserError

STRENGTHS = tuple(10.0**power for power in range(1, -7, -1))
"""Values of λ, strong to weak; the penalty is λ/2 · |weights|², added to the mean loss over examples."""
ITERATIONS = 300  # of L-BFGS for each strength; it starts from the solution for the strength before
PATIENCE = 2  # stop after this many strengths in a row that are worse on validation


@dataclasses.dataclass(frozen=True)
class Labelled:
    """Features (N, D) and labels (N,)."""

    features: np.ndarray
    labels: np.ndarray


@dataclasses.dataclass(frozen=True)
class Result:
    """The chosen strength and its accuracies. The classifier is fitted to train alone."""

    strength: float
    train: float
    validation: float
    test: float
    converged: bool  # whether L-BFGS converged within ITERATIONS, at the chosen strength


def evaluate(train: Labelled, validation: Labelled, test: Labelled) -> Result:
    """Fit a classifier for each λ in STRENGTHS, and evaluate the one that is best on validation (ties: the stronger).

    As Chen et al. 2020, appendix B.8.1: L-BFGS, no augmentation, λ chosen on validation. Differences: 8 strengths in
    place of 45; no weaker ones after two in a row that are worse; features standardized with the moments of train; no
    second fit to train and validation together. The test split is used once.
    Raise UserError where train has only one class.
    """
    if len(np.unique(train.labels)) < 2:
        raise UserError("a linear classifier needs examples of two classes at least")
    mean, std = train.features.mean(0), train.features.std(0)
    std = np.where(std > 1e-6 * max(std.max(), 1e-30), std, 1)  # a constant feature stays 0

    def standard(part: Labelled) -> np.ndarray:
        return ((part.features - mean) / std).astype(np.float32)

    x, x_validation = standard(train), standard(validation)
    fits = _fits(x, train.labels)
    chosen = next(fits)
    best, worse = _accuracy(x_validation, validation.labels, chosen), 0
    for fit in fits:
        accuracy = _accuracy(x_validation, validation.labels, fit)
        if accuracy > best:
            best, chosen, worse = accuracy, fit, 0
        else:
            worse += accuracy < best
        if worse == PATIENCE:
            break
    on_train = _accuracy(x, train.labels, chosen)
    on_test = _accuracy(standard(test), test.labels, chosen)
    return Result(chosen.strength, on_train, best, on_test, chosen.converged)


class _Fit(NamedTuple):
    """A linear classifier."""

    strength: float
    weights: np.ndarray  # (classes, D)
    bias: np.ndarray  # (classes,); -inf for a class without examples
    converged: bool


def _fits(x: np.ndarray, labels: np.ndarray) -> Iterator[_Fit]:
    """Yield the classifier of each strength, from strong to weak."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression  # slow to import

    model = LogisticRegression(max_iter=ITERATIONS, warm_start=True)
    # For two classes scikit-learn has one vector of weights, the difference of the two, whose square is twice theirs.
    rows = 2 if len(np.unique(labels)) == 2 else 1
    for strength in STRENGTHS:
        model.C = rows / (strength * len(x))
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            model.fit(x, labels)
        converged = not any(issubclass(each.category, ConvergenceWarning) for each in caught)
        weights, bias = np.array(model.coef_), np.array(model.intercept_)
        if len(weights) == 1:
            weights, bias = np.concatenate([-weights, weights]) / 2, np.concatenate([-bias, bias]) / 2
        classes = int(labels.max()) + 1
        all_weights, all_bias = np.zeros((classes, x.shape[1])), np.full(classes, -np.inf)
        all_weights[model.classes_], all_bias[model.classes_] = weights, bias
        yield _Fit(strength, all_weights, all_bias, converged)


def _accuracy(x: np.ndarray, labels: np.ndarray, fit: _Fit) -> float:
    return float(np.mean((x @ fit.weights.T + fit.bias).argmax(1) == labels))
