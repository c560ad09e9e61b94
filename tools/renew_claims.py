"""Renew the records of claims whose code was written anew and does what it did, without training them again.

    python tools/renew_claims.py [NAME …]    without names all whose code, and not their design, has changed

Every arm of a claim, in the small version that the tests run, takes its first steps twice: by the code of the commit
that the record is of, and by today's. Where all weights, all test figures and all values have the same bits, the record
keeps its values, takes the hashes of today's code and today's texts, and says so. Where they have not, the record stays
stale: `zoo claim NAME --record` trains the claim again.
"""

import argparse
import contextlib
import dataclasses
import hashlib
import io
import json
import os
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np
from rich.console import Console

from train.config import override
from train.core import machine
from train.history.claims import files, provenance, results
from train.history.claims.arms import TrainedArm
from train.history.claims.claim import Claim
from train.history.claims.claim_run import ClaimRun
from train.loop.restore import restore_replicas
from train.loop.run import Run, read_summary
from zoo.errors import UserError

ROOT = Path(__file__).parents[1]
STEPS = 12
FIRST = "--first-steps-of"  # the option by which this program calls itself, with another version of the code


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("names", nargs="*")
    parser.add_argument(FIRST, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.first_steps_of:
        print(json.dumps(first_steps(options.first_steps_of), sort_keys=True))
        return 0
    recorded = results.read()
    names = options.names or [name for name, found in recorded.items() if is_of_other_code(found)]
    kept_stale = [name for name in names if not renew(recorded[name])]
    return int(bool(kept_stale))


def is_of_other_code(found: dict[str, Any]) -> bool:
    return not files.is_earlier(found) and bool(provenance.changed(found))


def renew(found: dict[str, Any]) -> bool:
    """Renew one record. Return whether its code does what it did."""
    name, commit = found["name"], found["commit"]
    if files.is_earlier(found):
        raise UserError(f"{name} has another design now: zoo claim {name} --record runs it")
    if not found["clean"]:
        raise UserError(f"{name} was recorded with changes that no commit has: zoo claim {name} --record runs it again")
    now = provenance.repository(files.file_of(name))
    if not now["clean"]:
        raise UserError("there are changes that are not committed: commit them first")
    with tree_of(commit) as folder:
        before = steps_by(folder, name)
    after = steps_by(ROOT, name)
    other = [what for what in before | after if before.get(what) != after.get(what)]
    if other:
        print(f"{name}: another result than by the code of {commit[:12]}: {', '.join(other[:5])}")
        return False
    again = {"commit": now["commit"], "steps": STEPS}  # of the code that the hashes are of
    claim = files.load_claim(name)[0]
    texts = {"smaller": claim.smaller, "pilots": claim.pilots}
    texts["reason"] = "" if found["verdict"] == "holds" else claim.reason
    results.record({**found, **texts, "code": provenance.code(claim), "renewed": again})
    print(f"{name}: {len(after)} results as by the code of {commit[:12]}")
    return True


@contextlib.contextmanager
def tree_of(commit: str) -> Iterator[Path]:
    """Give a folder with the files of a commit."""
    packed = subprocess.run(["git", "-C", str(ROOT), "archive", commit], check=True, stdout=subprocess.PIPE).stdout
    with tempfile.TemporaryDirectory() as folder, tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        # Python has filters since 3.11.4; what is unpacked here is our own.
        archive.extractall(folder, **({"filter": "data"} if hasattr(tarfile, "data_filter") else {}))
        yield Path(folder)


def steps_by(folder: Path, name: str) -> dict[str, Any]:
    """Return what the first steps of a claim come to by the code in `folder`."""
    words = [sys.executable, str(Path(__file__).resolve()), FIRST, name]
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    done = subprocess.run(words, cwd=folder, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def first_steps(name: str) -> dict[str, Any]:
    """Return the values of each arm after its first steps, and a hash of all weights and test figures of each run."""
    machine.prepare_backend()
    with tempfile.TemporaryDirectory() as folder:
        trial = ClaimRun(name, shortened(files.load_claim(name)[0]), Path(folder), Console(quiet=True))
        found = {f"values of {arm['name']}": arm["values"] for arm in trial.run()["arms"]}
        return found | {f"weights of {arm}": digest(run) for arm, run in trial.runs.items()}


def shortened(claim: Claim) -> Claim:
    """Return the small version of a claim, with STEPS steps in each run."""
    few = {"steps": STEPS, "eval_every_steps": STEPS // 2}
    small = claim.small()
    arms = {
        name: dataclasses.replace(arm, experiment=override(arm.experiment, few)) if isinstance(arm, TrainedArm) else arm
        for name, arm in small.arms.items()
    }
    starts = {name: override(experiment, few) for name, experiment in small.starts.items()}
    return dataclasses.replace(small, arms=arms, starts=starts)


def digest(run: Run) -> str:
    """Return a hash of the weights and of the test figures of a run."""
    _, _, state = restore_replicas(run)
    found = hashlib.sha256()
    for path, leaf in jax.tree_util.tree_leaves_with_path(state.params):
        found.update(jax.tree_util.keystr(path).encode())
        found.update(np.asarray(leaf).tobytes())
    summary = read_summary(run.path)
    assert summary is not None, f"{run.path} is not finished"
    found.update(repr([sorted(replica.test.items()) for replica in summary.replicas]).encode())
    return found.hexdigest()[:16]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
