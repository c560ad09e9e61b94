"""The cells of the page's tables and lists: formatted values in the page's language."""

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from train.algorithms.cards import Algorithm
from train.config import files, metrics, ways
from train.config.data import is_scenes
from train.config.metrics import SHARE
from train.history.timeline.comparison import Comparison
from train.history.timeline.drawing import Drawing, shape
from train.history.timeline.exhibits import Exhibit
from train.history.timeline.findings import Arm, Finding
from train.history.timeline.grids import Grid
from train.history.timeline.rooms import Room
from train.history.timeline.words import Words
from train.metrics import format
from train.metrics.format import human

DIGITS = 4


class Fact(NamedTuple):
    """A line of a list."""

    what: str
    value: str


class FactGroup(NamedTuple):
    """A list with a heading."""

    heading: str
    facts: list[Fact]


def metric_title(name: str, t: Words) -> str:
    """ "fake_accuracy" -> "Fake accuracy": the title that the terminal prints, with a capital."""
    title = t.plain(format.title(name))
    return title[:1].upper() + title[1:]


def figure(metric: str, value: float | None) -> str:
    """Format a metric like the terminal's tables; "–" for None."""
    return "–" if value is None else format.figure(metric, value)


def later_figure(metric: str, value: float | None) -> str:
    """Format a metric that was measured after the run."""
    return figure(metric, value) if format.is_share(metric) else plain(value)


def plain(value: float | None) -> str:
    """Format a number with four significant digits: 0.01234, 12.34, 123,456; "–" for None."""
    if value is None:
        return "–"
    return f"{value:,.0f}" if abs(value) >= 10**DIGITS else f"{value:.{DIGITS}g}"


def whole_seconds(value: float | None) -> str:
    """3.14159 -> "3.1", 204.2 -> "204"; None -> "–"."""
    return "–" if value is None else f"{value:,.1f}" if value < 100 else f"{value:,.0f}"


def part_rows(drawing: Drawing) -> list[tuple[str, str, str, str]]:
    """Return the part, type, shape and parameters of each part of a diagram."""
    times = [f" × {part.times}" if part.times > 1 else "" for part in drawing.parts]
    return [(p.name, p.type + more, p.shape, p.params or "0") for p, more in zip(drawing.parts, times, strict=True)]


def size_rows(room: Room) -> list[tuple[str, ...]]:
    """Return for each card its name, the paper's parameters, ours, FLOPs, input, and the sizes that were trained."""
    rows = []
    for card in room.cards:
        trained = [f"{human(e.params)} ({e.dataset})" for e in room.exhibits if e.model == card.name]
        sizes = ", ".join(shape(size) for size, dtype in card.inputs.values() if str(dtype).find("bool") < 0)
        said = f"{human(card.paper_params)}" if card.paper_params else "–"
        rows.append((card.name, said, f"{card.params:,}", human(card.flops), sizes, ", ".join(trained) or "–"))
    return rows


def exhibit_facts(exhibit: Exhibit, t: Words) -> list[FactGroup]:
    """Return the results of a run, the metrics that were measured later, and how it was trained."""
    test = []
    for name, value in exhibit.test.items():
        notes = "; ".join(_spread_notes(exhibit, name, t))
        test.append(Fact(metric_title(name, t), figure(name, value) + f" ({notes})" * bool(notes)))
    later = []
    for name, found in exhibit.more.items():
        error = f" ± {plain(found['error'])}" if found.get("error") else ""
        later.append(Fact(metric_title(name, t), f"{later_figure(name, found.get('value'))}{error}"))
    return [
        FactGroup(t("test_result"), test),
        FactGroup(t("later_measured"), later),
        FactGroup(t("how"), _how(exhibit, t)),
    ]


def _spread_notes(exhibit: Exhibit, name: str, t: Words) -> list[str]:
    """Return what is known of the spread of a metric: over the replicas, and its interval."""
    notes = []
    if spread := exhibit.spread.get(name):
        deviation = figure(name, spread.get("deviation"))
        notes.append(t("over_folds" if exhibit.folds else "over_seeds", n=exhibit.replicas, deviation=deviation))
    of_groups = name == "accuracy" and (exhibit.grouped or is_scenes(exhibit.dataset))  # an interval of its own or none
    if of_groups and exhibit.grouped:
        low, high = (figure(name, exhibit.grouped[end]) for end in ("low", "high"))
        notes.append(t("interval_over", low=low, high=high, over=_over(exhibit, t)))
    elif spread and not of_groups:
        low, high = (figure(name, end) for end in _interval(exhibit, name))
        notes.append(t("interval", low=low, high=high))
    return notes


def _over(exhibit: Exhibit, t: Words) -> str:
    """Return what the interval over groups is over: "359 digits and 3 seeds"."""
    groups = t("over_digits" if exhibit.of_digits else "over_groups", n=f"{exhibit.grouped['groups']:,.0f}")
    seeds = int(exhibit.grouped["seeds"])
    return t("and_seeds", groups=groups, n=seeds) if seeds > 1 else groups


def _interval(exhibit: Exhibit, name: str) -> tuple[float | None, float | None]:
    """Return the 95 % interval of a metric over the replicas, cut where the metric ends; (None, None) without one."""
    spread, value = exhibit.spread[name], exhibit.test[name]
    low, high = spread.get("low"), spread.get("high")
    if low is None or high is None:
        return None, None
    return metrics.inside(name, (low, high), (value,), exhibit.dataset)


def _how(exhibit: Exhibit, t: Words) -> list[Fact]:
    budget = ""
    if exhibit.steps and exhibit.examples:
        budget = t("budget_line", steps=f"{exhibit.steps:,}", examples=f"{exhibit.examples:,}")
    seconds, compiling = whole_seconds(exhibit.seconds), whole_seconds(exhibit.compile_seconds)
    took = t("took_time", seconds=seconds, compiling=compiling) if exhibit.compile_seconds else ""
    several = exhibit.seeds > 1 and exhibit.seed is not None
    seeds = (
        f"{exhibit.seed}–{exhibit.seed + exhibit.seeds - 1}"
        if several and exhibit.seed is not None
        else str(exhibit.seed)
    )
    setting = ", ".join(f"{field} {value:g}" for field, value in exhibit.setting.items())
    return [
        Fact(t("how_long"), (took or t("took_time_only", seconds=seconds)) if exhibit.seconds else ""),
        Fact(t("budget"), budget),
        Fact(t("parameters"), f"{exhibit.params:,}" if exhibit.params else ""),
        Fact(t("recipe"), exhibit.recipe),
        Fact(t("chosen"), t("best_of", setting=setting, n=exhibit.settings) if setting else ""),
        Fact(t("seeds" if several else "seed"), seeds if exhibit.seed is not None else ""),
        Fact(t("software"), ", ".join(f"{name} {version}" for name, version in exhibit.versions.items())),
    ]


def note_facts(exhibit: Exhibit, t: Words) -> list[Fact]:
    """Return how the metrics of a run were computed."""
    return [Fact(metric_title(name, t), t.told(note)) for name, note in exhibit.notes.items()]


def curve_names(exhibit: Exhibit) -> list[str]:
    """Return the metrics of a run that have curves, the main metric of its task first."""
    main = ways.WAYS[exhibit.task].compared_by if exhibit.task in ways.WAYS else ""
    return sorted(exhibit.curves, key=lambda name: name != main)


def curve_heads(exhibit: Exhibit, t: Words) -> list[tuple[str, int]]:
    return [(t("step"), 1), *((metric_title(name, t), 1) for name in curve_names(exhibit))]


def curve_rows(exhibit: Exhibit) -> list[list[str]]:
    """Return rows of a step and the metrics at it: at most ten, evenly spaced, including the last step."""
    steps = sorted({step for curve in exhibit.curves.values() for step in curve.steps})
    stride = max(1, -(-len(steps) // 10))
    rows = []
    for i, step in enumerate(steps):
        if (len(steps) - 1 - i) % stride == 0:
            curves = [exhibit.curves[name] for name in curve_names(exhibit)]
            at = [dict(zip(curve.steps, curve.mean, strict=True)).get(step) for curve in curves]
            figures = [figure(name, value) for name, value in zip(curve_names(exhibit), at, strict=True)]
            rows.append([f"{step:,}", *figures])
    return rows


def effect_rows(finding: Finding, t: Words) -> list[tuple[str, ...]]:
    rows = []
    for effect in finding.effects:
        expected = t(f"expected_{effect.expected}") if effect.expected in ("higher", "lower") else effect.expected
        key = f"verdict_{effect.verdict.replace(' ', '_')}"
        verdict = t(key) if key in t.table else effect.verdict
        arms = ", ".join(filter(None, (effect.arm, effect.against)))
        why = f" ({t.plain(effect.why)})" if effect.why else ""
        rows.append((t.told(effect.says), arms, expected, t.told(effect.measured), verdict + why))
    return rows


def arm_rows(finding: Finding, t: Words) -> list[tuple[str, ...]]:
    rows = []
    for arm in finding.arms:
        known = arm.low is not None and arm.high is not None
        ends = _of_arm(arm, arm.low), _of_arm(arm, arm.high)
        interval = t("range_of", low=ends[0], high=ends[1], unit="").strip() if known else "–"
        seeds = t("claim_exact") if arm.exact else str(arm.seeds)
        said = arm_mean(arm, t), _of_arm(arm, arm.deviation, "")
        rows.append((arm.name, t.told(arm.says), seeds, *said, interval))
    return rows


def arm_mean(arm: Arm, t: Words) -> str:
    """Return the mean of an arm: "96.41 %", "0.1450", or "at least 300"."""
    said = _of_arm(arm, arm.mean)
    return t("at_least", value=said) if arm.at_least else said


def _of_arm(arm: Arm, value: float | None, percent: str = " %") -> str:
    return f"{100 * value:.2f}{percent}" if arm.unit == SHARE and value is not None else plain(value)


def verdict_words(finding: Finding, t: Words) -> str:
    """Return a verdict in the page's language, "at this size" where the setting is much smaller than the paper's."""
    said = t(f"verdict_{finding.verdict.replace(' ', '_')}")
    return t("at_this_size", verdict=said) if finding.smaller and finding.verdict != "undecided" else said


def verdict_notes(finding: Finding, t: Words) -> list[str]:
    """Return what stands beside a verdict: how many parts hold, why it is undecided, and whether it is out of date."""
    holding, parts = finding.parts
    notes = [t("parts_hold", holding=holding, parts=parts)] if parts > 1 else []
    if finding.verdict == "undecided" and finding.effects and finding.effects[0].why:
        notes.append(t("undecided_since", why=t.plain(finding.effects[0].why)))
    command = finding.command + " --record" * finding.recorded
    if finding.earlier:
        notes.append(t("earlier_design", command=command))
    elif finding.changed:
        notes.append(t("earlier_code", files=finding.changed, command=command))
    return notes


def claim_facts(finding: Finding, t: Words) -> list[Fact]:
    return [
        Fact(t("smaller"), t.told(finding.smaller)),
        Fact(t("varies"), ", ".join(map(t.plain, finding.varies))),
        Fact(t("pilots"), t.told(finding.pilots)),
        Fact(t("sham"), t.told(finding.sham)),
        Fact(t("sabotage"), t.told(finding.sabotage)),
        Fact(t("claim_design"), finding.design),
        Fact(t("how_long"), t("took_time_only", seconds=whole_seconds(finding.seconds)) if finding.seconds else ""),
        Fact(t("device"), ", ".join(filter(None, (t.plain(finding.device), finding.machine)))),
        Fact(t("date"), finding.date),
        Fact(t("commit"), _commit(finding, t)),
        Fact(t("data_hash"), ", ".join(f"{name} {digest}" for name, digest in finding.data.items())),
        Fact(t("software"), ", ".join(f"{name} {version}" for name, version in finding.versions.items())),
    ]


def _commit(finding: Finding, t: Words) -> str:
    if finding.commit:
        changes = "" if finding.clean else t("not_clean")
        return "; ".join(
            [finding.commit[:12] + (f" ({changes})" if changes else ""), *filter(None, [t.plain(finding.renewed)])]
        )
    return t("no_commit") if finding.code else ""  # nothing is known of results of before


def group_title(comparison: Comparison, t: Words) -> str:
    """Return the title of a comparison: "Image classifiers on digits (data.labels 0.1)"."""
    keys = (f"group_{comparison.task}_{comparison.kind}", f"group_{comparison.task}", "group_other")
    key = next(key for key in keys if key in t.table)
    title = t(key, dataset=set_title(comparison.dataset, t), task=comparison.task)
    terms = ", ".join(_known(f"term_{_slug(term)}", term, t) for term in comparison.terms)
    return f"{title} ({terms})" if terms else title


def set_title(dataset: str, t: Words) -> str:
    """Return what readers call a data set: "tsv:multi30k/de-en" -> "Multi30k, German to English"."""
    return _known("set_scenes" if is_scenes(dataset) else f"set_{_slug(dataset)}", dataset, t)


def _known(key: str, name: str, t: Words) -> str:
    """Return the sentence of a key, or the name where the language has no such key."""
    return t(key) if key in t.table else t.plain(name)


def _slug(name: str) -> str:
    return re.sub(r"\W+", "_", name)


def comparison_note(comparison: Comparison, t: Words) -> str:
    """Return a note about the budget, the best entry, and the meaning of the intervals."""
    parts, same = [], True
    for unit in ("steps", "examples"):
        known = sorted({value for e in comparison.entries if (value := getattr(e.exhibit, unit))})
        same = same and len(known) <= 1
        if known:
            said = f"{known[0]:,}" if len(known) == 1 else f"{known[0]:,}–{known[-1]:,}"
            parts.append(f"{said} {t(f'unit_{unit}')}")
    notes = [t("same_budget" if same else "other_budget", budget=", ".join(parts))] if parts else []
    best, name = comparison.best, comparison.metric.name
    if best is not None:
        notes.append(t("comparison_best", label=best.label, value=figure(name, best.value)))
    if best is not None and best.low is not None:
        labels = ", ".join(entry.label for entry in comparison.reaching)
        notes.append(t("comparison_reach", labels=labels) if labels else t("comparison_no_reach"))
    known = [e.exhibit for e in comparison.entries if e.low is not None]
    grouped = [exhibit for exhibit in known if exhibit.grouped]
    of_one_seed = [exhibit for exhibit in known if exhibit.replicas == 1 and not exhibit.grouped]
    counts = sorted({exhibit.count for exhibit in of_one_seed if exhibit.count is not None})
    if counts:
        notes.append(t("wilson_note", count=" / ".join(f"{count:,}" for count in counts)))
    elif grouped:
        overs = dict.fromkeys(_over(exhibit, t) for exhibit in grouped)
        why = "digits_note" if grouped[0].of_digits else "groups_note"
        notes.append(t("grouped_note", over=" / ".join(overs), why=t(why)))
    elif not known and all(entry.exhibit.replicas == 1 for entry in comparison.entries):
        notes.append(t("no_interval_note"))
    return " ".join(notes)


def comparison_facts(comparison: Comparison, t: Words) -> list[Fact]:
    """Return how the runs were measured. A value that several runs share is given once."""
    shown = [entry.exhibit for entry in comparison.entries]

    def all_of(values: Sequence[object]) -> str:
        return "; ".join(dict.fromkeys(str(value) for value in values if value not in (None, "")))

    return [
        Fact(t("device"), all_of([t.plain(e.device) for e in shown])),
        Fact(t("date"), all_of([e.date for e in shown])),
        Fact(t("seed"), all_of([e.seed for e in shown])),
        Fact(t("software"), all_of([", ".join(f"{k} {v}" for k, v in e.versions.items()) for e in shown])),
        Fact(t("recipe"), all_of([f"{entry.label}: {entry.exhibit.recipe}" for entry in comparison.entries])),
    ]


def column_rows(grid: Grid, t: Words) -> list[tuple[str, ...]]:
    """Return for each column of a grid its name, its paper, and how it departs from it."""
    return [(t.told(column.says), column.paper, t.told(column.departs)) for column in grid.columns]


def constants(card: Algorithm) -> str:
    return ", ".join(f"{name} = {value:g}" for name, value in card.constants.items())


def use_of(card: Algorithm) -> str:
    """Return commands that use an algorithm or show its card."""
    if card.kind == "optimizer":
        return f"zoo train digits_mlp --optim.name {card.name}\nzoo show {card.name}"
    return f"zoo show {card.name}"


def try_of(room: Room) -> str:
    """Return a command that trains a model of the room, if a config does so, else one that shows its card."""
    names = {card.name for card in room.cards}
    for name in files.names():
        if files.load(name).model.name in names:
            return f"zoo train {name}"
    return f"zoo show {room.cards[0].name}"


def node_lines(title: str) -> list[str]:
    """Split a title into lines: "GPT (gpt2)" -> ["GPT", "gpt2"]."""
    name, _, rest = title.partition(" (")
    return [name, rest.removesuffix(")")] if rest else [name]


def room_of(rooms: Sequence[Room]) -> Mapping[str, str]:
    """Return the name of each card -> the id of its room."""
    return {card.name: room.id for room in rooms for card in room.cards}
