"""Read and write results/claims.json, the recorded results of all claims, with all values in results/claims.csv.

They are printed as the table of docs/claims.md.
"""

import csv
import io
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import filelock

from zoo.errors import UserError
from zoo.files import parse_json, write_atomically

_BESIDE = Path(__file__).parents[3] / "results"  # in a clone
_INSIDE = Path(__file__).parents[2] / "result_files"  # in an installed wheel
FILE = (_BESIDE if (_BESIDE.parent / "pyproject.toml").is_file() else _INSIDE) / "claims.json"
EXHIBITS = FILE.parent / "exhibits"
EARLIER = "of an earlier design"


def read(path: Path = FILE) -> dict[str, dict[str, Any]]:
    """Return name -> the claim's object, oldest first; {} if there is no such file."""
    if not path.is_file():
        return {}
    try:
        claims = parse_json(path.read_text(encoding="utf-8"))["claims"]
        return {claim["name"]: claim for claim in sorted(claims, key=lambda claim: (claim["year"], claim["name"]))}
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path} cannot be read: {error}") from None


def record(claim: Mapping[str, Any], path: Path = FILE) -> None:
    """Add or replace one claim's object in the file. A lock lets several processes do so.

    Where the result that is replaced is of another design, its design, date, verdict and effect go into `history`.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with filelock.FileLock(path.parent / ".lock"):
            claims = read(path)
            before = claims.get(claim["name"])
            claims[claim["name"]] = {**claim, **_sham(before, claim), "history": _history(before, claim)}
            ordered = sorted(claims.values(), key=lambda one: (one["year"], one["name"]))
            write_atomically(path, '{"claims": [\n' + ",\n".join(map(in_lines, ordered)) + "\n]}\n")
            write_atomically(path.with_suffix(".csv"), csv_text(ordered))
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror}") from None


def demand_record(name: str, design: str, path: Path | None = None) -> dict[str, Any]:
    """Return the record of a claim. Raises UserError where there is none, or it is of another design."""
    found = read(FILE if path is None else path).get(name)
    if found is None or found.get("design") != design:
        raise UserError(
            f"{name} has no record of this design that a sham could join: zoo claim {name} --record makes it"
        )
    return found


def _sham(before: Mapping[str, Any] | None, now: Mapping[str, Any]) -> dict[str, Any]:
    """Return the sham of an earlier result of the same design, which a new result keeps."""
    kept = "sham" not in now and before is not None and before.get("design") == now.get("design")
    return {"sham": before["sham"]} if kept and before is not None and "sham" in before else {}


def csv_text(claims: Sequence[Mapping[str, Any]]) -> str:
    """Return every value of every seed of every arm as CSV: claim, arm, seed, value, state.

    seed: the members of an ensemble are joined by +; empty where a value depends on no seed.
    state: "value"; "at least" where the value is only a lower bound; "failed" where the seed failed as the claim
    declares it; "no value" where it diverged or is not finite; "exact".
    """
    rows = io.StringIO()
    table = csv.writer(rows, lineterminator="\n")
    table.writerow(("claim", "arm", "seed", "value", "state"))
    for claim in claims:
        for arm in claim.get("arms", ()):
            table.writerows((claim["name"], arm["name"], *row) for row in _values(arm))
    return rows.getvalue()


def _values(arm: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Yield the seed, the value and the state of each value of an arm."""
    count = len(arm["values"])
    seeds = (
        ["+".join(map(str, key)) for key in arm.get("of", [])] or [str(seed) for seed in arm["seeds"]] or [""] * count
    )
    marks = zip(arm.get("at_least", [False] * count), arm.get("failed", [False] * count), strict=True)
    for seed, value, (bound, failed) in zip(seeds, arm["values"], marks, strict=True):
        state = "failed" if failed else "no value" if value is None else "at least" if bound else "value"
        yield seed, "" if value is None else repr(value), "exact" if arm.get("exact") else state


def _history(before: Mapping[str, Any] | None, now: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the earlier designs of a claim with what came of them, oldest first."""
    if before is None:
        return []
    known = list(before.get("history", []))
    if before.get("design", "") == now.get("design", ""):
        return known
    effects = before.get("effects", [])
    first = f"{effects[0]['says']}: {effect_text(effects[0], before['metric'])}" if effects else ""
    facts = {key: before.get(key, "") for key in ("design", "setting", "date", "verdict")}
    return [*known, {**facts, "effect": first}]


def in_lines(claim: Mapping[str, Any]) -> str:
    """Return a claim, or a grid, as JSON with a line for each field, arm and effect, so that diffs are readable."""
    fields = []
    for name, value in claim.items():
        text = json.dumps(value, ensure_ascii=False, allow_nan=False)
        if isinstance(value, list) and any(isinstance(inner, dict) for inner in value):
            inside = (json.dumps(inner, ensure_ascii=False, allow_nan=False) for inner in value)
            text = "[\n   " + ",\n   ".join(inside) + "\n  ]"
        fields.append(f"  {json.dumps(name)}: {text}")
    return " {\n" + ",\n".join(fields) + "\n }"


def markdown(claims: Sequence[Mapping[str, Any]], stale: Mapping[str, str] = {}) -> str:
    """Return the table of docs/claims.md: one line per effect with its verdict, the headline first.

    stale: name -> why it is out of date, of the claims whose result is.
    """
    lines = [
        "| year | claim | effect, 95 % interval | seeds | verdict | minutes |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for claim in claims:
        for i, effect in enumerate(claim["effects"]):
            head = (f"{claim['year']}", f"`{claim['name']}`") if i == 0 else ("", "")
            minutes = f"{claim['seconds'] / 60:.1f}" if i == 0 else ""
            measured = f"{effect['says']}: {effect_text(effect, claim['metric'])}"
            verdict = effect["verdict"]
            if i == 0:
                old = stale.get(claim["name"], "")
                verdict = "; ".join(filter(None, (_at_size(verdict, claim), parts_text(claim), old)))
            cells = (*head, measured, seeds_text(claim, effect), verdict, minutes)
            lines.append("| " + " | ".join(_cell(cell) for cell in cells) + " |")
    if old := sum(bool(stale.get(claim["name"])) for claim in claims):
        said = (
            f"{old} of {len(claims)} results are of an earlier design or of earlier code: the claim's file, or the "
            "code of its models, tasks, data or algorithms, has changed since, and `zoo claim NAME --record` "
            "renews the result."
        )
        lines += ["", said]
    if shams := shams_text(claims):
        lines += ["", f"{shams} (an arm against itself with other seeds, judged as the headline is)."]
    return "\n".join(lines) + "\n"


def verdicts_sentence(claims: Sequence[Mapping[str, Any]], stale: Mapping[str, str] = {}) -> str:
    """Return how many claims have each verdict, the commonest first; those in `stale` are counted apart."""
    counts = Counter(EARLIER if stale.get(claim["name"]) else claim["verdict"] for claim in claims)
    said = ", ".join(f"{verdict} {count}" for verdict, count in counts.most_common())
    return f"{len(claims)} claims were run at a size that two cores can train: {said}."


def verdict_text(claim: Mapping[str, Any]) -> str:
    """Return a claim's verdict: "holds", or "holds at this size" where the setting is much smaller than the paper's."""
    return _at_size(claim["verdict"], claim)


def _at_size(verdict: str, claim: Mapping[str, Any]) -> str:
    return f"{verdict} at this size" if claim.get("smaller") and verdict != "undecided" else verdict


def parts_text(claim: Mapping[str, Any]) -> str:
    """Return how many of a claim's effects hold: "3 of 4 parts hold"; "" where there is one, or it is not known."""
    holding, parts = claim.get("parts") or (0, 0)
    return f"{holding} of {parts} parts hold" if parts > 1 else ""


def renewed_text(claim: Mapping[str, Any]) -> str:
    """Return what tools/renew_claims.py found of a result whose code was written anew since; "" of any other."""
    again = claim.get("renewed")
    if not again:
        return ""
    return f"the code of {again['commit'][:12]} makes the same bits, over the first {again['steps']} steps of every arm"


def sham_text(claim: Mapping[str, Any]) -> str:
    """Return what came of a claim's sham: "plain against itself with other seeds: +0.1 points (…), undecided"."""
    sham = claim.get("sham")
    if not sham:
        return ""
    return f"{sham['against']} against itself with other seeds: {_judged(sham, claim)}"


def sabotage_text(claim: Mapping[str, Any]) -> str:
    """Return what came of the headline with the sabotaged arm: its effect, and whether that is lost, as it must be."""
    found = claim.get("sabotage")
    if not found:
        return ""
    lost = "the effect is not lost" if found["verdict"] == "holds" else "the effect is lost"
    return f"{compared(found)}: {_judged(found, claim)}; {lost}"


def _judged(effect: Mapping[str, Any], claim: Mapping[str, Any]) -> str:
    return f"{effect_text(effect, claim['metric'])}, {effect['verdict']}"


def shams_text(claims: Iterable[Mapping[str, Any]]) -> str:
    """Return how many shams hold: "0 of 14 shams hold"; "" where none was run."""
    shams = [claim["sham"] for claim in claims if claim.get("sham")]
    return f"{sum(sham['verdict'] == 'holds' for sham in shams)} of {len(shams)} shams hold" if shams else ""


def renewal(claim: Mapping[str, Any]) -> str:
    """Return the command that renews a recorded result."""
    return f"zoo claim {claim['name']}{' --full' * (claim.get('setting') == 'full')} --record"


def effect_text(effect: Mapping[str, Any], metric: Mapping[str, Any]) -> str:
    """Format an effect: "+3.20 points (2.91 to 3.49)", "6.1 times (4.2 to 8.8)", or without an interval.

    A bound is "at least 2.1 times", and a value without randomness "16 times (exact)". Where seeds can fail, what they
    did follows.
    """
    return "; ".join(filter(None, (_size_text(effect, metric), failures_text(effect))))


def _size_text(effect: Mapping[str, Any], metric: Mapping[str, Any]) -> str:
    if effect["value"] is None:
        return "no value"
    ratio, own = effect["kind"] == "ratio", effect.get("unit", metric["unit"])
    scale = 100 if own == "share" and not ratio else 1
    unit = " times" if ratio else " points" if scale == 100 else f" {own}".rstrip()
    places = f".{2 if ratio or scale == 100 else 4}{'f' if scale == 100 else 'g'}"
    if ratio:
        places = ".3g"
    value = format(scale * effect["value"], ("" if ratio else "+") + places) + unit
    if effect.get("bound"):
        return f"{effect['bound']} {value}"
    if effect.get("exact"):
        return f"{value} (exact)"
    if effect["low"] is None:
        return value
    return f"{value} ({scale * effect['low']:{places}} to {scale * effect['high']:{places}})"


def failures_text(effect: Mapping[str, Any]) -> str:
    """Return how many seeds of each arm failed, and which rate could have gone unseen; "" where no seed can fail."""
    failures = effect.get("failures")
    if not failures:
        return ""
    counts = " and ".join(
        f"{one['failed']} of {one['of']} ({100 * one['low']:.0f} to {100 * one['high']:.0f} %) of {one['arm']}"
        for one in failures
    )
    unseen = f", and up to {100 * effect['unseen']:.0f} % could fail unseen" if effect.get("unseen") else ""
    return f"of the seeds that did not fail; failed: {counts}{unseen}"


def in_percent(claim: Mapping[str, Any]) -> bool:
    """Whether the y axis of a claim's plot is in percent: all that it shows are shares."""
    metric, plot = claim["metric"], claim["plot"]
    shown = {series["arm"] for series in plot["series"]}
    units = {arm.get("unit", metric["unit"]) for arm in claim["arms"] if arm["name"] in shown} or {metric["unit"]}
    return units == {"share"} and "accuracy" in plot["y"] and not plot["log_y"]


def seeds_text(claim: Mapping[str, Any], effect: Mapping[str, Any]) -> str:
    """Return the number of seeds of an effect; where its arms differ, of both."""
    if effect.get("exact"):
        return "exact"
    if "seeds" in effect:
        return " and ".join(map(str, sorted(set(effect["seeds"]))))
    arms = {arm["name"]: sum(value is not None for value in arm["values"]) for arm in claim["arms"]}
    counts = sorted({arms[name] for name in (effect["arm"], effect["against"]) if name in arms})
    return " and ".join(map(str, counts))


def compared(effect: Mapping[str, Any]) -> str:
    """Return what an effect compares: "deep, shallow", or one arm where it stands against zero."""
    against = effect["against"]
    if isinstance(against, float | int):
        against = f"{against:g}" if against else ""
    return ", ".join(filter(None, (effect["arm"], against)))


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def own(folder: Path, name: str = "result") -> dict[str, Any] | None:
    """Read the result in a claim's folder, or its "sham"; None if the claim was not run here."""
    try:
        return parse_json((folder / f"{name}.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
