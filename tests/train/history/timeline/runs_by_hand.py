"""Run folders, cards and claims written by hand, good ones and hostile ones."""

import json
from pathlib import Path
from typing import Any

from zoo.cards import Card, Paper, image

EVIL = "<script>alert(1)</script> [red]$\\frac{{{"
OLD = Paper("The perceptron", "F. Rosenblatt", "Psychological Review 65", "10.1037/h0042519")
NEW = Paper("Deep residual learning", "K. He, X. Zhang, S. Ren, J. Sun", "CVPR 2016", "1512.03385")


def card(name: str, year: int, paper: Paper) -> Card:
    return Card(name, name, year, paper, f"The idea of {name}.", None, None, image(8, 8, 1), (10,), 650, 1280)


CARDS = {c.name: c for c in (card("perceptron", 1958, OLD), card("plain20", 2015, NEW), card("resnet20", 2015, NEW))}


def run_folder(root: Path, model: str, accuracy: object, *, seed: int = 0, lines: str = "", **facts: object) -> Path:
    root.mkdir(exist_ok=True)
    path = root / f"digits_{len(list(root.iterdir()))}" / "2026-11-22_120000"
    path.mkdir(parents=True)
    config = {
        "model": {"name": model},
        "data": {"name": "digits"},
        "optim": {"name": "adam", "lr": 0.002},
        "seed": seed,
    }
    (path / "config.json").write_text(json.dumps(config))
    (path / "metrics.jsonl").write_text(lines)
    summary = {
        "name": f"digits_{model}", "model": model, "dataset": "digits", "steps": 600, "examples": 38_400, "seed": seed,
        "params": 61_706, "flops": 833_040, "test": {"loss": 0.1, "accuracy": accuracy, "count": 360},
        "seconds": 12.34, "compile_seconds": 2.0, "device": "cpu, 2 cores", "date": "2026-11-22",
        "versions": {"jax": "0.10.2"},
    }  # fmt: skip
    (path / "summary.json").write_text(json.dumps(summary | facts))
    return path


def line(step: int, accuracy: object, split: str = "validation") -> str:
    return json.dumps({"step": step, "split": split, "seconds": 1.0, "loss": 1.0, "accuracy": accuracy}) + "\n"


def claim(name: str, year: int, verdict: str = "holds", kind: str = "curve", **facts: Any) -> dict[str, Any]:
    """An object of claims.json, with two arms of three seeds."""
    arms = [
        {"name": arm, "says": f"what {arm} is", "seeds": [0, 1, 2], "values": [mean, mean, None], "mean": mean,
         "deviation": 0.01, "low": mean - 0.02, "high": mean + 0.02, "seconds": 9.0, "remark": ""}
        for arm, mean in (("deep", 0.5), ("shallow", 0.25))
    ]  # fmt: skip
    x = [0, 100, 200] if kind != "bars" else [0]
    series = [
        {
            "arm": arm["name"],
            "x": x,
            "mean": [arm["mean"]] * len(x),
            "low": [arm["low"]] * len(x),
            "high": [None] * len(x),
        }
        for arm in arms
    ]
    effect = {
        "says": "deep is worse than shallow", "arm": "deep", "against": "shallow", "expected": "higher", "value": 0.25,
        "low": 0.2, "high": 0.3, "paired": True, "kind": "difference", "verdict": verdict,
    }  # fmt: skip
    return {
        "name": name, "year": year, "paper": "He et al. 2015, Fig. 1", "link": "https://arxiv.org/abs/1512.03385",
        "says": f"What {name} says.", "models": ["resnet20"], "algorithms": ["relu"], "setting": "small",
        "metric": {"name": "train loss", "unit": "nats", "better": "lower"}, "budget": "200 steps of 8 images",
        "arms": arms, "effects": [effect], "verdict": verdict, "reason": "" if verdict == "holds" else "It is small.",
        "plot": {"kind": kind, "x": "step", "y": "train loss", "log_x": False, "log_y": False, "series": series},
        "seconds": 18.0, "device": "cpu, 2 cores", "date": "2026-11-24", "versions": {"jax": "0.10.2"},
    } | facts  # fmt: skip
