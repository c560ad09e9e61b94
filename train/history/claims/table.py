"""Terminal tables: the result of a claim, and the list of all claims with their verdicts."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from train.history.claims.results import (
    compared,
    effect_text,
    parts_text,
    renewal,
    renewed_text,
    sabotage_text,
    seeds_text,
    sham_text,
    verdict_text,
)
from train.pictures.style import LEAN

STYLES = {
    "holds": "green",
    "contradicted": "red",
    "does not hold": "red",  # of results that were recorded before there were margins
    "too small to matter": "blue",
    "undecided": "yellow",
}


def show(claim: Mapping[str, Any]) -> RenderableType:
    """Return the arms (mean ± standard deviation over seeds), the effects, the verdict and its reason."""
    head = Text.assemble((claim["name"], "bold"), f", {claim['year']}: {claim['says']}")
    source = Text(f"{claim['paper']}, {claim['link']}")
    given = Text("; ".join(filter(None, (claim["budget"], f"{claim['setting']} setting", claim["device"]))))
    verdict = Text.assemble("The claim: ", (verdict_text(claim), f"bold {STYLES[claim['verdict']]}"))
    if parts := parts_text(claim):
        verdict.append(f" ({parts}; the first decides)")
    return Group(head, source, given, _arms(claim), _effects(claim), verdict, *map(Text, notes(claim)))


def notes(claim: Mapping[str, Any]) -> list[str]:
    """Return sentences about a result: why it is undecided, how it departs from the paper, what its seeds vary."""
    why = claim["effects"][0].get("why", "")
    said = {
        "Undecided since": why if claim["verdict"] == "undecided" else "",
        "Smaller than in the paper": claim.get("smaller", ""),
        "Likely why": claim["reason"],
        "Between the seeds vary": ", ".join(claim.get("varies", ())),
        "The setting was searched": claim.get("pilots", ""),
        "Sham": sham_text(claim),
        "Sabotaged": sabotage_text(claim),
        "Made at commit": _commit(claim),
        "Since then": renewed_text(claim),
    }
    return [f"{head}: {text}" for head, text in said.items() if text]


def _commit(claim: Mapping[str, Any]) -> str:
    """Return the commit of a result; "" for one of before commits were kept."""
    if "commit" not in claim:
        return ""
    if not claim["commit"]:
        return "none, since the claim's file is in no repository"
    return claim["commit"][:12] + ("" if claim["clean"] else ", with changes that are not committed")


def _arms(claim: Mapping[str, Any]) -> Table:
    metric = claim["metric"]
    arms = Table(**LEAN)
    for head in ("arm", "what it is"):
        arms.add_column(head, overflow="fold")
    for head in (f"{metric['name']}, mean ± SD", "seeds", "seconds"):
        arms.add_column(head, justify="right")
    for arm in claim["arms"]:
        says = arm["says"] + (f" ({arm['remark']})" if arm["remark"] else "")
        arms.add_row(Text(arm["name"]), Text(says), mean_text(arm, metric), count_text(arm), f"{arm['seconds']:,.0f}")
    return arms


def _effects(claim: Mapping[str, Any]) -> Table:
    effects = Table(**LEAN)
    effects.add_column("what the paper says", overflow="fold")
    effects.add_column("effect, 95 % interval", overflow="fold")
    for head in ("seeds", "verdict"):
        effects.add_column(head)
    for effect in claim["effects"]:
        verdict = Text(effect["verdict"], STYLES[effect["verdict"]])
        says = f"{effect['says']} ({compared(effect)})"
        effects.add_row(Text(says), effect_text(effect, claim["metric"]), seeds_text(claim, effect), verdict)
    return effects


def count_text(arm: Mapping[str, Any]) -> str:
    """Return the number of seeds: "5", "10 of 12" where some have no value or failed, "exact" where there are none."""
    if arm.get("exact"):
        return "exact"
    total = len(arm["values"])
    there = sum(value is not None for value in arm["values"])
    if failures := arm.get("failures"):
        there = total - failures["failed"]
    return f"{there}" if there == total else f"{there} of {total}"


def mean_text(arm: Mapping[str, Any], metric: Mapping[str, Any]) -> str:
    """Format a mean: "98.20 % ± 0.11" for a share, four digits for others, – without a finite value.

    Where seeds never reached their goal only a bound of the mean is known: "at least 712.5".
    """
    if arm["mean"] is None:
        return "–"
    if arm.get("at_least"):
        return f"at least {arm['mean']:.4g}"
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
    stale: str = ""  # why the result is out of date, if it is


def listing(rows: Sequence[Listed]) -> Table:
    """Return a table of all claims with their verdicts. An asterisk marks a recorded result.

    Below the verdict stand how many parts hold, and how to renew a result that is out of date.
    """
    table = Table(**LEAN)
    table.add_column("year")
    table.add_column("claim", no_wrap=True)
    table.add_column("what the paper says", overflow="fold")
    table.add_column("verdict", overflow="fold")
    table.add_column("seconds", justify="right")
    for name, year, says, found, here, stale in rows:
        verdict = Text("–")
        if found:
            verdict = Text(verdict_text(found) + ("" if here else " *"), STYLES[found["verdict"]])
            renew = f"{stale}: {renewal(found)}" if stale else ""
            for more in filter(None, (parts_text(found), renew)):
                verdict.append(f"\n{more}", "dim")
        seconds = f"{found['seconds']:,.0f}" if found else "–"
        table.add_row(str(year), name, Text(says), verdict, seconds)
    return table
