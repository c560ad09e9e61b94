"""Linear evaluation: multinomial logistic regression on features, its regularization chosen on validation."""

import dataclasses
import math
import warnings

import numpy as np

from zoo.errors import UserError

STRENGTHS = tuple(10.0**power for power in range(1, -7, -1))
"""Of the L2 penalty, strong to weak: of λ/2 · |weights|² beside the mean loss of an example."""
ITERATIONS = 300  # of L-BFGS for each strength, from where the one before ended
PATIENCE = 2  # strengths in a row that may do worse on validation before weaker ones are not tried any more


@dataclasses.dataclass(frozen=True)
class Labelled:
    """Features (N, D) and labels (N,)."""

    features: np.ndarray
    labels: np.ndarray


@dataclasses.dataclass(frozen=True)
class Result:
    """What was chosen and what it came to. Shares of right answers, each from the classifier fitted to train alone."""

    strength: float
    train: float
    validation: float
    test: float
    converged: bool  # within ITERATIONS, at the strength that was chosen


def evaluate(train: Labelled, validation: Labelled, test: Labelled) -> Result:
    """The classifier of the λ in STRENGTHS that does best on validation (the stronger of equals); test is read once.

    Chen et al. 2020, appendix B.8.1: L-BFGS, no augmentation, λ chosen on validation; departs: 8 strengths in place of
    45, none weaker once two have done worse, features standardized by those of train, not fitted again with validation
    joined to train. Raises UserError where train has one class only.
    """
    if len(np.unique(train.labels)) < 2:
        raise UserError("a linear classifier needs examples of two classes at least")
    mean, std = train.features.mean(0), train.features.std(0)
    std = np.where(std > 1e-6 * max(std.max(), 1e-30), std, 1)  # one that never changes says nothing

    def standard(part: Labelled) -> np.ndarray:
        return ((part.features - mean) / std).astype(np.float32)

    x, known = standard(train), standard(validation)
    best, chosen, worse = -math.inf, None, 0
    for strength, weights, bias, converged in _path(x, train.labels):
        score = _share(known, validation.labels, weights, bias)
        if score > best:
            best, chosen, worse = score, (strength, weights, bias, converged), 0
        else:
            worse += score < best
        if worse == PATIENCE:
            break
    strength, weights, bias, converged = chosen
    seen = _share(x, train.labels, weights, bias)
    return Result(strength, seen, best, _share(standard(test), test.labels, weights, bias), converged)


def _path(x: np.ndarray, labels: np.ndarray):
    """(strength, weights (classes, D), bias (classes,), whether it converged) for each of STRENGTHS."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression  # slow to import

    model = LogisticRegression(max_iter=ITERATIONS, warm_start=True)
    for strength in STRENGTHS:
        model.C = 1 / (strength * len(x))
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            model.fit(x, labels)
        converged = not any(issubclass(each.category, ConvergenceWarning) for each in said)
        weights, bias = model.coef_.copy(), model.intercept_.copy()
        if len(weights) == 1:  # of two classes scikit-learn keeps one side
            weights, bias = np.concatenate([-weights, weights]) / 2, np.concatenate([-bias, bias]) / 2
        full = np.zeros((int(labels.max()) + 1, x.shape[1])), np.full(int(labels.max()) + 1, -np.inf)
        full[0][model.classes_], full[1][model.classes_] = weights, bias
        yield strength, *full, converged


def _share(x: np.ndarray, labels: np.ndarray, weights: np.ndarray, bias: np.ndarray) -> float:
    return float(np.mean((x @ weights.T + bias).argmax(1) == labels))
