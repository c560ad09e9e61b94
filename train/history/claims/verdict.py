"""Compute the effects of a claim, their intervals and the verdict from the values of its arms, as a JSON object."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np

from train.config.metrics import EVERYTHING, Bounds
from train.history.claims.claim import Claim, DerivedArm, Effect, TrainedArm, bounds_in, budget
from train.metrics.statistics import difference_interval, mean_interval, student

Verdict = Literal["holds", "does not hold", "undecided"]
POINTS = 150  # points of a saved curve, at most
DIGITS = 6  # significant digits of all saved values


@dataclasses.dataclass(frozen=True)
class Curve:
    """One line per seed: x (N,), and y (seeds, N), NaN where a value is missing."""

    x: np.ndarray
    y: np.ndarray


@dataclasses.dataclass(frozen=True)
class Values:
    """The result of an arm."""

    seeds: tuple[int, ...]
    values: tuple[float | None, ...]  # one per seed; None where it is not finite
    seconds: float = 0.0
    remark: str = ""  # about diverged seeds and the tuned setting
    curve: Curve | None = None

    def finite(self) -> dict[int, float]:
        """Return seed -> value for all finite values."""
        pairs = zip(self.seeds, self.values, strict=True)
        return {seed: value for seed, value in pairs if value is not None and math.isfinite(value)}


def derived(arm: DerivedArm, arms: Mapping[str, Values]) -> Values:
    """Compute the values of a derived arm; None for a seed for which one of its arms has no value."""
    sources = [arms[name] for name in arm.of]
    seeds = tuple(seed for seed in sources[0].seeds if all(seed in source.seeds for source in sources))
    finite = [source.finite() for source in sources]
    return Values(
        seeds,
        tuple(arm.value(*(f[s] for f in finite)) if all(s in f for f in finite) else None for s in seeds),
    )


def judge(effect: Effect, arms: Mapping[str, Values], unit: str = "", *, related: bool = True) -> dict[str, Any]:
    """Return an effect as JSON: its value, its 95 % interval, whether it is paired by seeds, and the verdict.

    related: whether equal seeds of the two arms stand for equal draws, so that they can be paired.
    """
    arm = arms[effect.arm].finite()
    against = dict.fromkeys(arm, 0.0) if effect.against is None else arms[effect.against].finite()
    common = [seed for seed in arm if seed in against]
    paired = related and (len(common) >= 2 or len(common) == len(arm) == len(against))
    first = [arm[seed] for seed in common] if paired else list(arm.values())
    second = [against[seed] for seed in common] if paired else list(against.values())
    value, low, high = _compare(first, second, paired, effect.kind)
    return {
        "says": effect.says,
        "arm": effect.arm,
        "against": effect.against,
        "expected": effect.expected,
        "kind": effect.kind,
        "unit": unit,
        "margin": effect.threshold,
        "value": value,
        "low": low,
        "high": high,
        "paired": paired,
        "seeds": [len(first), len(second)],
        "verdict": _verdict(effect, low, high),
    }


def _compare(
    first: Sequence[float], second: Sequence[float], paired: bool, kind: str
) -> tuple[float | None, float | None, float | None]:
    """Return the value of an effect and its interval (value, low, high); None where there are too few values."""
    a, b = np.asarray(first, np.float64), np.asarray(second, np.float64)
    if not a.size or not b.size or (kind == "ratio" and min(a.min(), b.min()) <= 0):
        return None, None, None
    back = math.exp if kind == "ratio" else float
    if kind == "ratio":
        a, b = np.log(a), np.log(b)
    value = back(a.mean() - b.mean())
    if min(a.size, b.size) < 2:
        return value, None, None
    low, high = mean_interval(a - b) if paired else difference_interval(a, b)
    return value, back(low), back(high)


def _verdict(effect: Effect, low: float | None, high: float | None) -> Verdict:
    if low is None or high is None:
        return "undecided"
    above, below = low > effect.threshold, high < effect.threshold
    if not above and not below:
        return "undecided"
    return "holds" if above == (effect.expected == "higher") else "does not hold"


def overall(verdicts: Sequence[Verdict]) -> Verdict:
    """Return the verdict of a claim: it holds if all effects hold, does not hold if one does not, else is undecided."""
    if "does not hold" in verdicts:
        return "does not hold"
    return "undecided" if "undecided" in verdicts else "holds"


def result(name: str, claim: Claim, setting: str, arms: Mapping[str, Values], **facts: Any) -> dict[str, Any]:
    """Return the claim's object in results/claims.json. `facts`: seconds, device, date, versions."""
    arms = dict(arms)
    for arm_name, arm in claim.arms.items():
        if isinstance(arm, DerivedArm):
            arms[arm_name] = derived(arm, arms)
    effects = [
        judge(effect, arms, claim.unit(effect.arm), related=claim.related(effect.arm, effect.against))
        for effect in claim.effects
    ]
    verdict = overall([effect["verdict"] for effect in effects])
    metric = claim.measured
    return _plain(
        {
            "name": name,
            "year": claim.year,
            "paper": claim.paper,
            "link": claim.link,
            "says": claim.says,
            "models": list(claim.models),
            "algorithms": list(claim.algorithms),
            "setting": setting,
            "metric": {"name": metric.name, "unit": metric.unit, "better": metric.better},
            "budget": budget(claim),
            "arms": [
                _arm(arm_name, arm.says, arms[arm_name], claim.unit(arm_name), claim.bounds(arm_name))
                for arm_name, arm in claim.arms.items()
            ],
            "effects": effects,
            "verdict": verdict,
            "reason": "" if verdict == "holds" else claim.reason,
            "plot": _plot(claim, arms),
            **facts,
        }
    )


def _arm(name: str, says: str, arm: Values, unit: str, bounds: Bounds) -> dict[str, Any]:
    finite = list(arm.finite().values())
    deviation = low = high = None
    if len(finite) > 1:
        deviation, low, high = student(finite)
        if bounds.contain(finite):
            low, high = bounds.clip(low), bounds.clip(high)
    return {
        "name": name,
        "says": says,
        "unit": unit,
        "seeds": list(arm.seeds),
        "values": list(arm.values),
        "mean": float(np.mean(finite)) if finite else None,
        "deviation": deviation,
        "low": low,
        "high": high,
        "seconds": arm.seconds,
        "remark": arm.remark,
    }


def _plot(claim: Claim, arms: Mapping[str, Values]) -> dict[str, Any]:
    plot, shown = claim.plot, claim.plot.arms or tuple(claim.arms)
    match plot.kind:
        case "curve":
            curves = [(name, curve) for name in shown if (curve := arms[name].curve) is not None]
            series = [_line(name, curve, plot.log_y, _bounds_of_curve(claim, name)) for name, curve in curves]
        case "points":
            series = [_points(name, at, arms, claim) for name, at in plot.at.items()]
        case _:
            series = [_points(name, {name: i}, arms, claim) for i, name in enumerate(shown)]
    y = plot.y or {"curve": plot.of}.get(plot.kind, claim.measured.name)
    head = {"kind": plot.kind, "x": plot.x or {"curve": "step"}.get(plot.kind, ""), "y": y}
    return head | {"log_x": plot.log_x, "log_y": plot.log_y, "series": series}


def _bounds_of_curve(claim: Claim, name: str) -> Bounds:
    """The values that the curve of an arm can take."""
    arm = claim.arms[name]
    return bounds_in(arm.experiment, claim.plot.of.split()[-1]) if isinstance(arm, TrainedArm) else EVERYTHING


def _points(name: str, at: Mapping[str, float], arms: Mapping[str, Values], claim: Claim) -> dict[str, Any]:
    cells = [_arm(arm, "", arms[arm], claim.unit(arm), claim.bounds(arm)) for arm in at]
    return {"arm": name, "x": list(at.values())} | {
        key: [cell[key] for cell in cells] for key in ("mean", "low", "high")
    }


def _line(name: str, curve: Curve, log: bool, bounds: Bounds) -> dict[str, Any]:
    """Return the mean over the seeds with its interval, at up to POINTS positions.

    For a logarithmic axis and positive values they are computed on the logarithms, so that the interval is positive.
    """
    kept = np.unique(np.linspace(0, len(curve.x) - 1, min(POINTS, len(curve.x))).round().astype(int))
    columns = [column[np.isfinite(column)] for column in curve.y[:, kept].T]
    there, back = (np.log, np.exp) if log and all((column > 0).all() for column in columns) else (np.asarray, float)
    columns = [there(column) for column in columns]
    spread = [student(column)[1:] if len(column) > 1 else (None, None) for column in columns]
    mean = [float(column.mean()) if len(column) else None for column in columns]
    figures = {"mean": mean, "low": [low for low, _ in spread], "high": [high for _, high in spread]}
    figures = {kind: [None if y is None else float(back(y)) for y in line] for kind, line in figures.items()}
    if bounds.contain(curve.y[np.isfinite(curve.y)].tolist()):
        figures = {kind: [None if y is None else bounds.clip(y) for y in line] for kind, line in figures.items()}
    return {"arm": name, "x": [float(curve.x[i]) for i in kept]} | figures


def _plain(value: Any) -> Any:
    """Return a JSON value with None in place of NaN, and floats rounded to DIGITS significant digits."""
    match value:
        case dict():
            return {name: _plain(inner) for name, inner in value.items()}
        case list() | tuple():
            return [_plain(inner) for inner in value]
        case float() | np.floating():
            return float(f"{float(value):.{DIGITS}g}") if math.isfinite(value) else None
    return value
