"""The rows of the timeline: each run with the history of its model; and their table."""

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.table import Table
from rich.text import Text

import zoo
from train.config.data import is_scenes
from train.history.timeline.lenient_json import mapping, read_json, share, whole
from train.loop.run import read_metrics
from train.loop.summary import Summary
from train.metrics.format import human
from train.metrics.statistics import wilson
from train.pictures.style import LEAN
from zoo.cards import Card, Paper
from zoo.errors import UserError


@dataclasses.dataclass(frozen=True)
class Row:
    """One run and the card of its model. A value that is missing or not finite is None."""

    name: str  # of the config
    model: str  # name on the card
    label: str  # the model, or model and run where a model has several runs
    dataset: str
    year: int | None
    paper: Paper | None
    idea: str
    params: int | None
    flops: int | None  # forward, one example at the data's size
    steps: int | None
    examples: int | None  # seen in training
    seed: int | None
    seeds: int
    recipe: str  # optimizer and peak learning rate
    accuracy: float | None  # on the test split, 0 to 1
    count: int | None  # test examples behind `accuracy`
    low: float | None  # 95 % interval of `accuracy`
    high: float | None
    over: str  # what the interval is over: "359 digits"; "" where it is Wilson's over the test examples
    seconds: float | None
    compile_seconds: float | None
    device: str
    date: str
    versions: Mapping[str, str]
    curve: tuple[tuple[int, float], ...]  # (step, validation accuracy)


def gather(runs: Sequence[Path], cards: Mapping[str, Card] | None = None) -> list[Row]:
    """Return one row for each run folder, oldest model first. `cards`: by default those of the zoo.

    The row of an unfinished run has no test metrics. Raises UserError for a folder that is not a run, and for a file
    that is not JSON.
    """
    cards = zoo.CARDS if cards is None else cards
    rows = [_row(Path(run), cards) for run in runs]
    age = {name: index for index, name in enumerate(cards)}
    rows.sort(key=lambda row: (age.get(row.model, len(age)), row.name, row.seed or 0))
    runs_of = Counter(row.model for row in rows)
    return [
        row if runs_of[row.model] == 1 else dataclasses.replace(row, label=f"{row.name}, seed {row.seed}")
        for row in rows
    ]


def _row(run: Path, cards: Mapping[str, Card]) -> Row:
    config, content = read_json(run / "config.json"), read_json(run / "summary.json")
    if not config and not content:
        raise UserError(f"{run}: not a run folder: neither config.json nor summary.json is there")
    summary = Summary.from_json(content)
    planned, data, optim = (mapping(config, part) for part in ("model", "data", "optim"))
    model = summary.model or str(planned.get("name") or run.parent.name)
    card = cards.get(model)
    accuracy, count = share(summary.test.get("accuracy")), whole(summary.test.get("count"))
    dataset = summary.dataset or str(data.get("name") or "")
    low, high, over = _interval(summary, dataset, accuracy, count)
    return Row(
        name=summary.name or run.parent.name,
        model=model,
        label=model,
        dataset=dataset,
        year=card.year if card else None,
        paper=card.paper if card else None,
        idea=card.idea if card else "",
        params=summary.params or None,
        flops=summary.flops or None,
        steps=summary.steps or None,
        examples=summary.examples or None,
        seed=whole(content.get("seed", config.get("seed"))),
        seeds=len(summary.best_setting.seeds),
        recipe=" ".join(str(optim[key]) for key in ("name", "lr") if key in optim),
        accuracy=accuracy,
        count=count,
        low=low,
        high=high,
        over=over,
        seconds=summary.seconds or None,
        compile_seconds=summary.compile_seconds or None,
        device=summary.device,
        date=summary.date,
        versions=summary.versions,
        curve=_curve(run),
    )


def _interval(
    summary: Summary, dataset: str, accuracy: float | None, count: int | None
) -> tuple[float | None, float | None, str]:
    """Return the interval of a test accuracy and what it is over; see `Row.over`.

    Examples in groups are not independent. So without the counts of each digit, which the first runs on scenes lack,
    nothing is known of their interval.
    """
    if accuracy is None or not count:
        return None, None, ""
    if found := summary.interval():
        return found.low, found.high, found.over
    return (None, None, "") if is_scenes(dataset) else (*wilson(accuracy, count), "")


def table(rows: Sequence[Row]) -> Table:
    """Return a table with a line per run: year, model, parameters, FLOPs, test accuracy with its interval, seconds."""
    out = Table(title=budget(rows), caption=interval_note(rows), title_style="bold", caption_justify="left", **LEAN)
    for head in ("year", "model"):
        out.add_column(head, no_wrap=True)
    for head in ("params", "FLOPs", "test\naccuracy", "95 %\ninterval", "seconds"):
        out.add_column(head, justify="right", no_wrap=True)
    best = max((row.accuracy for row in rows if row.accuracy is not None), default=None)
    for row in rows:
        interval = "–" if row.low is None or row.high is None else f"{100 * row.low:.1f} to {100 * row.high:.1f}"
        cells = (row.year, row.label, human(row.params), human(row.flops), percent(row.accuracy), interval)
        style = "bold" if row.accuracy is not None and row.accuracy == best else ""
        out.add_row(*(_plain(cell) for cell in cells), seconds(row.seconds), style=style)
    return out


def budget(rows: Sequence[Row]) -> str:
    """Return the budget of the runs, such as "digits: 600 steps, 38,400 examples", with ranges where they differ."""
    parts = []
    for unit, values in (("steps", {r.steps for r in rows}), ("examples", {r.examples for r in rows})):
        known = sorted(value for value in values if value is not None)
        if known:
            parts.append(f"{known[0]:,} {unit}" if len(known) == 1 else f"{known[0]:,} to {known[-1]:,} {unit}")
    return f"{', '.join(sorted({r.dataset for r in rows}))}: {', '.join(parts)}" if parts else ""


def interval_note(rows: Sequence[Row]) -> str:
    """Return a sentence about the meaning of the intervals; "" where no run has one because its counts are missing."""
    overs = dict.fromkeys(row.over for row in rows if row.over)
    kinds = [f"bootstrap, 95 %, over {' or '.join(overs)}"] * bool(overs)
    others = [row for row in rows if not row.over and not is_scenes(row.dataset)]
    if others or not rows:
        counts = " or ".join(f"{count:,}" for count in sorted({r.count for r in others if r.count}))
        kinds.append(f"Wilson, 95 %, over {counts or 'the'} test images")
    if not kinds:
        return ""
    one_seed = " Each run has one seed: the interval excludes the spread over seeds."
    return f"Interval: {'; '.join(kinds)}." + one_seed * all(row.seeds == 1 for row in rows)


def percent(share: float | None) -> str:
    """0.9821 -> "98.2 %"; None -> "–"."""
    return "–" if share is None else f"{100 * share:.1f} %"


def seconds(value: float | None) -> str:
    """3.14159 -> "3.1", 204.2 -> "204"; None -> "–"."""
    return "–" if value is None else f"{value:,.1f}" if value < 100 else f"{value:,.0f}"


def _plain(cell: Any) -> Text:
    return Text("–" if cell is None else str(cell))  # names are never markup


def _curve(run: Path) -> tuple[tuple[int, float], ...]:
    """Return (step, validation accuracy), sorted by step. The last line of a step counts."""
    points: dict[int, float] = {}
    for line in read_metrics(run):
        if isinstance(line, dict) and line.get("split") == "validation":
            step, accuracy = whole(line.get("step")), share(line.get("accuracy"))
            if step is not None and accuracy is not None:
                points[step] = accuracy
    return tuple(sorted(points.items()))
