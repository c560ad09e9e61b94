"""Run one claim, print its tables, and write its result and its figure."""

import json
import re
from pathlib import Path
from typing import Any

from rich.console import Console

from train.config import files as config_files
from train.history.claims import design, files, picture, provenance, results, table
from train.history.claims.claim_run import ClaimRun
from zoo.errors import UserError
from zoo.files import write_atomically, writing

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
    name = files.result_name(name)
    folder = claim_folder(workdir, name, setting)
    repository = provenance.repository(files.file_of(given))
    if record and not repository["commit"]:
        raise UserError(f"{files.file_of(given)} is in no git repository with a commit: its result cannot be recorded")
    claim_run = ClaimRun(name, claim, folder, console, key=f"{key} {setting}", source=source, current=record)
    claim_run.check()
    with writing(folder):  # before the hours that the claim may take
        folder.mkdir(parents=True, exist_ok=True)
    found = claim_run.run(setting) | repository
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
