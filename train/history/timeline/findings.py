"""Findings: the results of claims, read from results/claims.json for the page."""

import dataclasses
import shlex
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from train.history.claims import results
from train.history.claims.effects import VERDICTS as JUDGED
from train.history.timeline.lenient_json import finite, mapping, number, read_json, sequence, text, whole
from zoo.errors import UserError

VERDICTS = (*JUDGED, "does not hold")
"""The verdicts of results; the last one is of results that were recorded before effects had margins."""
KINDS = ("curve", "bars", "points")


@dataclasses.dataclass(frozen=True)
class Arm:
    """One arm over its seeds. A value that could not be computed is None."""

    name: str
    says: str
    seeds: int
    mean: float | None
    deviation: float | None
    low: float | None
    high: float | None
    unit: str = ""
    exact: bool = False  # it has one value, which depends on no seed
    at_least: bool = False  # the mean is only a lower bound


class Size(NamedTuple):
    """How large an effect is: its figures, and the smallest size that would count, of which older results have none."""

    kind: str  # "difference" or "ratio"
    expected: str  # "higher" or "lower"
    value: float | None
    low: float | None
    high: float | None
    margin: float | None


@dataclasses.dataclass(frozen=True)
class Effect:
    """The effect between two arms: what the paper expects, and what was `measured`, with its 95 % interval."""

    says: str
    arm: str
    against: str
    expected: str
    measured: str
    verdict: str
    why: str = ""  # it is undecided
    size: Size | None = None


@dataclasses.dataclass(frozen=True)
class Finding:
    """One claim of a paper and its result here."""

    name: str
    year: int
    paper: str
    link: str
    says: str
    models: tuple[str, ...]
    algorithms: tuple[str, ...]
    setting: str
    metric: str
    unit: str
    better: str
    budget: str
    arms: tuple[Arm, ...]
    effects: tuple[Effect, ...]
    verdict: str
    reason: str
    plot: Mapping[str, Any]
    seconds: float | None
    device: str
    date: str
    versions: Mapping[str, str]
    recorded: bool = True  # it is part of the project and was not run here
    file: str = ""  # the user's own claim file, if it is of one
    parts: tuple[int, int] = (0, 0)  # effects that hold, and all; (0, 0) where it is not known
    smaller: str = ""  # what is much smaller than the paper's
    varies: tuple[str, ...] = ()  # between the seeds
    pilots: str = ""  # how the setting was searched
    design: str = ""
    earlier: bool = False  # the claim's file has another design now
    code: Mapping[str, str] = dataclasses.field(default_factory=dict)  # file -> hash, of what the result is made by
    changed: str = ""  # files of this code that are others now
    commit: str = ""
    clean: bool = True  # nothing was changed since the commit
    renewed: str = ""  # its code was written anew since, and does the same
    data: Mapping[str, str] = dataclasses.field(default_factory=dict)  # name -> hashes
    machine: str = ""
    sham: str = ""  # what came of an arm against itself with other seeds
    sabotage: str = ""  # what came of the headline with its mechanism taken out

    @property
    def command(self) -> str:
        return f"zoo claim {shlex.quote(self.file or self.name)}" + (" --full" if self.setting == "full" else "")


def read_all(file: Path) -> list[Finding]:
    """Read all findings of a claims.json in their order; none if there is no such file. UserError for another file."""
    facts = read_json(file)
    if facts and not isinstance(facts.get("claims"), list):
        raise UserError(f'{file}: expected {{"claims": [...]}}')
    return [read(claim, f"{file}, claim {i}") for i, claim in enumerate(sequence(facts, "claims"))]


def read_own(workdir: Path, left_out: Callable[[UserError], None] | None = None) -> list[Finding]:
    """Read the results of `zoo claim` on this machine: WORKDIR/claims/NAME/result.json of each small setting.

    left_out: called with the error of a damaged result, in place of raising it.
    """
    found = []
    for file in sorted(workdir.glob("claims/*/result.json")):
        try:
            found.append(dataclasses.replace(read(read_json(file), str(file)), recorded=False))
        except UserError as error:
            if left_out is None:
                raise
            left_out(error)
    return [finding for finding in found if finding.setting != "full"]


def read(facts: Any, where: str) -> Finding:
    """Read one claim. Raises UserError with the place `where` if the name, the year or the verdict is missing."""
    if not isinstance(facts, Mapping):
        raise UserError(f"{where}: expected an object")
    year = whole(facts.get("year"))
    if not text(facts, "name") or year is None:
        raise UserError(f"{where}: it has no name or no year")
    verdict = facts.get("verdict")
    if verdict not in VERDICTS:
        raise UserError(f"{where}: its verdict is {verdict!r}, not one of {', '.join(VERDICTS)}")
    metric = mapping(facts, "metric")
    return Finding(
        name=text(facts, "name"),
        paper=text(facts, "paper"),
        link=text(facts, "link"),
        says=text(facts, "says"),
        setting=text(facts, "setting"),
        budget=text(facts, "budget"),
        reason=text(facts, "reason"),
        device=text(facts, "device"),
        date=text(facts, "date"),
        verdict=verdict,
        year=year,
        models=tuple(map(str, sequence(facts, "models"))),
        algorithms=tuple(map(str, sequence(facts, "algorithms"))),
        metric=text(metric, "name"),
        unit=text(metric, "unit"),
        better=text(metric, "better"),
        arms=tuple(_arm(arm, text(metric, "unit")) for arm in sequence(facts, "arms") if isinstance(arm, Mapping)),
        parts=_parts(facts),
        smaller=text(facts, "smaller"),
        varies=tuple(map(str, sequence(facts, "varies"))),
        pilots=text(facts, "pilots"),
        design=text(facts, "design"),
        effects=tuple(_effect(one, metric) for one in sequence(facts, "effects") if isinstance(one, Mapping)),
        plot=_plot(mapping(facts, "plot"), [text(arm, "unit") for arm in _shown(facts, metric)]),
        file=text(mapping(facts, "file"), "path"),
        seconds=number(facts.get("seconds")),
        versions={str(name): str(version) for name, version in mapping(facts, "versions").items()},
        code={str(name): str(digest) for name, digest in mapping(facts, "code").items()},
        commit=text(facts, "commit"),
        renewed=results.renewed_text(facts) if {"commit", "steps"} <= set(mapping(facts, "renewed")) else "",
        clean=facts.get("clean") is not False,
        data={str(name): " ".join(map(str, sequence(mapping(facts, "data"), name))) for name in mapping(facts, "data")},
        machine=text(facts, "machine"),
        sham=_control(facts, metric, "sham", results.sham_text),
        sabotage=_control(facts, metric, "sabotage", results.sabotage_text),
    )


def _control(
    facts: Mapping[str, Any], metric: Mapping[str, Any], name: str, said: Callable[[Mapping[str, Any]], str]
) -> str:
    """Read what came of a control of a claim; "" where there is none, or it is damaged."""
    found = mapping(facts, name)
    if found.get("verdict") not in VERDICTS:
        return ""
    figures = {key: finite(found.get(key)) for key in ("value", "low", "high", "unseen")}
    if None in (figures["low"], figures["high"]):
        figures |= {"low": None, "high": None}
    words = {key: text(found, key) for key in ("arm", "against", "kind", "bound")}
    words["unit"] = text(found if "unit" in found else metric, "unit")
    read = {**words, **figures, "failures": _failures(found), "verdict": found["verdict"]}
    return said({name: read, "metric": {"unit": text(metric, "unit")}})


def _arm(facts: Mapping[str, Any], unit: str) -> Arm:
    """Read an arm; `unit` is that of the claim's metric, which most arms have."""
    mean, deviation, low, high = (finite(facts.get(key)) for key in ("mean", "deviation", "low", "high"))
    unit = text(facts, "unit") if "unit" in facts else unit
    return Arm(
        text(facts, "name"),
        text(facts, "says"),
        len(sequence(facts, "seeds")),
        mean,
        deviation,
        low,
        high,
        unit,
        exact=facts.get("exact") is True,
        at_least=any(value is True for value in sequence(facts, "at_least")),
    )


def _parts(facts: Mapping[str, Any]) -> tuple[int, int]:
    """Read how many effects hold and how many there are; (0, 0) where that is not known."""
    found = [whole(value) for value in sequence(facts, "parts")]
    return (found[0], found[1]) if len(found) == 2 and found[0] is not None and found[1] is not None else (0, 0)


def _effect(facts: Mapping[str, Any], metric: Mapping[str, Any]) -> Effect:
    figures = {key: finite(facts.get(key)) for key in ("value", "low", "high")}
    if None in (figures["low"], figures["high"]):
        figures |= {"low": None, "high": None}
    unit = text(facts if "unit" in facts else metric, "unit")  # the effect of a derived arm can have its own unit
    bound = text(facts, "bound") if facts.get("bound") in ("at least", "at most") else ""
    told = {"kind": text(facts, "kind"), "bound": bound, "exact": facts.get("exact") is True}
    told |= {"failures": _failures(facts), "unseen": finite(facts.get("unseen"))}
    measured = results.effect_text(told | figures, {"unit": unit})
    against = finite(facts.get("against"))
    return Effect(
        says=text(facts, "says"),
        arm=text(facts, "arm"),
        against=text(facts, "against") if against is None else f"{against:g}" if against else "",
        expected=text(facts, "expected"),
        measured=measured,
        verdict=text(facts, "verdict"),
        why=text(facts, "why"),
        size=Size(told["kind"], text(facts, "expected"), **figures, margin=finite(facts.get("margin"))),
    )


def _failures(facts: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Read how many seeds of each arm failed; what is not whole is left out."""
    found = []
    for one in sequence(facts, "failures"):
        if isinstance(one, Mapping):
            counts = {key: whole(one.get(key)) for key in ("failed", "of")}
            ends = {key: finite(one.get(key)) for key in ("low", "high")}
            if None not in (*counts.values(), *ends.values()):
                found.append({"arm": text(one, "arm"), **counts, **ends})
    return found


def _shown(facts: Mapping[str, Any], metric: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return what has the units of the plot's axis: the arms that are its series, else the claim's metric."""
    names = {text(one, "arm") for one in sequence(mapping(facts, "plot"), "series") if isinstance(one, Mapping)}
    arms = [arm for arm in sequence(facts, "arms") if isinstance(arm, Mapping) and text(arm, "name") in names]
    return [arm if "unit" in arm else metric for arm in arms] or [metric]


def _plot(facts: Mapping[str, Any], units: Sequence[str]) -> dict[str, Any]:
    """Return the part of the plot that the page draws: numbers that are finite or None, as many as positions."""
    kind = text(facts, "kind")
    series = []
    for one in sequence(facts, "series"):
        if not isinstance(one, Mapping) or kind not in KINDS:
            continue
        x = sequence(one, "x")
        ends = {key: [finite(value) for value in sequence(one, key)] for key in ("mean", "low", "high")}
        x = [value if isinstance(value, str) else finite(value) for value in x]
        if len(ends["mean"]) == len(x):
            whole_ends = {key: values if len(values) == len(x) else [] for key, values in ends.items()}
            series.append({"arm": text(one, "arm"), "x": x, **whole_ends})
    if not series:
        return {}
    logs = {key: facts.get(key) is True for key in ("log_x", "log_y")}
    share = set(units) == {"share"} and "accuracy" in text(facts, "y") and not logs["log_y"]
    return {"kind": kind, "x": text(facts, "x"), "y": text(facts, "y"), **logs, "share": share, "series": series}
