"""What a person sees while a run goes on: a progress bar on a terminal, nothing in a pipe."""

from collections.abc import Mapping
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


class Bar:
    """A bar over the steps of one run with steps per second, time left and the metrics that matter."""

    def __init__(self, console: Console, name: str, start: int, steps: int) -> None:
        self._progress = Progress(
            TextColumn("[bold]{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[speed]}"),
            TimeRemainingColumn(compact=True),
            TextColumn("{task.fields[metrics]}"),
            console=console,
            disable=not console.is_terminal,
            transient=True,
        )
        self._shown: dict[str, str] = {}
        self._task = self._progress.add_task(name, total=steps, completed=start, speed="compiling", metrics="")

    def __enter__(self) -> "Bar":
        self._progress.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._progress.stop()

    def update(self, step: int, steps_per_second: float, metrics: Mapping[str, float]) -> None:
        """Show `step` done; `metrics` replace those of the same name and leave the others standing."""
        self._shown |= {name: f"{name} {value:.4g}" for name, value in metrics.items()}
        self._progress.update(
            self._task, completed=step, speed=f"{steps_per_second:.3g} steps/s", metrics="  ".join(self._shown.values())
        )
