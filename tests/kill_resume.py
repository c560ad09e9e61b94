"""Kills runs and searches with SIGKILL at random moments, resumes them each time, and compares them with whole ones.

    python tests/kill_resume.py --times 10
    python tests/kill_resume.py --kind images streamed text agent pair search --times 17
    python tests/kill_resume.py --config cartpole_dqn --times 3 -- --eval-every-steps=500

The moments (a step, and up to a tenth of a second after it; one in four lies at the end) are drawn from a seed and fall
into start-up, steps, evaluation, checkpoints, the test line and the summary alike. Exits with 1 unless the killed run
ends as the whole one does. Of a run: every array of the final State, optimizer included, has the same bits; the lines
of metrics.jsonl (one of them of the test split) and summary.json are equal but for seconds. Of a search: the trials
that count are equal in order, setting and score, and so is best.json but for the numbers of trials.
"""

import argparse
import json
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

import train.loop.run
from train.core import State
from train.loop.restore import restore_replicas

RANDOM = "--model.dropout=0.1 --data.augment shift_1 --eval-every-steps=50"
SMALL = "--data.batch=16 --optim.warmup-steps=0 --eval-every-steps=10"


class Plan(NamedTuple):
    """The run that is killed."""

    config: str
    overrides: Sequence[str]
    steps: int  # of a search: trials
    is_search: bool = False


AGENT = "--data.batch=8 --task.replay=400 --task.replay-start=100 --task.eval-episodes=2 --eval-every-steps=20"
GAN = "--seeds=2 --data.batch=16 --model.latent=4 --model.widths 8 --model.units 8 --model.pieces=2"
TEXT = "--model.width=8 --model.depth=1 --model.heads=1 --data.length=16"
SPACE = "--optim.name=momentum --steps=40 --batch=1 --space optim.lr=log:1e-3..1 optim.momentum=0..0.9"
KINDS = {
    "images": Plan("digits_mlp", f"--model.widths=8 {RANDOM} {SMALL}".split(), 300),
    "streamed": Plan("digits_mlp", f"--model.widths=8 --data.placement=stream {SMALL}".split(), 300),
    "text": Plan("python_docs_gpt_char_mini", f"{TEXT} {SMALL}".split(), 200),
    "agent": Plan("cartpole_dqn", AGENT.split(), 500),
    "pair": Plan("digits_gan", f"{GAN} --eval-every-steps=10".split(), 100),
    "search": Plan("digits_mlp", f"--model.widths=8 {SMALL} {SPACE}".split(), 25, is_search=True),
}


def start(workdir: Path, plan: Plan) -> subprocess.Popen:
    """Start the run or the search in `workdir`, or resume what is there."""
    zoo, there = [sys.executable, "-m", "train"], folders(workdir)
    output = {"stdout": subprocess.DEVNULL} if plan.is_search else {}
    if there:
        return subprocess.Popen([*zoo, "search" if plan.is_search else "train", "--resume", *there], **output)
    if plan.is_search:
        size = [f"--trials={plan.steps}", f"--folder={workdir / 'search'}"]
        return subprocess.Popen([*zoo, "search", plan.config, *plan.overrides, *size], **output)
    size = [f"--steps={plan.steps}", f"--workdir={workdir}"]
    return subprocess.Popen([*zoo, "train", plan.config, *plan.overrides, *size])


def folders(workdir: Path) -> list[Path]:
    """The folder of the run or the search, once there is one."""
    runs = [config.parent for config in workdir.glob("*/*/config.json")]
    return runs or [about.parent for about in workdir.glob("search/search.json")]


def finish(process: subprocess.Popen) -> None:
    if process.wait():
        sys.exit(f"the run ended with code {process.returncode}")


def reached(workdir: Path, plan: Plan) -> float:
    """How far it has come: the last step in metrics.jsonl (half a step more with the test line), or trials that ended.

    Read without the project's readers, which would wait for locks or remove what is half written.
    """
    for folder in folders(workdir):
        path = folder / ("journal.log" if plan.is_search else "metrics.jsonl")
        lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
        if plan.is_search:
            return sum(json.loads(line).get("state") in (1, 2) for line in lines if line.endswith("}"))
        whole = [json.loads(line) for line in lines if line.endswith("}")]
        return max((line["step"] + 0.5 * (line["split"] == "test") for line in whole), default=0)
    return 0


def checkpoints(workdir: Path) -> str:
    """Those on disk, the unfinished one too, if the kill came while it was written."""
    return ", ".join(sorted(path.name for path in workdir.glob("*/*/checkpoints/*"))) or "none"


def kill(workdir: Path, plan: Plan, target: float, wait: float) -> bool:
    """Resume, kill it `wait` seconds after it has reached `target`; whether it was still there to be killed."""
    process = start(workdir, plan)
    while process.poll() is None and reached(workdir, plan) < target:
        time.sleep(0.005)
    time.sleep(wait)
    process.kill()
    code = process.wait()
    if code not in (0, -signal.SIGKILL):
        sys.exit(f"the run ended with code {code} before it was killed")
    what = "trial" if plan.is_search else "step"
    if code:
        print(f"killed after {what} {reached(workdir, plan):>5}; checkpoints there: {checkpoints(workdir)}", flush=True)
    return bool(code)


def final_state(workdir: Path) -> State:
    run = train.loop.run.load(*folders(workdir))
    return restore_replicas(run)[2]


def without_seconds(content: Any) -> Any:
    """The content of a JSON file without times, dates and what follows from them, and without the numbers of trials."""
    if isinstance(content, list):
        return [without_seconds(each) for each in content]
    if not isinstance(content, dict):
        return content
    left_out = ("seconds", "compile_seconds", "start", "date", "sha256", "trial", "checksum")
    return {name: without_seconds(value) for name, value in content.items() if name not in left_out}


def compare_runs(alone: Path, killed: Path) -> bool:
    """Whether two runs ended alike; says in what."""
    pairs = list(zip(*map(jax.tree.leaves, (final_state(alone), final_state(killed))), strict=True))
    same = sum(np.array_equal(a, b) for a, b in pairs)
    print(f"{same} of {len(pairs)} arrays ({sum(a.size for a, _ in pairs):,} numbers) have the same bits")
    lines = [without_seconds(train.loop.run.read_metrics(*folders(workdir))) for workdir in (alone, killed)]
    equal = sum(a == b for a, b in zip(*lines, strict=False))
    tests = sum(line["split"] == "test" for line in lines[1])
    print(
        f"{equal} of {len(lines[0])} lines of metrics.jsonl are equal; {len(lines[1])} there, {tests} of the test split"
    )
    summaries = [
        without_seconds(json.loads((folders(each)[0] / "summary.json").read_text())) for each in (alone, killed)
    ]
    print(f"summary.json is {'equal' if summaries[0] == summaries[1] else f'different: {summaries}'}")
    kept = [sorted(path.name for path in each.glob("*/*/checkpoints/*")) for each in (alone, killed)]
    print(f"checkpoints: {kept[0]}, killed {kept[1]}")
    return (
        same == len(pairs)
        and lines[0] == lines[1]
        and tests == 1
        and summaries[0] == summaries[1]
        and kept[0] == kept[1]
    )


def compare_searches(alone: Path, killed: Path) -> bool:
    """Whether two searches have the same trials and the same report."""
    from train.studies.search import folder

    trials = []
    for workdir in (alone, killed):
        counted = [trial for trial in folder.load(*folders(workdir)).study().get_trials() if folder.counts(trial)]
        trials.append([(each.state.name, each.params, each.value, each.user_attrs["validation"]) for each in counted])
    equal = sum(a == b for a, b in zip(*trials, strict=False))
    print(f"{equal} of {len(trials[0])} trials are equal; {len(trials[1])} there")
    reports = [without_seconds(json.loads((folders(each)[0] / "best.json").read_text())) for each in (alone, killed)]
    print(f"best.json is {'equal' if reports[0] == reports[1] else f'different: {reports}'}")
    return trials[0] == trials[1] and reports[0] == reports[1]


def compare(folder: Path, plan: Plan, times: int, seed: int) -> bool:
    """Whether the run that was killed `times` times ends like the one that was not; says what happened."""
    alone, killed = folder / "alone", folder / "killed"
    finish(start(alone, plan))
    rng = random.Random(seed)
    early = times - times // 4
    targets = sorted(rng.randrange(plan.steps * 9 // 10) for _ in range(early))
    count = sum(kill(killed, plan, target, rng.uniform(0, 0.1)) for target in targets)
    # The end: after the last step, the last checkpoint and the test line, until the summary is there.
    while count < times and not list(killed.glob("*/*/summary.json")) + list(killed.glob("search/best.json")):
        target = plan.steps * 0.97 if plan.is_search else rng.choice((plan.steps * 0.97, plan.steps, plan.steps + 0.5))
        count += kill(killed, plan, target, rng.uniform(0, 0.3))
    if not list(killed.glob("*/*/summary.json")) + list(killed.glob("search/best.json")):
        finish(start(killed, plan))
    print(f"{count} kills")
    return compare_searches(alone, killed) if plan.is_search else compare_runs(alone, killed)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--kind", nargs="+", choices=list(KINDS), default=[], help="small runs, in place of --config")
    parser.add_argument("--config", default="digits_mlp", help="the run, by the name of its config")
    parser.add_argument("--times", type=int, default=10, help="kills of each")
    parser.add_argument("--steps", type=int, default=4_000, help="steps of the run")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    words = f"options of `zoo train`, after --; of digits_mlp {RANDOM}"
    parser.add_argument("overrides", nargs="*", help=words)
    options = parser.parse_args()
    overrides = options.overrides or (RANDOM.split() if options.config == "digits_mlp" else [])
    plans = {kind: KINDS[kind] for kind in options.kind} or {"": Plan(options.config, overrides, options.steps)}
    unequal = []
    for kind, plan in plans.items():
        with tempfile.TemporaryDirectory() as folder:
            same = compare(Path(folder), plan, options.times, options.seed)
        print(f"{kind or plan.config}: {'equal' if same else 'DIFFERENT'}", flush=True)
        unequal += [] if same else [kind]
    return len(unequal) > 0


if __name__ == "__main__":
    sys.exit(main())
