"""The runs of a study in one folder: a finished run is used again, a stopped one is resumed."""

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path

from rich.console import Console

from train.config import Experiment
from train.config.files import ConfigFile
from train.core.signals import Stopped
from train.history.claims import provenance
from train.history.claims.readings import DIVERGED, all_diverged
from train.loop.fit import fit
from train.loop.restore import opened
from train.loop.run import Run, read_metrics, read_summary
from zoo.files import write_atomically


class TrainedRuns:
    """The runs in FOLDER/<name>/<time>, and those of them that this process has used.

    stopped: what is said of a run that was interrupted, before its name: "xor stopped in its arm".
    code: what the runs are made by, which each of them keeps.
    source: the user's own file, which the runs name. current: use no run that was made by other code than today's.
    """

    def __init__(
        self,
        stopped: str,
        folder: Path,
        console: Console,
        code: Mapping[str, str],
        *,
        source: ConfigFile | None = None,
        current: bool = False,
    ) -> None:
        self.stopped, self.folder, self.console, self.code = stopped, folder, console, code
        self.source, self.current = source, current
        self.done: list[Run] = []
        self._counted: set[Path] = set()  # runs whose seconds were asked for already

    def ensure(self, name: str, experiment: Experiment) -> Run:
        """Return a finished run of exactly this experiment.

        It may be an earlier run of this process, whose result would be identical to the bit. Otherwise it is in
        FOLDER/<name>: a finished run, a resumed one, or a new one.
        """
        experiment = dataclasses.replace(experiment, smoke={})
        run = next((run for run in self.done if run.experiment == experiment), None)
        run = run or self._trained(name, experiment)
        self.done.append(run)
        return run

    def spent(self, run: Run) -> float:
        """Return the seconds of a run, which count once: for the first of those that have it in common."""
        if run.path in self._counted:
            return 0.0
        self._counted.add(run.path)
        return spent(run)

    def _trained(self, name: str, experiment: Experiment) -> Run:
        usable = provenance.is_current if self.current else lambda run: True
        run, setup, resume = opened(name, experiment, self.folder, source=self.source, usable=usable, over=all_diverged)
        if setup is None:
            return run
        if not resume:
            provenance.keep(run, self.code)
        try:
            fit(run, dataclasses.replace(setup, watch=None, show=None), self.console, resume=resume)  # no pictures
        except Stopped as stop:
            if stop.code != 1:
                raise Stopped(f"{self.stopped} {name}; the same command continues it", stop.code) from None
            write_atomically(run.path / DIVERGED, json.dumps({"said": str(stop)}) + "\n")
        return run


def spent(run: Run) -> float:
    """Return the seconds that a run took, also if it diverged."""
    if summary := read_summary(run.path):
        return summary.seconds
    lines = read_metrics(run.path)
    return lines[-1]["seconds"] if lines else 0.0
