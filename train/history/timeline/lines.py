"""The line of image classifiers: its configs, and the tables of what its nets came to."""

from collections.abc import Mapping, Sequence
from typing import Any

import zoo
from train.config import metrics
from train.history.timeline.exhibits import Exhibit
from train.metrics.format import human

LINE = ("perceptron", "mlp", "lenet5", "alexnet", "resnet20", "vit")
"""The nets, oldest first."""
SCENES = tuple(f"scenes_{net}" for net in LINE)
"""The configs that `zoo timeline` trains."""
LONGER = tuple(f"{name}_long" for name in SCENES)
"""The same nets, each trained until validation stops rising."""
MNIST = tuple(f"mnist_{net}" for net in (*LINE[:-1], "vit_mini"))
"""The nets on MNIST, each by a recipe of its own."""
MULTI30K = tuple(f"multi30k_{net}" for net in ("seq2seq", "seq2seq_attention", "transformer"))
"""Translation from German to English, on equal sentences."""
SHAKESPEARE = tuple(f"tiny_shakespeare_{net}" for net in ("lstm_char", "gpt_char_mini"))
"""Language models of nearly equal size on equal characters."""


def longer_note(exhibits: Sequence[Exhibit]) -> str:
    """Return a sentence about what the nets of LONGER came to; "" where none was recorded."""
    found = _named(exhibits, LONGER)
    if not found:
        return ""
    parts = ", ".join(f"{exhibit.model} {_percent(exhibit)}" for exhibit in found.values())
    seeds = " or ".join(str(count) for count in sorted({exhibit.seeds for exhibit in found.values()}))
    return f"Trained until validation stops rising (recorded with the project, {seeds} seeds each): {parts}."


def scenes_table(exhibits: Sequence[Exhibit]) -> str:
    """Return the Markdown table of the line on scenes, with both budgets in a row."""
    short, long = _named(exhibits, SCENES), _named(exhibits, LONGER)
    sizes = ("year", "model", "parameters", "FLOPs")
    heads = (*sizes, "quick: steps", "test accuracy", "minutes", "long: steps", "test accuracy", "minutes")
    rows = []
    for name, longer in zip(SCENES, LONGER, strict=True):
        one, other = short.get(name), long.get(longer)
        known = one or other
        if known is not None:
            card = zoo.card(known.model)
            own = (str(card.year), f"`{known.model}`", human(known.params), human(known.flops))
            rows.append((*own, *_cells(one), *_cells(other)))
    return _markdown(heads, rows)


def short_table(exhibits: Sequence[Exhibit]) -> str:
    """Return the README's Markdown table of the line on scenes: what each net came to with either budget."""
    short, long = _named(exhibits, SCENES), _named(exhibits, LONGER)
    rows = []
    for name, longer in zip(SCENES, LONGER, strict=True):
        if known := short.get(name):
            own = (str(zoo.card(known.model).year), f"`{known.model}`", human(known.params))
            rows.append((*own, _cells(known)[1], _cells(long.get(longer))[1]))
    return _markdown(("year", "model", "parameters", "800 steps", "until validation stops rising"), rows)


def recipes_table(exhibits: Sequence[Exhibit], names: Sequence[str], metric: str) -> str:
    """Return the Markdown table of configs that differ in recipe: what each came to by `metric`, and from what."""
    sizes = ("year", "config", "parameters", "recipe", "examples seen")
    rows = []
    for name, one in _named(exhibits, names).items():
        card = zoo.card(one.model)
        own = (str(card.year), f"`{name}`", human(one.params or card.params), one.recipe, human(one.examples or 0))
        rows.append((*own, _figure(one, metric), f"n = {one.seeds}", _minutes(one)))
    return _markdown((*sizes, f"test {metrics.title(metric)}", "seeds", "minutes"), rows)


def _figure(exhibit: Exhibit, metric: str) -> str:
    """Return a test figure, with its interval over seeds where there are several."""
    ends = exhibit.spread.get(metric, {})
    said = metrics.figure(metric, exhibit.test[metric])
    if not {"low", "high"} <= set(ends):
        return said
    return f"{said} ({metrics.figure(metric, ends['low'])} to {metrics.figure(metric, ends['high'])})"


def _minutes(exhibit: Exhibit) -> str:
    """Return the minutes of one seed."""
    return "–" if exhibit.seconds is None else f"{exhibit.seconds / exhibit.replicas / 60:.1f}"


def sweep_table(sweep: Mapping[str, Any], axis: str) -> str:
    """Return the Markdown table of tools/line_sweep.py: validation accuracy at each rate or each number of steps."""
    values = sorted({row[axis] for found in sweep.values() for row in found["tried"]})
    heads = ("config", *(f"{value:,}" if axis == "steps" else f"{value:g}" for value in values), "seeds")
    rows = []
    for name, found in sweep.items():
        tried = {row[axis]: row["accuracy"] for row in found["tried"]}
        cells = (_tried(tried.get(value), value == found["best"]) for value in values)
        rows.append((f"`{name}`", *cells, f"{found['seeds'][0]} to {found['seeds'][-1]}"))
    return _markdown(heads, rows)


def _tried(accuracies: Sequence[float | None] | None, best: bool) -> str:
    if accuracies is None:
        return ""
    said = f"{100 * sum(accuracy or 0.0 for accuracy in accuracies) / len(accuracies):.1f}"
    return f"**{said}**" if best else said


def _named(exhibits: Sequence[Exhibit], names: Sequence[str]) -> dict[str, Exhibit]:
    there = {exhibit.name: exhibit for exhibit in exhibits}
    return {name: there[name] for name in names if name in there}


def _cells(exhibit: Exhibit | None) -> tuple[str, str, str]:
    """Return steps, accuracy with its interval, and minutes a seed; three dashes where there is no exhibit."""
    if exhibit is None:
        return "–", "–", "–"
    return f"{exhibit.steps or 0:,}", _percent(exhibit), _minutes(exhibit)


def _percent(exhibit: Exhibit) -> str:
    accuracy = exhibit.test.get("accuracy")
    ends = exhibit.grouped or exhibit.spread.get("accuracy", {})
    if accuracy is None:
        return "–"
    said = f"{100 * accuracy:.1f} %"
    return f"{said} ({100 * ends['low']:.1f} to {100 * ends['high']:.1f})" if {"low", "high"} <= set(ends) else said


def _markdown(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
