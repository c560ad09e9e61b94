"""The verdict of a claim from the values of its arms, as the JSON object of its result."""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from train.config.metrics import EVERYTHING, Bounds
from train.history.claims import design, failures
from train.history.claims.arms import DerivedArm, MembersArm, TrainedArm, bounds_in
from train.history.claims.claim import Claim, budget
from train.history.claims.effects import Effect, judge
from train.history.claims.failures import Failures
from train.history.claims.values import Curve, Values, derived
from train.metrics.statistics import student

POINTS = 150  # points of a saved curve, at most
DIGITS = 6  # significant digits of all saved values


def result(name: str, claim: Claim, setting: str, arms: Mapping[str, Values], **facts: Any) -> dict[str, Any]:
    """Return the claim's object in results/claims.json. `facts`: seconds, device, date, versions.

    The verdict is that of the first effect.
    """
    arms = dict(arms)
    for arm_name, arm in claim.arms.items():
        if isinstance(arm, DerivedArm | MembersArm):
            arms[arm_name] = derived(arm, arms)
    failed = failures.count(claim.arms, arms, claim.fails) if claim.fails else None

    def judged(effect: Effect) -> dict[str, Any]:
        return judge(
            effect,
            arms,
            claim.unit(effect.arm),
            related=claim.related(effect.arm, effect.against),
            failures=failed,
            arm_is_better=claim.favours(effect),
        )

    effects = list(map(judged, claim.effects))
    verdict, metric = effects[0]["verdict"], claim.measured
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
            "design": design.digest(claim),
            "metric": {"name": metric.name, "unit": metric.unit, "better": metric.better},
            "budget": budget(claim),
            "smaller": claim.smaller,
            "varies": list(claim.varying),
            "pilots": claim.pilots,
            "fails": claim.fails and dataclasses.asdict(claim.fails),
            "arms": [_arm(arm_name, claim, arms[arm_name], failed) for arm_name in claim.arms],
            "effects": effects,
            **({"sabotage": judged(claim.sabotaged)} if claim.sabotaged is not None else {}),
            "verdict": verdict,
            "parts": [sum(effect["verdict"] == "holds" for effect in effects), len(effects)],
            "reason": "" if verdict == "holds" else claim.reason,
            "plot": _plot(claim, arms),
            **facts,
        }
    )


def _arm(name: str, claim: Claim, arm: Values, failed: Mapping[str, Failures] | None) -> dict[str, Any]:
    """Return an arm as JSON: mean and interval of the seeds that did not fail, or a bound where values are censored."""
    own = failed[name] if failed else None
    finite = [value for key, value in arm.finite().items() if own is None or key not in own.keys]
    bounds, several = claim.bounds(name), any(len(key) > 1 for key in arm.of)
    deviation = low = high = None
    if len(finite) > 1 and not any(arm.censored):
        deviation, low, high = student(finite)
        if bounds.contain(finite):
            low, high = bounds.clip(low), bounds.clip(high)
    return {
        "name": name,
        "says": claim.arms[name].says,
        "unit": claim.unit(name),
        "seeds": list(arm.seeds),
        "values": list(arm.values),
        "mean": float(np.mean(finite)) if finite else None,
        "deviation": deviation,
        "low": low,
        "high": high,
        "seconds": arm.seconds,
        "remark": arm.remark,
        **({"of": [sorted(key) for key in arm.of]} if several else {}),
        **({"at_least": list(arm.censored)} if any(arm.censored) else {}),
        **({"exact": True} if arm.exact else {}),
        **({"failures": own.to_json(name)} if own and own.count else {}),
        **({"failed": [key in own.keys for key in arm.of]} if own and own.keys else {}),
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
    cells = [_arm(arm, claim, arms[arm], None) for arm in at]
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
