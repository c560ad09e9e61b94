"""Tables that compare the settings and folds of a run."""

from collections.abc import Mapping, Sequence

from rich import box
from rich.table import Table

from train.config import metrics
from train.loop.groups import GroupInterval
from train.loop.summary import ReplicaResult, SettingResult, Spread
from train.metrics.format import figure, title


def comparison(
    settings: Sequence[SettingResult],
    counts: str,
    heading: str | None = None,
    data: str | None = None,
    intervals: Mapping[str, Sequence[GroupInterval | None]] | None = None,
) -> Table:
    """Return a table of the settings of a run, one row for each split.

    Over several seeds a cell holds mean ± standard deviation, and below it the 95 % interval of the mean.
    counts: what the evaluation counts, such as "examples". data: the data set whose bounds the metrics have.
    intervals: split -> those of the accuracy of each setting, where the examples of the split come in groups.
    """
    first = settings[0]
    fields, names = list(first.setting), [name for name in first.test if name != "count"]
    notes = [f"{_several(first)}: mean ± standard deviation, 95 % interval of the mean"] * (len(first.seeds) > 1)
    intervals = intervals or {}
    for split, own in intervals.items():
        if over := dict.fromkeys(interval.over for interval in own if interval):
            notes.append(f"{split} accuracy: 95 % interval over {' or '.join(over)} (bootstrap)")
    notes += ["* best on validation"] * (len(settings) > 1)
    counted = [counts] * (not fields)  # the table of a sweep is wide enough without this column
    table = Table(title=heading, caption="; ".join(notes) or None, box=box.SIMPLE_HEAD, pad_edge=False)
    for head in (*fields, "split", *counted, *names):
        table.add_column(title(head.rpartition(".")[2]), no_wrap=True)
    for number, setting in enumerate(settings):
        mark = " *" * (len(settings) > 1 and setting.best)
        values = [f"{value:g}{mark}" for value in setting.setting.values()]
        table.add_section()
        for split in ("validation", "test"):
            means, spread = setting.on(split)
            if means:
                cells = [_cell(name, means[name], spread.get(name), data) if name in means else "" for name in names]
                if split in intervals and (interval := intervals[split][number]):
                    cells[names.index("accuracy")] = _grouped(means["accuracy"], spread.get("accuracy"), interval)
                table.add_row(*values, split, *[f"{means['count']:,}" for _ in counted], *cells)
                values = [""] * len(values)
    return table


def _several(setting: SettingResult) -> str:
    """Say what the mean of a setting is taken over."""
    seeds = len(set(setting.seeds))
    if not setting.folds:
        return f"{seeds} seeds"
    each = f" with {seeds} seeds each" * (seeds > 1)
    return f"{len(set(setting.folds))} folds{each}, which share training examples (so a rough interval)"


def each_fold(replicas: Sequence[ReplicaResult]) -> Table:
    """Return a table of the replicas of a run with folds, one row for each."""
    names = [name for name in replicas[0].test if name != "count"]
    seeds = ["seed"] * (len({replica.seed for replica in replicas}) > 1)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for head in (*(title(field.rpartition(".")[2]) for field in replicas[0].setting), *seeds, "fold", "examples"):
        table.add_column(head, justify="right", no_wrap=True)
    for head in (*(f"validation {title(name)}" for name in names), *(f"test {title(name)}" for name in names)):
        table.add_column(head, justify="right")
    for replica in replicas:
        values = [f"{value:g}" for value in replica.setting.values()]
        values += [str(replica.seed) for _ in seeds]
        values += [str(replica.fold), f"{replica.validation['count']:,}"]
        cells = [figure(name, replica.on(split)[name]) for split in ("validation", "test") for name in names]
        table.add_row(*values, *cells)
    return table


def _grouped(mean: float, spread: Spread | None, interval: GroupInterval) -> str:
    """Format an accuracy with its interval over groups, and over several seeds with their standard deviation."""
    deviation = "" if spread is None else f" ± {figure('accuracy', spread.deviation)}"
    low, high = figure("accuracy", interval.low), figure("accuracy", interval.high)
    return f"{figure('accuracy', mean)}{deviation}\n{low} to {high}"


def _cell(name: str, mean: float, spread: Spread | None, data: str | None) -> str:
    """Format a mean, and over several seeds its standard deviation and interval, cut at the bounds of the metric."""
    if spread is None:
        return figure(name, mean)
    low, high = metrics.inside(name, (spread.low, spread.high), (mean,), data)
    return f"{figure(name, mean)} ± {figure(name, spread.deviation)}\n{figure(name, low)} to {figure(name, high)}"
