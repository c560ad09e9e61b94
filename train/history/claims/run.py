"""Run one claim, print its tables, and write its result and its figure."""

import json
import re
from pathlib import Path
from typing import Any

from rich.console import Console

from train.config import files as config_files
from train.history.claims import design, files, picture, provenance, results, sham, table
from train.history.claims.claim_run import ClaimRun
from zoo.errors import UserError
from zoo.files import parse_json, write_atomically, writing

SHAM = "sham.json"  # in the folder of a claim
UNITS = {"h": 3600, "m": 60, "s": 1}


def run_claim(
    name: str, *, full: bool, seeds: int | None, record: bool, workdir: Path, console: Console
) -> dict[str, Any]:
    """Run one claim, print its tables, and write result.json and claim.png to its folder. Returns the result.

    full: use the setting that is closer to the paper. seeds: number of seeds per arm; None: that of the claim.
    record: also write the result to results/claims.json. The folder is claim_folder(workdir, files.result_name(name),
    setting). The result of a user's own file names that file. Raises UserError for a result to record that is not of
    the design in the file: with other seeds, or where the file was changed while its claim was run; and for a result to
    record of a file that is in no repository, since no commit would have it.
    """
    given = name
    whole, key = files.load_claim(name)
    source = config_files.source_of(name)
    claim = whole.at(full=full, seeds=seeds)
    if record and design.digest(claim) != design.digest(whole.at(full=full)):
        raise UserError(f"only the design in the claim's file is recorded, and {seeds} seeds are another: no --seeds")
    setting = "full" if full else "small"
    if record:
        claim.demand_one_difference()
    name = files.result_name(name)
    folder = claim_folder(workdir, name, setting)
    repository = provenance.repository(files.file_of(given))
    if record and not repository["commit"]:
        raise UserError(f"{files.file_of(given)} is in no git repository with a commit: its result cannot be recorded")
    claim_run = ClaimRun(name, claim, folder, console, key=f"{key} {setting}", source=source, current=record)
    claim_run.check()
    with writing(folder):  # before the hours that the claim may take
        folder.mkdir(parents=True, exist_ok=True)
    found = _with_sham(claim_run.run(setting) | repository, folder)
    if source is not None:
        found["file"] = {"path": source.path, "sha256": source.sha256}
    write_atomically(folder / "result.json", json.dumps(found, indent=1, ensure_ascii=False, allow_nan=False) + "\n")
    picture.save(found, folder / "claim.png")
    if record:
        _demand_same(found, given, full)
        results.record(found)
    console.print(table.show(found))
    where = f"{folder / 'claim.png'}, {folder / 'result.json'}" + (f", {results.FILE}" if record else "")
    console.print(f"{found['seconds']:,.0f} s; {where}", soft_wrap=True, highlight=False)
    return found


def run_sham(
    name: str, *, full: bool, seeds: int | None, record: bool, workdir: Path, console: Console
) -> dict[str, Any]:
    """Run the sham of a claim and write it to sham.json in the claim's folder. Returns the sham.

    Runs of the claim that are there are used, so that an arm that was trained is not trained again, nor is a setting
    tuned. record: also write it into the claim's record. Raises UserError where there is no sham, since all arms of the
    headline are exact; and, with `record`, where the claim has no record of this design.
    """
    whole, key = files.load_claim(name)
    source = config_files.source_of(name)
    claim = whole.at(full=full, seeds=seeds)
    setting, own = "full" if full else "small", files.result_name(name)
    trial = sham.sham(claim)
    if trial is None:
        raise UserError(f"{own} has no sham: the arms of its headline are exact")
    if record:
        results.demand_record(own, design.digest(claim))
    folder = claim_folder(workdir, own, setting)
    ClaimRun(own, trial, folder, console).check()
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    both = sham.with_twins(claim, trial)
    claim_run = ClaimRun(own, both, folder, console, key=f"{key} {setting}", source=source, current=record)
    found = sham.run_sham(claim, trial, claim_run)
    write_atomically(folder / SHAM, json.dumps(found, indent=1, ensure_ascii=False, allow_nan=False) + "\n")
    if record:
        results.record({**results.demand_record(own, found["design"]), "sham": found})
    metric = claim.measured
    told = results.sham_text({"sham": found, "metric": {"unit": metric.unit}})
    console.print(f"{own}: {told} ({found['minutes']:.1f} minutes)", soft_wrap=True, highlight=False)
    return {"name": own, "sham": found}


def _with_sham(found: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Return a result with the sham of the same design that was run in its folder, if one was."""
    try:
        held = parse_json((folder / SHAM).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return found
    return {**found, "sham": held} if held.get("design") == found["design"] else found


def _demand_same(found: dict[str, Any], name: str, full: bool) -> None:
    """Raise UserError where a result is not of the design that the claim's file has now."""
    now, _ = files.load_claim(name)
    if design.digest(now.at(full=full)) != found["design"]:
        raise UserError(f"{found['name']} was changed while it ran: the result is of an earlier design, run it again")


def claim_folder(workdir: Path, name: str, setting: str = "small") -> Path:
    """Return the folder of a claim's runs, result and figure."""
    return workdir / "claims" / (name if setting == "small" else f"{name}.{setting}")


def parse_time(text: str) -> float:
    """Parse "90m", "1h30m" or "45s" to seconds. Raises UserError for anything else."""
    parts = re.findall(r"(\d+(?:\.\d+)?)([hms])", text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise UserError(f"--budget must be a time such as 90m, 45s or 1h30m, not {text!r}")
    return sum(float(number) * UNITS[unit] for number, unit in parts)
