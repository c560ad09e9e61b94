"""What the user sees during a run: a progress bar on a terminal or in a notebook; elsewhere a line per evaluation."""

import contextlib
import importlib.util
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, Literal

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from train.loop import summary
from train.loop.run import Run, json_number
from train.loop.summary import Results
from train.metrics.format import figure, title

Lines = Literal["text", "json"] | None
"""How to print an evaluation where there is no progress bar: as a sentence or as one line of JSON; None: not at all."""


SLOW_SECONDS = 3.0
"""A start that takes longer says what it waits for."""


def has_bar(console: Console) -> bool:
    """Return whether a progress bar works: on a terminal, and in a notebook that has widgets."""
    return console.is_terminal or (console.is_jupyter and importlib.util.find_spec("ipywidgets") is not None)


@contextlib.contextmanager
def announced(run: Run, console: Console, lines: Lines) -> Iterator[Callable[[], None]]:
    """Where lines are printed, print one if the first steps take long. Yield a function that says that they are done.

    It is printed in a thread of its own, since the compiler does not come back before it has ended.
    """
    text = f"{run.name}: compiling {run.experiment.model.name}, once for each program; progress follows"
    timer = threading.Timer(SLOW_SECONDS, console.print, (text,), {"soft_wrap": True, "highlight": False})
    timer.daemon = True
    if lines == "text" and not has_bar(console):
        timer.start()
    try:
        yield timer.cancel
    finally:
        timer.cancel()


class Reporter:
    """Reports the metrics of a run: to its folder, for each replica, and to the user, as means over the replicas.

    began: when the run would have begun (a time of `time.perf_counter`) had it never been interrupted.
    lines: how to print an evaluation. As text only where there is no bar; JSON takes the place of the bar.
    """

    def __init__(self, run: Run, console: Console, step: int, began: float, *, lines: Lines = None) -> None:
        self._run, self._console, self._began = run, console, began
        bar = has_bar(console) and lines != "json"
        self._lines = None if bar else lines
        self._bar = Bar(console, run.name, step, run.experiment.steps, shown=bar)
        self._steps_per_second = 0.0
        self._first_line: tuple[int, float] | None = None  # (step, seconds) of the first line
        self._shown: dict[str, dict[str, float]] = {}  # split -> the metrics last reported

    @property
    def seconds(self) -> float:
        """How long the run has taken, without the time between an interruption and its resumption."""
        return time.perf_counter() - self._began

    def __enter__(self) -> "Reporter":
        self._bar.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._bar.__exit__(kind, error, tb)

    def report(self, step: int, split: str, results: Sequence[Results], steps_per_second: float = 0.0) -> None:
        """Report the results of each replica on "train", "validation" or "test"."""
        means = {name: value for name, value in summary.mean(results).items() if name != "count"}
        each = {name: [own.get(name) for own in results] for name in means} if len(results) > 1 else {}
        self._run.log(step, split, self.seconds, each, **means)
        self._shown[split] = means
        self._steps_per_second = steps_per_second or self._steps_per_second
        self._bar.update(step, steps_per_second, {f"{split} {name}": value for name, value in means.items()})

    def print_evaluation(self, step: int) -> None:
        """Where there is no bar, print a line with the metrics last reported and the time left."""
        if self._lines is None:
            return
        steps = self._run.experiment.steps
        if self._lines == "json":
            print_json(self._console, event="evaluation", step=step, steps=steps, seconds=self.seconds, **self._shown)
            return
        parts = [f"{self._run.name}: step {step:,} of {steps:,}"]
        for split, means in self._shown.items():
            parts.append(f"{split} {_metrics(means)}")
        if step < steps:
            parts.append(f"about {duration(self._seconds_left(step, steps))} left")
        self._first_line = self._first_line or (step, self.seconds)
        self._console.print("; ".join(parts), soft_wrap=True, highlight=False)

    def print_first(self, step: int) -> None:
        """Print such a line after the first steps too, where the start was slow and no evaluation has come yet."""
        if self._lines == "text" and self._first_line is None and self.seconds > SLOW_SECONDS:
            self.print_evaluation(step)

    def _seconds_left(self, step: int, steps: int) -> float:
        if self._first_line is None:  # what went before was mostly compilation
            return (steps - step) / self._steps_per_second
        first_step, first_seconds = self._first_line
        return (self.seconds - first_seconds) / (step - first_step) * (steps - step)


def print_json(console: Console, **fields: Any) -> None:
    """Print one line of JSON. A number that is not finite is null."""

    def plain(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {name: plain(inner) for name, inner in value.items()}
        return json_number(value) if isinstance(value, float) else value

    console.out(json.dumps(plain(fields)), highlight=False)


class Bar:
    """A progress bar over the steps of a run, with its speed, the time left and the last metrics."""

    def __init__(self, console: Console, name: str, start: int, steps: int, *, shown: bool = True) -> None:
        self._progress = Progress(
            TextColumn("{task.description}", style="bold", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[speed]}", markup=False),
            TimeRemainingColumn(compact=True),
            TextColumn("{task.fields[metrics]}", markup=False),
            console=console,
            disable=not (shown and has_bar(console)),
            transient=True,
        )
        self._speed = "compiling"
        self._shown: dict[str, str] = {}
        self._task = self._progress.add_task(name, total=steps, completed=start, speed=self._speed, metrics="")

    def __enter__(self) -> "Bar":
        self._progress.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._progress.stop()

    def update(self, step: int, steps_per_second: float, metrics: Mapping[str, float]) -> None:
        """Show that `step` steps are done. Metrics that were shown before stay unless `metrics` has a new value."""
        self._shown |= {name: f"{name} {value:.4g}" for name, value in metrics.items()}
        if steps_per_second:
            self._speed = f"{steps_per_second:.3g} steps/s"
        metrics_shown = "  ".join(self._shown.values())
        self._progress.update(self._task, completed=step, speed=self._speed, metrics=metrics_shown)


def duration(seconds: float) -> str:
    """Return a duration as people write it: "12 s", "3 min", "2.5 h"."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 100 * 60 else f"{seconds / 3600:.1f} h"


def _metrics(means: Mapping[str, float]) -> str:
    return ", ".join(f"{title(name)} {figure(name, value)}" for name, value in means.items())
