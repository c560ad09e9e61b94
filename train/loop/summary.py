"""The summary of a run: what its replicas came to. This module alone knows the format of summary.json."""

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol, TypeVar

import numpy as np

from train.config.replicas import Member
from train.config.sweep import Setting
from train.loop.groups import GroupInterval, Groups

Results = dict[str, float]
"""The metrics of one split: name -> mean over its examples, and "count", the number of examples."""

# The fields of a Summary, in the order of summary.json. What the replicas came to stands between the two groups.
RESULT = ("name", "model", "task", "dataset", "steps", "examples", "seed", "params", "flops", "validation", "test")
COST = ("seconds", "compile_seconds", "device", "date", "versions")


class Stops(NamedTuple):
    """Where early stopping ended a replica."""

    best_step: int  # its State is that of this step
    stopped_at_step: int


class Spread(NamedTuple):
    """How far a metric differs between replicas."""

    deviation: float  # standard deviation of a sample
    low: float  # 95 % interval of the mean (Student's t)
    high: float


@dataclasses.dataclass(frozen=True)
class ReplicaResult:
    """What one replica came to."""

    seed: int
    setting: Setting  # values of the swept fields; {} in a run of one replica
    validation: Results  # {} where nothing is held out
    test: Results
    fold: int | None = None  # the one that it validates on
    diverged_at_step: int | None = None  # the first step at which its loss or its evaluation was not finite
    best_step: int | None = None  # with early stopping: its State is that of this step
    stopped_at_step: int | None = None

    def on(self, split: str) -> Results:
        """Return its results on "validation" or "test"; {} for any other split."""
        return {"validation": self.validation, "test": self.test}.get(split, {})

    def to_json(self) -> dict[str, Any]:
        content: dict[str, Any] = {"seed": self.seed, "setting": self.setting, "test": self.test}
        if self.fold is not None:
            content["fold"] = self.fold
        if self.validation:
            content["validation"] = self.validation
        if self.diverged_at_step is not None:
            content["diverged_at_step"] = self.diverged_at_step
        return content | self.stops_to_json()

    def stops_to_json(self) -> dict[str, Any]:
        """Return where early stopping ended it; {} without early stopping."""
        stops = {"best_step": self.best_step, "stopped_at_step": self.stopped_at_step}
        return {name: step for name, step in stops.items() if step is not None}


@dataclasses.dataclass(frozen=True)
class SettingResult:
    """One setting of the swept fields: means over its replicas, and how far these differ."""

    setting: Setting
    seeds: tuple[int, ...]  # of its replicas
    validation: Results
    test: Results
    validation_spread: dict[str, Spread] = dataclasses.field(default_factory=dict)
    test_spread: dict[str, Spread] = dataclasses.field(default_factory=dict)
    folds: tuple[int, ...] = ()  # of its replicas; () without folds
    best: bool = False  # whether it has the best score on validation

    def on(self, split: str) -> tuple[Results, dict[str, Spread]]:
        """Return (means, spread) on "validation" or "test"."""
        if split == "validation":
            return self.validation, self.validation_spread
        return self.test, self.test_spread

    def to_json(self) -> dict[str, Any]:
        content: dict[str, Any] = {"setting": self.setting, "seeds": list(self.seeds)}
        if self.folds:
            content["folds"] = list(self.folds)
        for split in ("validation", "test"):
            means, spread = self.on(split)
            content[split] = means
            content[f"{split}_spread"] = {name: own._asdict() for name, own in spread.items()}
        return content | {"best": self.best}


@dataclasses.dataclass(frozen=True)
class Summary:
    """What a run came to. A fact that summary.json lacks is "" or 0."""

    name: str = ""  # of the config
    model: str = ""
    task: str = ""
    dataset: str = ""
    steps: int = 0
    examples: int = 0
    seed: int = 0
    params: int = 0
    flops: int = 0  # one forward pass of one example
    validation: Results = dataclasses.field(default_factory=dict)  # of the best setting; {} where nothing is held out
    test: Results = dataclasses.field(default_factory=dict)  # of the best setting
    settings: tuple[SettingResult, ...] = ()  # at least one
    replicas: tuple[ReplicaResult, ...] = ()  # at least one
    notes: dict[str, str] = dataclasses.field(default_factory=dict)  # how a metric was computed
    groups: Groups | None = None  # of the test examples, where they come in groups
    validation_groups: Groups | None = None  # likewise, with several replicas: validation of one has no interval
    seconds: float = 0.0
    compile_seconds: float = 0.0
    device: str = ""
    date: str = ""
    versions: dict[str, str] = dataclasses.field(default_factory=dict)
    start: dict[str, float] = dataclasses.field(default_factory=dict)  # seconds of each phase before the first steps

    @property
    def best_setting(self) -> SettingResult:
        """The setting that `validation` and `test` are of."""
        return next((setting for setting in self.settings if setting.best), self.settings[0])

    def interval(self, setting: SettingResult | None = None, split: str = "test") -> GroupInterval | None:
        """Return the interval of the accuracy of a setting, by default the best; see `group_interval`."""
        groups = self.validation_groups if split == "validation" else self.groups
        return group_interval(groups, self.replicas, setting or self.best_setting, split)

    def to_json(self) -> dict[str, Any]:
        """Return the content of summary.json."""
        content: dict[str, Any] = {name: getattr(self, name) for name in RESULT}
        first, *others = self.replicas
        if others:
            content["settings"] = [setting.to_json() for setting in self.settings]
            content["replicas"] = [replica.to_json() for replica in self.replicas]
        else:  # the results of the only replica are those of the run
            content |= first.stops_to_json()
        if self.notes:
            content["notes"] = self.notes
        for name, groups in {"validation_groups": self.validation_groups, "test_groups": self.groups}.items():
            if groups:
                content[name] = groups.to_json()
        content |= {name: getattr(self, name) for name in COST}
        return content | ({"start": self.start} if self.start else {})

    @staticmethod
    def from_json(content: Mapping[str, Any]) -> "Summary":
        """Return the Summary that `to_json` wrote. A value of a wrong type counts as missing."""
        validation, test = _results(content.get("validation")), _results(content.get("test"))
        seed = _whole(content.get("seed")) or 0
        settings = tuple(_setting_from_json(each) for each in _mappings(content.get("settings")))
        replicas = tuple(_replica_from_json(each) for each in _mappings(content.get("replicas")))
        replicas = replicas or (_replica_from_json(content),)
        return Summary(
            name=_text(content.get("name")),
            model=_text(content.get("model")),
            task=_text(content.get("task")),
            dataset=_text(content.get("dataset")),
            steps=_whole(content.get("steps")) or 0,
            examples=_whole(content.get("examples")) or 0,
            seed=seed,
            params=_whole(content.get("params")) or 0,
            flops=_whole(content.get("flops")) or 0,
            validation=validation,
            test=test,
            settings=settings or (SettingResult({}, (seed,), validation, test, best=True),),
            replicas=replicas,
            notes=_texts(content.get("notes")),
            groups=Groups.from_json(content.get("test_groups"), len(replicas)),
            validation_groups=Groups.from_json(content.get("validation_groups"), len(replicas)),
            seconds=_number(content.get("seconds")) or 0.0,
            compile_seconds=_number(content.get("compile_seconds")) or 0.0,
            device=_text(content.get("device")),
            date=_text(content.get("date")),
            versions=_texts(content.get("versions")),
            start=_results(content.get("start")),
        )


def replica_results(
    members: Sequence[Member],
    validation: Sequence[Results],
    test: Sequence[Results],
    diverged: Mapping[int, int],
    stops: Sequence[Stops],
) -> tuple[ReplicaResult, ...]:
    """Return what each replica came to.

    validation, test, stops: one for each member, or empty: where nothing is held out, and without early stopping.
    diverged: number of a replica -> the first step at which it was not finite.
    """
    return tuple(
        ReplicaResult(
            member.seed,
            member.setting if len(members) > 1 else {},
            dict(validation[number]) if validation else {},
            dict(test[number]),
            member.fold,
            diverged.get(number),
            *(stops[number] if stops else ()),
        )
        for number, member in enumerate(members)
    )


def setting_results(
    replicas: Sequence[ReplicaResult], score: Callable[[Mapping[str, float]], float]
) -> tuple[SettingResult, ...]:
    """Return means and spread of each setting, over its replicas.

    The best setting is the one with the highest `score` on validation; the first where nothing is held out. A setting
    of which more replicas have diverged is worse, whatever the mean of those that are left.
    """
    if len(replicas) == 1:
        [one] = replicas
        return (SettingResult(one.setting, (one.seed,), one.validation, one.test, best=True),)
    groups = by_setting(replicas)
    found = [_setting_result(own[0].setting, own) for own in groups]
    best = 0
    if replicas[0].validation:
        ranks = [_rank([replica.validation for replica in own], score) for own in groups]
        best = max(range(len(ranks)), key=lambda number: ranks[number])
    return tuple(dataclasses.replace(each, best=number == best) for number, each in enumerate(found))


def group_interval(
    groups: Groups | None, replicas: Sequence[ReplicaResult], setting: SettingResult, split: str = "test"
) -> GroupInterval | None:
    """Return the interval of the accuracy of a setting over groups of examples; None where there are no groups.

    It is over the replicas that `mean` is over.
    """
    if groups is None:
        return None
    own = [number for number, replica in enumerate(replicas) if replica.setting == setting.setting]
    return groups.interval([number for number in own if is_finite(replicas[number].on(split))] or own)


def best_score(
    members: Sequence[Member], results: Sequence[Results], score: Callable[[Mapping[str, float]], float]
) -> float:
    """Return the score of the best setting, in which every replica must be finite: -inf where there is none.

    results: those of each member.
    """
    pairs = [_Scored(member.setting, own) for member, own in zip(members, results, strict=True)]
    groups = [[pair.results for pair in group] for group in by_setting(pairs)]
    scores = [score(mean(own)) if all(map(is_finite, own)) else -math.inf for own in groups]
    return max(own if math.isfinite(own) else -math.inf for own in scores)


class _Scored(NamedTuple):
    setting: Setting
    results: Results


class _HasSetting(Protocol):
    @property
    def setting(self) -> Setting: ...


OfSetting = TypeVar("OfSetting", bound=_HasSetting)


def by_setting(replicas: Sequence[OfSetting]) -> list[list[OfSetting]]:
    """Return the replicas of each setting, in the order in which the settings come first."""
    groups: list[list[OfSetting]] = []
    for replica in replicas:
        own = next((group for group in groups if group[0].setting == replica.setting), None)
        if own is None:
            groups.append([replica])
        else:
            own.append(replica)
    return groups


def _rank(validation: Sequence[Results], score: Callable[[Mapping[str, float]], float]) -> tuple[float, float]:
    """Return what the best setting has most of: the share of its replicas that are finite, then their score."""
    own = score(mean(validation))
    return sum(map(is_finite, validation)) / len(validation), own if math.isfinite(own) else -math.inf


def _setting_result(setting: Setting, replicas: Sequence[ReplicaResult]) -> SettingResult:
    validation = [replica.validation for replica in replicas if replica.validation]
    test = [replica.test for replica in replicas]
    return SettingResult(
        setting,
        tuple(replica.seed for replica in replicas),
        mean(validation),
        mean(test),
        spread(validation),
        spread(test),
        tuple(replica.fold for replica in replicas if replica.fold is not None),
    )


def mean(results: Sequence[Mapping[str, float]]) -> Results:
    """Return the mean of each metric over the replicas that did not diverge; NaN where it is finite in none of them.

    So all means are over the same replicas. Where every replica diverged they are over all. "count" is that of the
    first replica.
    """
    means = {name: float(values.mean()) if values.size else float("nan") for name, values in _finite(results).items()}
    if results and "count" in results[0]:
        means["count"] = results[0]["count"]
    return means


def spread(results: Sequence[Mapping[str, float]]) -> dict[str, Spread]:
    """Return the spread of each metric over the replicas that did not diverge, where there are at least two."""
    from train.metrics.statistics import student  # slow to import, and most commands only read summaries

    return {
        name: Spread(*student(values))
        for name, values in _finite(results).items()
        if name != "count" and values.size >= 2
    }


def is_finite(results: Mapping[str, float]) -> bool:
    """Return whether every loss in the results of a replica is finite: one that diverged may still have an accuracy."""
    return all(math.isfinite(value) for name, value in results.items() if name.endswith("loss"))


def _finite(results: Sequence[Mapping[str, float]]) -> dict[str, np.ndarray]:
    results = [result for result in results if is_finite(result)] or results
    names = dict.fromkeys(name for result in results for name in result)
    columns = {name: np.array([result[name] for result in results if name in result]) for name in names}
    return {name: values[np.isfinite(values)] for name, values in columns.items()}


def _replica_from_json(content: Mapping[str, Any]) -> ReplicaResult:
    steps = {name: _whole(content.get(name)) for name in ("diverged_at_step", "best_step", "stopped_at_step")}
    return ReplicaResult(
        _whole(content.get("seed")) or 0,
        _results(content.get("setting")),
        _results(content.get("validation")),
        _results(content.get("test")),
        _whole(content.get("fold")),
        **steps,
    )


def _setting_from_json(content: Mapping[str, Any]) -> SettingResult:
    def wholes(name: str) -> tuple[int, ...]:
        values = content.get(name)
        return tuple(_whole(value) or 0 for value in values) if isinstance(values, list) else ()

    def spreads(name: str) -> dict[str, Spread]:
        own = content.get(name)
        own = {metric: _results(value) for metric, value in own.items()} if isinstance(own, dict) else {}
        return {metric: Spread(**value) for metric, value in own.items() if set(value) == set(Spread._fields)}

    return SettingResult(
        _results(content.get("setting")),
        wholes("seeds"),
        _results(content.get("validation")),
        _results(content.get("test")),
        spreads("validation_spread"),
        spreads("test_spread"),
        wholes("folds"),
        content.get("best") is True,
    )


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _texts(value: Any) -> dict[str, str]:
    return {name: str(text) for name, text in value.items()} if isinstance(value, dict) else {}


def _mappings(value: Any) -> list[Mapping[str, Any]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def _results(value: Any) -> Results:
    """Return the numbers of a mapping, infinite ones and NaN included."""
    entries = value.items() if isinstance(value, dict) else ()
    return {name: own for name, own in entries if isinstance(own, int | float) and not isinstance(own, bool)}


def _number(value: Any) -> float | None:
    """Return a finite number that is not negative, else None."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return value if number and math.isfinite(value) and value >= 0 else None


def _whole(value: Any) -> int | None:
    number = _number(value)
    return None if number is None else int(number)
