"""Run a claim: its arms one after the other, with the seeds of each as replicas. Finished runs are not repeated."""

import dataclasses
import datetime
import functools
import json
import time
from collections.abc import Sequence, Set
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from train.config import Experiment
from train.config.files import ConfigFile
from train.history.claims import provenance, readings, tuned_settings, tuning
from train.history.claims.arms import (
    DerivedArm,
    FunctionArm,
    Measured,
    MembersArm,
    Metric,
    Outcome,
    RemeasuredArm,
    TrainedArm,
    metric,
)
from train.history.claims.claim import Claim
from train.history.claims.readings import all_diverged
from train.history.claims.trained_runs import TrainedRuns
from train.history.claims.values import Curve, Values
from train.history.claims.verdict import result
from train.loop.restore import assemble_run
from train.loop.run import Run, read_metrics, read_summary
from train.tasks.check import check
from zoo.files import parse_json, write_atomically


class ClaimRun:
    """The execution of one claim in `folder`.

    Run folders are FOLDER/<arm>/<time>; the values of a FunctionArm are in FOLDER/<arm>/values.json.
    key: a hash that changes when the claim's functions may have changed.
    source: the user's own claim file, which its runs name.
    current: use no run that was made by other code than today's.
    """

    def __init__(
        self,
        name: str,
        claim: Claim,
        folder: Path,
        console: Console,
        *,
        key: str = "",
        source: ConfigFile | None = None,
        current: bool = False,
    ) -> None:
        self.name, self.claim, self.folder, self.console = name, claim, folder, console
        self.code = provenance.code(claim)
        self.trained = TrainedRuns(
            f"{name} stopped in its arm", folder, console, self.code, source=source, current=current
        )
        self.key = f"{key} {provenance.digest(self.code)}"
        self.runs: dict[str, Run] = {}  # of the trained arms
        self.remarks: dict[str, str] = {}
        self.doubts: dict[str, str] = {}  # of tuned arms
        self.seconds: dict[str, float] = {}

    def check(self) -> None:
        """Check all arms and their data sets before the first run. Raises UserError for the first problem."""
        loaded = set()
        arms = [arm for arm in self.claim.arms.values() if isinstance(arm, TrainedArm)]
        starts = [self.claim.starts[arm.start] for arm in arms if arm.start]
        for experiment in [*starts, *(arm.experiment for arm in arms)]:
            check(experiment)
            if experiment.data not in loaded:  # loads the data, compiles nothing
                assemble_run(dataclasses.replace(experiment, init_from=None))
            loaded.add(experiment.data)
        for arm in arms:
            readings.require_measured(self.claim.measured, arm.experiment)
            if arm.tune:
                for trial in tuning.trials(arm.experiment, arm.tune):
                    check(trial.experiment)
                readings.require_measured(metric(arm.tune.by), arm.experiment)
        for arm in self.claim.arms.values():
            trained = self.claim.arms.get(arm.of) if isinstance(arm, RemeasuredArm) else None
            if isinstance(arm, RemeasuredArm) and isinstance(trained, TrainedArm):
                readings.require_measured(arm.metric, trained.experiment)

    def run(self, setting: str = "small") -> dict[str, Any]:
        """Run the claim. Returns its object for results/claims.json. Raises Stopped where it is interrupted."""
        values = self.values()
        return result(
            self.name,
            self.claim,
            setting,
            values,
            seconds=round(sum(arm.seconds for arm in values.values()), 1),
            date=datetime.date.today().isoformat(),
            data=provenance.data(self.trained.done),
            code=provenance.code_of_all(self.code, self.trained.done),
            **provenance.surroundings(),
        )

    def values(self, names: Set[str] | None = None) -> dict[str, Values]:
        """Run all arms that are not derived from others, or those of these names, and return their values."""
        found = {}
        for name, arm in sorted(self.claim.arms.items(), key=lambda pair: isinstance(pair[1], RemeasuredArm)):
            if not isinstance(arm, DerivedArm | MembersArm) and (names is None or name in names):
                found[name] = self._arm(name, arm)
        return found

    def _arm(self, name: str, arm: TrainedArm | FunctionArm | RemeasuredArm) -> Values:
        match arm:
            case FunctionArm():
                return self._compute(name, arm)
            case RemeasuredArm(of=of, metric=other):
                return self._measure(self.runs[of], other, name, of=of)
        self.runs[name] = self._train(name, arm)
        return self._measure(self.runs[name], self.claim.measured, name, of=name)

    def _measure(self, run: Run, wanted: Metric, name: str, of: str) -> Values:
        """Return the values of an arm. of: the trained arm whose run it is, the arm itself or another one."""
        first, count = run.experiment.seed, run.experiment.seeds
        began = time.perf_counter()
        remarks = [self.remarks.get(name, "")]
        if all_diverged(run.path):
            gone = dict.fromkeys(range(count), 0)
            found = [readings.never_reached(run) if wanted.counts_steps else Measured(None)] * count
            remarks.append("every seed diverged")
        else:
            found = readings.measure(run, wanted)
            summary = read_summary(run.path)
            assert summary is not None, f"{run.path} is not finished"
            gone = readings.diverged(summary)
            remarks += [f"seed {first + i} diverged at step {step:,}" for i, step in gone.items()]
        line = None
        if of == name and self.claim.plot.kind == "curve" and read_metrics(run.path):
            line = readings.curve(run, self.claim.plot.of)
        seconds = time.perf_counter() - began + self.seconds.get(name, 0.0)
        keys = tuple(frozenset(one.of or (first + i,)) for i, one in enumerate(found))
        return Values(
            tuple(min(key) for key in keys),
            tuple(one.value for one in found),
            round(seconds, 1),
            "; ".join(filter(None, remarks)),
            line,
            of=keys,
            censored=tuple(one.at_least for one in found),
            diverged=frozenset(first + i for i in gone),
            doubt="; ".join(filter(None, (self.doubts.get(of, ""), self._saturation(name, found)))),
        )

    def _saturation(self, name: str, found: Sequence[Measured]) -> str:
        """Return why no effect of an arm can be decided, where its mean is beyond that at which the claim saturates."""
        limit, own = self.claim.saturated, [one.value for one in found if one.value is not None]
        if limit is None or not own or not isinstance(self.claim.arms[name], TrainedArm) or np.mean(own) <= limit:
            return ""
        return f"its mean is above {limit:g}, where the measure is saturated"

    def _train(self, name: str, arm: TrainedArm) -> Run:
        experiment = dataclasses.replace(arm.experiment, seeds=self.claim.seeds)
        seconds = 0.0

        def trained(own: str, experiment: Experiment) -> Run:
            nonlocal seconds
            start = self.claim.start_of(arm, experiment)
            if start is not None:
                begun = self.trained.ensure(f"start.{arm.start}", start)
                seconds += self.trained.spent(begun)
                experiment = dataclasses.replace(experiment, init_from=str(begun.path))
            run = self.trained.ensure(own, experiment)
            seconds += self.trained.spent(run)
            return run

        if arm.tune:
            choice = tuning.choose(experiment, arm.tune, functools.partial(trained, f"{name}.tune"))
            self.remarks[name], self.doubts[name] = choice.remark, choice.doubt
            experiment = tuned_settings.with_setting(experiment, choice.setting)
        run = trained(name, experiment)
        self.seconds[name] = seconds
        return run

    def _compute(self, name: str, arm: FunctionArm) -> Values:
        """Compute one value per seed, or just one where it is exact. Each is saved at once."""
        file = self.folder / name / "values.json"
        kept = _kept(file, self.key)
        seeds = tuple(range(1 if arm.exact else self.claim.seeds))
        for seed in seeds:
            if str(seed) in kept:
                continue
            began = time.perf_counter()
            found = arm.value(seed)
            found = found if isinstance(found, Outcome) else Outcome(float(found))
            seconds = time.perf_counter() - began
            kept[str(seed)] = {
                "value": float(found.value),
                "x": np.asarray(found.x, float).tolist(),
                "y": np.asarray(found.y, float).tolist(),
                "at_least": bool(found.at_least),
                "doubt": found.doubt,
                "seconds": seconds,
            }
            write_atomically(file, json.dumps({"key": self.key, "seeds": kept}) + "\n", make_folder=True)
        own = [kept[str(seed)] for seed in seeds]
        line = None
        if own and own[0]["x"]:
            line = Curve(np.array(own[0]["x"]), np.array([one["y"] for one in own]))
        values = tuple(one["value"] if np.isfinite(one["value"]) else None for one in own)
        seconds = round(sum(one["seconds"] for one in own), 1)
        bounds = tuple(one.get("at_least", False) for one in own)
        doubt = "; ".join(dict.fromkeys(one["doubt"] for one in own if one.get("doubt")))
        own_seeds = () if arm.exact else seeds
        return Values(own_seeds, values, seconds, curve=line, exact=arm.exact, censored=bounds, doubt=doubt)


def _kept(file: Path, key: str) -> dict[str, Any]:
    try:
        held = parse_json(file.read_text(encoding="utf-8"))
        return held["seeds"] if held["key"] == key else {}
    except (OSError, ValueError, KeyError, TypeError):
        return {}
