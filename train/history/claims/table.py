"""Terminal tables: the result of a claim, and the list of all claims with their verdicts."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from train.history.claims.results import effect_text, seeds_text
from train.pictures.style import LEAN

STYLES = {"holds": "green", "does not hold": "red", "undecided": "yellow"}


def show(claim: Mapping[str, Any]) -> RenderableType:
    """Return the arms (mean ± standard deviation over seeds), the effects, the verdict and its reason."""
    metric = claim["metric"]
    arms = Table(**LEAN)
    for head in ("arm", "what it is"):
        arms.add_column(head, overflow="fold")
    for head in (f"{metric['name']}, mean ± SD", "seeds", "seconds"):
        arms.add_column(head, justify="right")
    for arm in claim["arms"]:
        there = sum(value is not None for value in arm["values"])
        count = f"{there}" if there == len(arm["values"]) else f"{there} of {len(arm['values'])}"
        says = arm["says"] + (f" ({arm['remark']})" if arm["remark"] else "")
        arms.add_row(Text(arm["name"]), Text(says), mean_text(arm, metric), count, f"{arm['seconds']:,.0f}")
    effects = Table(**LEAN)
    effects.add_column("what the paper says", overflow="fold")
    for head in ("effect, 95 % interval", "seeds", "verdict"):
        effects.add_column(head)
    for effect in claim["effects"]:
        verdict = Text(effect["verdict"], STYLES[effect["verdict"]])
        says = f"{effect['says']} ({', '.join(filter(None, (effect['arm'], effect['against'])))})"
        effects.add_row(Text(says), effect_text(effect, metric), seeds_text(claim, effect), verdict)
    head = Text.assemble((claim["name"], "bold"), f", {claim['year']}: {claim['says']}")
    source = Text(f"{claim['paper']}, {claim['link']}")
    given = Text("; ".join(filter(None, (claim["budget"], f"{claim['setting']} setting", claim["device"]))))
    verdict = Text.assemble("The claim: ", (claim["verdict"], f"bold {STYLES[claim['verdict']]}"))
    reason = [Text(f"Likely why: {claim['reason']}")] if claim["reason"] else []
    return Group(head, source, given, arms, effects, verdict, *reason)


def mean_text(arm: Mapping[str, Any], metric: Mapping[str, Any]) -> str:
    """Format a mean: "98.20 % ± 0.11" for a share, four digits for others, – without a finite value."""
    if arm["mean"] is None:
        return "–"
    if arm.get("unit", metric["unit"]) == "share":
        text, spread = f"{100 * arm['mean']:.2f} %", 100 * (arm["deviation"] or 0)
        return text if arm["deviation"] is None else f"{text} ± {spread:.2f}"
    return f"{arm['mean']:.4g}" + ("" if arm["deviation"] is None else f" ± {arm['deviation']:.2g}")


class Listed(NamedTuple):
    """A claim in the list."""

    name: str
    year: int
    says: str
    result: Mapping[str, Any] | None
    run_here: bool  # the result is from this machine and not a recorded one


def listing(rows: Sequence[Listed]) -> Table:
    """Return a table of all claims with their verdicts. An asterisk marks a recorded result."""
    table = Table(**LEAN)
    table.add_column("year")
    table.add_column("claim", no_wrap=True)
    table.add_column("what the paper says", overflow="fold")
    table.add_column("verdict", no_wrap=True)
    table.add_column("seconds", justify="right")
    for name, year, says, found, here in rows:
        verdict = Text(found["verdict"] + ("" if here else " *"), STYLES[found["verdict"]]) if found else Text("–")
        seconds = f"{found['seconds']:,.0f}" if found else "–"
        table.add_row(str(year), name, Text(says), verdict, seconds)
    return table
