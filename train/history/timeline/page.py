"""The museum's page: one self-contained file that opens from disk without a network."""

import base64
import datetime
import functools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import jinja2
import numpy as np
from jax import Array
from markupsafe import Markup

import zoo
from train.history.timeline import axis, cells, charts, lineage, tour, words
from train.history.timeline.comparison import Comparison, compare
from train.history.timeline.exhibits import Exhibit, Picture
from train.history.timeline.findings import Finding
from train.history.timeline.front import front
from train.history.timeline.grids import Grid, Row
from train.history.timeline.live import places
from train.history.timeline.live.nets import Net
from train.history.timeline.live.traces import Trace
from train.history.timeline.rooms import Room, furnish, members, room_id
from train.metrics.format import human, is_share
from train.pictures import style
from zoo.cards import Card
from zoo.fields import ACTIVATIONS
from zoo.files import write_atomically

WEB = Path(__file__).parent / "web"
STYLES = ("page.css", "axis.css", "room.css", "grid.css", "front.css", "try.css", "print.css")
STYLES += ("tour.css", "tour_print.css")
FILE_COLORS = {"ink": style.INK, "soft": style.SOFT, "grid": style.GRID, "back": "#ffffff"}
"""Colors of a chart that is saved as a file; on the page they are those of its style."""
SCRIPTS = (
    *("base.js", "plots.js", "curves.js", "rooms.js", "axis.js", "comparison.js", "tour.js", "lineage.js", "charts.js"),
    *("nets.js", "digit.js", "player.js", "xor.js", "descent.js", "growth.js", "next.js"),  # live exhibits
)


def write_page(
    exhibits: Sequence[Exhibit],
    findings: Sequence[Finding],
    out_dir: Path,
    *,
    grids: Sequence[Grid] = (),
    nets: Sequence[Net] = (),
    traces: Sequence[Trace] = (),
    cards: Mapping[str, Card] | None = None,
    lang: str = words.ORIGINAL,
) -> Path:
    """Write `out_dir`/index.html and return its path.

    exhibits: all runs of this machine are shown; a recorded one, where none of its config ran here.
    nets: what reads a drawn digit. traces: what a character model expects. cards: by default those of the zoo.
    lang: the language of the page's own sentences.
    """
    t = words.load(lang)
    cards = zoo.CARDS if cards is None else cards
    here = {exhibit.name for exhibit in exhibits if not exhibit.recorded}
    chosen = [exhibit for exhibit in exhibits if not (exhibit.recorded and exhibit.name in here)]
    page = _render(chosen, findings, grids, (nets, traces), cards, t)
    return write_atomically(out_dir / "index.html", page, make_folder=True)


def _render(
    exhibits: Sequence[Exhibit],
    findings: Sequence[Finding],
    grids: Sequence[Grid],
    live: tuple[Sequence[Net], Sequence[Trace]],
    cards: Mapping[str, Card],
    t: words.Words,
) -> str:
    from plotly.offline import get_plotlyjs  # plotly takes half a second to import

    rooms, comparisons = furnish(cards, exhibits, findings), compare(exhibits, cards)
    stops = tour.stops(rooms, exhibits, findings, t)
    before, after = t("before", year=axis.FIRST), t("after", year=axis.LAST)
    env = _environment(t)
    lenders = {id(stop.hero.picture): stop.id for stop in stops if stop.hero and stop.hero.picture}
    env.globals |= _vocabulary(rooms, exhibits, grids, t) | {"lender": lambda picture: lenders.get(id(picture))}
    env.globals |= places.vocabulary(live[0], rooms, exhibits, live[1])
    return env.get_template("page.html.j2").render(
        rooms=rooms,
        findings=findings,
        front=front(comparisons, findings, cards, t),
        comparisons=comparisons,
        notes={c.id: cells.comparison_note(c, t) for c in comparisons},
        measured_facts={c.id: cells.comparison_facts(c, t) for c in comparisons},
        years=axis.by_year(rooms, t.plain),
        tour=stops,
        overview=axis.overview(rooms, before, after),
        graph=lineage.lay_out(members(rooms)),
        first_year=axis.FIRST,
        last_year=axis.LAST,
        again="\n".join(["zoo timeline", *dict.fromkeys(e.command for e in exhibits if not e.recorded)]),
        date=datetime.date.today().isoformat(),
        data=_data(exhibits, findings, comparisons, t),
        colors=list(zip(style.LIGHT, style.DARK, strict=True)),
        css=Markup("\n".join(map(_web, STYLES))),
        scripts=[Markup(_web(name)) for name in SCRIPTS],
        plotly=Markup(get_plotlyjs()),
    )


def _environment(t: words.Words) -> jinja2.Environment:
    # Autoescape covers all text of runs, cards and claims. `tojson` escapes < > & inside the script element.
    env = jinja2.Environment(
        loader=jinja2.FileSystemLoader(WEB), autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True
    )
    env.policies["json.dumps_kwargs"] = {"allow_nan": False, "ensure_ascii": False}
    env.filters |= {"human": human, "seconds": cells.whole_seconds, "plain": t.plain, "ident": id}
    env.globals |= {"t": t}
    return env


def _vocabulary(
    rooms: Sequence[Room], exhibits: Sequence[Exhibit], grids: Sequence[Grid], t: words.Words
) -> dict[str, Any]:
    """Return the functions and tables that the templates use, by name."""
    by_id, room_of = {room.id: room for room in rooms}, cells.room_of(rooms)
    algorithms = {room.algorithm.name: room.id for room in rooms if room.algorithm}
    place_of = {id(exhibit): place for place, exhibit in enumerate(exhibits)}

    def rooms_about(finding: Finding) -> list[str]:
        named = [room_of.get(name) for name in finding.models] + [algorithms.get(name) for name in finding.algorithms]
        return [name for name in dict.fromkeys(named) if name]

    def rows_of_grids(room: Room) -> list[tuple[Grid, Row]]:
        names = {card.name for card in room.cards}
        return [(grid, row) for grid in grids for row in grid.rows if row.model in names]

    def picture_words(picture: Picture) -> str:
        return t(f"picture_{picture.kind}") if f"picture_{picture.kind}" in t.table else picture.kind

    plain = ("part_rows", "size_rows", "curve_names", "curve_rows", "constants", "use_of", "try_of", "node_lines")
    spoken = ("exhibit_facts", "curve_heads", "effect_rows", "arm_rows", "claim_facts", "group_title")
    spoken += ("verdict_words", "verdict_notes", "metric_title", "note_facts", "column_rows", "set_title")
    return {
        **{name: getattr(cells, name) for name in (*plain, "figure")},
        **{name: functools.partial(getattr(cells, name), t=t) for name in spoken},
        "by_id": by_id,
        "grids": grids,
        "room_of": room_of,
        "rooms_about": rooms_about,
        "rows_of_grids": rows_of_grids,
        "claim_room": lambda finding: room_id("claim", finding.name),
        "index_of": lambda exhibit: place_of[id(exhibit)],
        "picture_words": picture_words,
        "data_uri": _data_uri,
        "data_of": _data_of,
        "wrapped": charts.wrapped,
        "page_paint": _paint([f"var(--c{place})" for place in range(len(style.LIGHT))], "var(--{})".format),
        "file_paint": _paint(style.LIGHT, FILE_COLORS.__getitem__),
        **{
            f"chart_{name.lower()}": getattr(charts, name)
            for name in ("WIDTH", "HEIGHT", "LEFT", "RIGHT", "POINT", "DIAMOND")
        },
        "safe_link": _safe_link,
        "activations": ACTIVATIONS,
        "node_width": lineage.WIDTH,
        "node_height": lineage.TALL,
    }


def _data(
    exhibits: Sequence[Exhibit], findings: Sequence[Finding], comparisons: Sequence[Comparison], t: words.Words
) -> dict[str, Any]:
    """Return the data of the scripts: the numbers of the plots, and the texts."""
    return {
        "words": t.scripts,
        "curves": [{name: _curve(exhibit, name, t) for name in cells.curve_names(exhibit)} for exhibit in exhibits],
        "claims": {finding.name: _claim_plot(finding, t) for finding in findings if finding.plot},
        "activations": _activations(),
        "comparisons": [_comparison(comparison, t) for comparison in comparisons],
    }


def _curve(exhibit: Exhibit, name: str, t: words.Words) -> dict[str, Any]:
    curve = exhibit.curves[name]
    return {"title": cells.metric_title(name, t), "share": is_share(name), **curve.__dict__}


def _claim_plot(finding: Finding, t: words.Words) -> dict[str, Any]:
    """Return the plot of a claim with its words; what is called like an arm keeps the arm's name."""
    arms = {arm.name for arm in finding.arms}
    names = [one["arm"] if one["arm"] in arms else t.plain(one["arm"]) for one in finding.plot["series"]]
    series = [{**one, "arm": name} for one, name in zip(finding.plot["series"], names, strict=True)]
    x = t("js_step") if finding.plot["x"] == "step" else t.plain(finding.plot["x"])  # of training, not of a ladder
    return {**finding.plot, "series": series, "x": x, "y": t.plain(finding.plot["y"])}


def _comparison(comparison: Comparison, t: words.Words) -> dict[str, Any]:
    metric = comparison.metric
    said = {"title": cells.metric_title(metric.name, t), "share": metric.share, "better": metric.better}
    return {
        "id": comparison.id,
        "metric": said,
        "entries": [_entry(entry, metric.name) for entry in comparison.entries],
    }


def _entry(entry: Any, metric: str) -> dict[str, Any]:
    exhibit, curve = entry.exhibit, entry.exhibit.curves.get(metric)
    points = [[s, m] for s, m in zip(curve.steps, curve.mean, strict=True) if m is not None] if curve else []
    own = {key: getattr(entry, key) for key in ("label", "year", "value", "low", "high", "color", "variant")}
    cost = {key: getattr(exhibit, key) for key in ("params", "flops", "seconds", "recorded")}
    return own | cost | {"curve": points}


def _activations() -> dict[str, dict[str, list[float]]]:
    """Return the values and the derivative of each activation on [-4, 4]."""
    x = np.linspace(-4, 4, 161, dtype=np.float32)
    found = {}
    for name, function in ACTIVATIONS.items():
        y = np.asarray(function(cast(Array, x)), np.float64)  # JAX's functions take NumPy's arrays too
        slope = np.gradient(y, x[1] - x[0])
        found[name] = {
            key: [round(float(v), 4) for v in values] for key, values in (("x", x), ("y", y), ("slope", slope))
        }
    return found


def _data_uri(picture: Picture) -> str:
    return f"data:image/{picture.suffix};base64,{base64.b64encode(picture.data).decode('ascii')}"


def _data_of(kind: str, text: str) -> str:
    """Return a text as the address of a file of its own."""
    return f"data:{kind};charset=utf-8;base64,{base64.b64encode(text.strip().encode()).decode('ascii')}"


def _paint(colors: Sequence[str], named: Callable[[str], str]) -> dict[str, Any]:
    """Return the colors of a chart, given those of papers and the function from a name of the style to its color."""
    verdicts = {"holds": 6, "contradicted": 1, "does not hold": 1, "too small to matter": 4, "undecided": 7}
    said = {verdict: colors[place] for verdict, place in verdicts.items()}
    return {"colors": colors, "verdicts": said, **{name: named(name) for name in FILE_COLORS}}


def _safe_link(address: str) -> str:
    """Return the address if it is a web address, else "#"."""
    return address if address.startswith(("https://", "http://")) else "#"


def _web(name: str) -> str:
    return (WEB / name).read_text(encoding="utf-8")
