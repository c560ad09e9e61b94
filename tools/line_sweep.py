"""Choose the rate of each net of the line, and how long it trains, on validation alone: results/line_sweep.json.

    python tools/line_sweep.py rates scenes_mlp scenes_vit      the rate, at the steps of the config
    python tools/line_sweep.py lengths scenes_mlp scenes_vit    the steps of scenes_mlp_long, at the rate of scenes_mlp

rates: every net gets the same rates to begin with, the same data and the same seeds, none of which is used again. Where
the best rate is the smallest or the largest that was tried, the next one is tried too.
lengths: with the seeds of the record, each try is three times as long as the one before it, until mean validation
accuracy no longer rises by LEAST_GAIN. The runs, WORKDIR/<config> and WORKDIR/<config>_long, are those to exhibit.
A finished run in WORKDIR is not trained again, and an unfinished one is continued.
"""

import argparse
import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from train.config import Experiment, files, override
from train.core import machine
from train.loop.fit import fit
from train.loop.restore import opened
from train.loop.run import Run, read_summary
from zoo.files import write_atomically

FILE = Path(__file__).parents[1] / "results" / "line_sweep.json"
FIRST_SEED, SEEDS = 100, 3
LADDER = (1e-5, 3e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 3e-1, 1.0)
RATES = LADDER[4:7]  # tried in any case
LONGER, LONGEST, LEAST_GAIN = 3, 7_200, 0.005
EVALUATIONS = 8  # of a run


def train_seeds(name: str, experiment: Experiment, workdir: Path, console: Console) -> Run:
    """Return the finished run of `experiment` in WORKDIR/<name>."""
    run, setup, resume = opened(name, experiment, workdir)
    if setup is not None:
        fit(run, dataclasses.replace(setup, watch=None, show=None), console, resume=resume)
    return run


def validation_of(run: Run) -> dict[str, Any]:
    """Return the validation accuracy of every seed of each setting, and on what it was measured."""
    summary = read_summary(run.path)
    assert summary is not None, f"{run.path} is not finished"
    by_setting: dict[float, list[float | None]] = {}
    for replica in summary.replicas:
        accuracy = None if replica.diverged_at_step is not None else replica.validation["accuracy"]
        by_setting.setdefault(replica.setting.get("optim.lr", run.experiment.optim.lr), []).append(accuracy)
    facts = {"device": summary.device, "date": summary.date, "versions": summary.versions}
    return {"by_setting": by_setting, "seconds": round(summary.seconds, 1), **facts}


def mean(accuracies: Sequence[float | None]) -> float:
    """Return their mean; a seed that diverged has no digit right."""
    return float(np.mean([accuracy or 0.0 for accuracy in accuracies]))


def next_rate(tried: dict[float, list[float | None]]) -> float | None:
    """Return the rate beyond the end of those tried, if the best one stands there; None where it stands inside."""
    best = max(tried, key=lambda rate: mean(tried[rate]))
    step = (best == max(tried)) - (best == min(tried))
    return LADDER[LADDER.index(best) + step] if step else None


def choose_rate(name: str, workdir: Path, console: Console) -> dict[str, Any]:
    """Return all rates that were tried for a config, with what they came to."""
    experiment = files.load(name)
    changes = {"seed": FIRST_SEED, "seeds": SEEDS, "eval_every_steps": experiment.steps, "smoke": {}}
    tried: dict[float, list[float | None]] = {}
    facts: dict[str, Any] = {}
    wanted, seconds = RATES, 0.0
    while wanted:
        said = ",".join(f"{rate:g}" for rate in wanted)
        # The rate of the config is what the sweep is to find: one that depends on it would not be found again.
        fields = {**changes, "sweep": (f"optim.lr={said}",), "optim": {"lr": RATES[0]}}
        facts = validation_of(train_seeds(f"{name}.rates", override(experiment, fields), workdir, console))
        tried |= facts.pop("by_setting")
        seconds += facts["seconds"]
        rate = next_rate(tried)
        wanted = () if rate is None else (rate,)
    rows = [{"rate": rate, "accuracy": tried[rate]} for rate in sorted(tried)]
    seeds = list(range(FIRST_SEED, FIRST_SEED + SEEDS))
    best = max(tried, key=lambda rate: mean(tried[rate]))
    return {"best": best, "steps": experiment.steps, "seeds": seeds, "tried": rows, **facts, "seconds": seconds}


def choose_length(name: str, workdir: Path, console: Console) -> dict[str, Any]:
    """Return all lengths that were tried for a config and its longer brother, with what they came to."""
    short, long = files.load(name), files.load(f"{name}_long")
    rows: list[dict[str, Any]] = []
    facts: dict[str, Any] = {}
    steps, seconds = short.steps, 0.0
    while steps <= LONGEST and (len(rows) < 2 or mean(rows[-1]["accuracy"]) - mean(rows[-2]["accuracy"]) > LEAST_GAIN):
        own = {"steps": steps, "eval_every_steps": steps // EVALUATIONS}
        label, experiment = (f"{name}_long", override(long, own)) if rows else (name, short)
        experiment = dataclasses.replace(experiment, seeds=SEEDS, smoke={})
        facts = validation_of(train_seeds(label, experiment, workdir, console))
        rows.append({"steps": steps, "accuracy": next(iter(facts.pop("by_setting").values()))})
        seconds += facts["seconds"]
        steps *= LONGER
    best = max(rows[1:], key=lambda row: mean(row["accuracy"]))["steps"]
    seeds = list(range(short.seed, short.seed + SEEDS))
    return {"best": best, "rate": short.optim.lr, "seeds": seeds, "tried": rows, **facts, "seconds": seconds}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("what", choices=("rates", "lengths"))
    parser.add_argument("configs", nargs="+")
    parser.add_argument("--workdir", type=Path, default=Path("runs/line_sweep"))
    options = parser.parse_args()
    machine.prepare_backend()
    choose = choose_rate if options.what == "rates" else choose_length
    for name in options.configs:
        found = choose(name, options.workdir, Console())
        held = json.loads(FILE.read_text(encoding="utf-8")) if FILE.is_file() else {"rates": {}, "lengths": {}}
        held[options.what][name] = found
        write_atomically(FILE, json.dumps(held, indent=1) + "\n")
        print(f"{name}: {options.what}: {found['best']:g}", flush=True)


if __name__ == "__main__":
    main()
