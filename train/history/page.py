"""The timeline page: one file that opens from disk without a network, and its picture."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from train.history import look, picture
from train.history.timeline import Row, budget, interval_note, percent, seconds
from train.show import human
from zoo.cards import Paper
from zoo.errors import UserError

HERE = Path(__file__).parent


@dataclasses.dataclass(frozen=True)
class Landmark:
    """A paper, the rows that stand for it, and its place on the time axis."""

    year: int
    paper: Paper
    color: int
    models: tuple[str, ...]
    ideas: tuple[str, ...]
    place: float  # 0 (first paper) to 100 (last)
    gap: int  # years since the landmark before


def write_page(rows: Sequence[Row], out_dir: Path) -> Path:
    """Write `index.html` and `timeline.png` into `out_dir`; the path of the page.

    All rows must be of one data set, since they are compared: otherwise, or without rows, UserError.
    """
    sets = sorted({row.dataset for row in rows})
    if not rows:
        raise UserError("a timeline needs at least one run")
    if len(sets) > 1:
        raise UserError(f"a timeline compares runs on one data set, these are on {len(sets)}: {', '.join(sets)}")
    out_dir.mkdir(parents=True, exist_ok=True)
    page = out_dir / "index.html"
    page.write_text(_render(rows), encoding="utf-8")
    picture.draw(rows).savefig(out_dir / "timeline.png")
    return page


def landmarks(rows: Sequence[Row]) -> list[Landmark]:
    """One for each paper, in order of `rows`; rows whose model has no card stand for no paper."""
    papers: dict[Paper, list[tuple[Row, int]]] = {}
    for row, (color, _) in zip(rows, look.styles(rows), strict=True):
        if row.paper is not None:
            papers.setdefault(row.paper, []).append((row, color))
    years = [members[0][0].year for members in papers.values()]
    out = []
    for (paper, members), before in zip(papers.items(), [*years[:1], *years], strict=False):
        first, color = members[0]
        out.append(
            Landmark(
                year=first.year,
                paper=paper,
                color=color,
                models=tuple(dict.fromkeys(row.model for row, _ in members)),
                ideas=tuple(dict.fromkeys(row.idea for row, _ in members)),
                place=100 * (first.year - years[0]) / max(1, years[-1] - years[0]),
                gap=first.year - before,
            )
        )
    return out


def _render(rows: Sequence[Row]) -> str:
    from plotly.offline import get_plotlyjs  # plotly takes half a second to import

    # Autoescape covers what the runs and cards say; `tojson` escapes < > & inside the script element.
    env = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE), autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True
    )
    env.policies["json.dumps_kwargs"] = {"allow_nan": False}
    env.filters |= {"human": human, "percent": percent, "seconds": seconds}
    places = landmarks(rows)
    styled = list(zip(rows, look.styles(rows), strict=True))
    return env.get_template("page.html.j2").render(
        rows=styled,
        landmarks=places,
        first_year=places[0].year if places else None,
        last_year=places[-1].year if places else None,
        decades=_decades(places),
        data=[_point(row, color, variant) for row, (color, variant) in styled],
        best=_best(rows),
        budget=budget(rows),
        interval_note=interval_note(rows),
        facts=_facts(rows),
        colors=list(zip(look.LIGHT, look.DARK, strict=True)),
        css=Markup((HERE / "page.css").read_text(encoding="utf-8")),
        script=Markup((HERE / "page.js").read_text(encoding="utf-8")),
        plotly=Markup(get_plotlyjs()),
    )


def _point(row: Row, color: int, variant: int) -> dict[str, Any]:
    """What the plots need of a row."""
    figures = ("label", "year", "params", "flops", "seconds", "accuracy", "low", "high", "curve")
    return {"color": color, "variant": variant} | {name: getattr(row, name) for name in figures}


def _decades(places: Sequence[Landmark]) -> list[tuple[int, float]]:
    """(year, place in %) of the ticks of the time axis."""
    if len(places) < 2 or places[-1].year == places[0].year:
        return []
    first, last = places[0].year, places[-1].year
    return [(year, 100 * (year - first) / (last - first)) for year in range(-(-first // 10) * 10, last + 1, 10)]


def _best(rows: Sequence[Row]) -> tuple[Row, list[str]] | None:
    """The most accurate row, and the labels of those whose intervals reach into its own."""
    measured = [row for row in rows if row.low is not None]
    if not measured:
        return None
    best = max(measured, key=lambda row: row.accuracy)
    return best, [row.label for row in measured if row is not best and row.high >= best.low]


def _facts(rows: Sequence[Row]) -> list[tuple[str, str]]:
    """How it was measured: (what, value), each value once however many runs share it."""

    def all_of(values: Sequence[object]) -> str:
        return "; ".join(dict.fromkeys(str(value) for value in values if value not in (None, "")))

    compiling = [row.compile_seconds for row in rows if row.compile_seconds is not None]
    facts = [
        ("Data", rows[0].dataset),
        ("Test images", all_of([row.count and f"{row.count:,}" for row in rows])),
        ("Steps", all_of([row.steps and f"{row.steps:,}" for row in rows])),
        ("Examples seen in training", all_of([row.examples and f"{row.examples:,}" for row in rows])),
        ("Seed", all_of([row.seed for row in rows])),
        ("Device", all_of([row.device for row in rows])),
        ("Date", all_of([row.date for row in rows])),
        ("Software", all_of([", ".join(f"{k} {v}" for k, v in row.versions.items()) for row in rows])),
        ("Compiling, all runs together", f"{seconds(sum(compiling))} s" if compiling else ""),
        ("Optimizer and peak learning rate", "; ".join(f"{row.label}: {row.recipe}" for row in rows if row.recipe)),
    ]
    return [(what, value) for what, value in facts if value]
