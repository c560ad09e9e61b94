"""Kills a run with SIGKILL at random moments, resumes it each time, and compares it with one that was left alone.

    python tests/kill_resume.py --times 10
    python tests/kill_resume.py --config cartpole_dqn --times 3 -- --eval-every-steps=500

The moments (a step, and up to a tenth of a second after it) are drawn from a seed and fall into start-up, steps,
evaluation and checkpoints alike. Exits with 1 unless every array of the final State, optimizer included, has the
same bits in both runs.
"""

import argparse
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np

import train.loop.run
from train.core import State
from train.loop.restore import restore_replicas

COMMAND = [sys.executable, "-m", "train", "train"]
RANDOM = ["--model.dropout=0.1", "--data.augment", "shift_1", "--eval-every-steps=50"]


class Plan(NamedTuple):
    """The run that is killed."""

    config: str
    overrides: Sequence[str]
    steps: int


def start(workdir: Path, plan: Plan) -> subprocess.Popen:
    """The run in `workdir`, resumed if it is there."""
    if folders(workdir):
        return subprocess.Popen([*COMMAND, "--resume", *folders(workdir)])
    return subprocess.Popen([*COMMAND, plan.config, *plan.overrides, f"--steps={plan.steps}", f"--workdir={workdir}"])


def folders(workdir: Path) -> list[Path]:
    """The run's folder, once there is one."""
    return [config.parent for config in workdir.glob("*/*/config.json")]


def finish(process: subprocess.Popen) -> None:
    if process.wait():
        sys.exit(f"the run ended with code {process.returncode}")


def last_step(workdir: Path) -> int:
    """The last step in metrics.jsonl."""
    return max((line["step"] for folder in folders(workdir) for line in train.loop.run.read_metrics(folder)), default=0)


def checkpoints(workdir: Path) -> str:
    """Those on disk, the unfinished one too, if the kill came while it was written."""
    return ", ".join(sorted(path.name for path in workdir.glob("*/*/checkpoints/*"))) or "none"


def final_state(workdir: Path) -> State:
    run = train.loop.run.load(*folders(workdir))
    return restore_replicas(run)[2]


def compare(folder: Path, plan: Plan, times: int, seed: int) -> bool:
    """Whether the run that was killed `times` times ends like the one that was not; says what happened."""
    alone, killed = folder / "alone", folder / "killed"
    finish(start(alone, plan))
    rng = random.Random(seed)
    for target in sorted(rng.randrange(plan.steps * 9 // 10) for _ in range(times)):
        process = start(killed, plan)
        while process.poll() is None and last_step(killed) < target:
            time.sleep(0.01)
        time.sleep(rng.uniform(0, 0.1))
        process.kill()
        if process.wait() != -signal.SIGKILL:
            sys.exit(f"the run ended with code {process.returncode} before it was killed")
        print(f"killed after step {last_step(killed):>5}; checkpoints there: {checkpoints(killed)}", flush=True)
    finish(start(killed, plan))
    pairs = list(zip(*map(jax.tree.leaves, (final_state(alone), final_state(killed))), strict=True))
    same = sum(np.array_equal(a, b) for a, b in pairs)
    print(f"{same} of {len(pairs)} arrays ({sum(a.size for a, _ in pairs):,} numbers) have the same bits")
    return same == len(pairs)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--config", default="digits_mlp", help="the run, by the name of its config")
    parser.add_argument("--times", type=int, default=10, help="kills")
    parser.add_argument("--steps", type=int, default=4_000, help="steps of the run")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument(
        "overrides", nargs="*", help="options of `zoo train`, after --; of digits_mlp " + " ".join(RANDOM)
    )
    options = parser.parse_args()
    overrides = options.overrides or (RANDOM if options.config == "digits_mlp" else [])
    plan = Plan(options.config, overrides, options.steps)
    with tempfile.TemporaryDirectory() as folder:
        sys.exit(0 if compare(Path(folder), plan, options.times, options.seed) else 1)
