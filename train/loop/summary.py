"""Summarize the results of all replicas of a run."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from train.config.replicas import Member, unique
from train.metrics.statistics import student


def summarize(
    members: Sequence[Member],
    validation: Sequence[Mapping[str, float]],
    test: Sequence[Mapping[str, float]],
    diverged: Mapping[int, int],
    score: Callable[[Mapping[str, float]], float],
) -> dict[str, Any]:
    """What a run came to, for its summary: "validation" and "test" of its one member, or with several members

    "validation", "test": means over the seeds of the best setting, the one with the highest `score` on validation;
    "settings": for each setting its fields, seeds and folds, the same means, their spread, whether it is the "best";
    "replicas": for each member its seed, setting, fold and results, and the step at which it diverged, if it did.

    validation: one for each member, or empty where nothing is held out: the best setting is then the first.
    """
    if len(members) == 1:
        return {"validation": dict(validation[0]) if validation else {}, "test": dict(test[0])}
    rows = []
    for setting in unique(members):
        own = [i for i, member in enumerate(members) if member.setting == setting]
        row: dict[str, Any] = {"setting": setting, "seeds": [members[i].seed for i in own]}
        if members[0].fold is not None:
            row["folds"] = [members[i].fold for i in own]
        for split, results in (("validation", validation), ("test", test)):
            mine = [results[i] for i in own] if results else []
            row |= {split: mean(mine), f"{split}_spread": spread(mine)}
        rows.append(row)
    best = max(
        range(len(rows)), key=lambda i: np.nan_to_num(score(rows[i]["validation"]), nan=-np.inf) if validation else -i
    )
    each = [
        {"seed": member.seed, "setting": member.setting, "test": dict(test[i])}
        | ({} if member.fold is None else {"fold": member.fold})
        | ({"validation": dict(validation[i])} if validation else {})
        | ({"diverged_at_step": diverged[i]} if i in diverged else {})
        for i, member in enumerate(members)
    ]
    headline = {split: rows[best][split] for split in ("validation", "test")}
    return headline | {"settings": [row | {"best": i == best} for i, row in enumerate(rows)], "replicas": each}


def mean(results: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Mean of each metric over the replicas where it is finite; NaN where it is nowhere. "count" is one replica's."""
    found = {name: float(values.mean()) if values.size else float("nan") for name, values in _finite(results).items()}
    return found | ({"count": results[0]["count"]} if results and "count" in results[0] else {})


def spread(results: Sequence[Mapping[str, float]]) -> dict[str, dict[str, float]]:
    """{metric: {"deviation", "low", "high"}} over the replicas where it is finite, where those are at least two.

    deviation: standard deviation of a sample; low, high: 95 % interval of the mean (Student's t).
    """
    found = {}
    for name, values in _finite(results).items():
        if name == "count" or values.size < 2:
            continue
        found[name] = dict(zip(("deviation", "low", "high"), student(values), strict=True))
    return found


def _finite(results: Sequence[Mapping[str, float]]) -> dict[str, np.ndarray]:
    names = dict.fromkeys(name for result in results for name in result)
    columns = {name: np.array([result[name] for result in results if name in result]) for name in names}
    return {name: values[np.isfinite(values)] for name, values in columns.items()}
