"""Every command over every kind of run answers rightly, or with one line and exit code 2, as tests/train/kinds.py says.

EVERY=1 in the environment tries all cells. Without it a few kinds are tried, and of the commands that train again a few
cells: all together take a quarter of an hour.
"""

import json
import os
import re
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np
import pytest
from kinds import COMMANDS, KINDS, PUBLISHED, table
from PIL import Image

import train.loop.run
import zoo
from train import cli
from train.config import files
from train.config.ways import way_of
from train.loop.run import read_summary
from train.loop.summary import Summary
from train.metrics.format import figure

ROOT = Path(__file__).parents[2]
EVERY = os.environ.get("EVERY") == "1"
TRIED = ("images", "streamed images", "new scenes", "seeds", "language", "sentences", "pair", "agent")
DEAR = {
    "eval, best": ("convolutions", "folds", "agent", "conditional pair"),
    "start from a run": ("images in bfloat16", "contrast", "pair"),
    "start from an export": ("convolutions", "agent", "sentences"),
    "compress": ("images", "contrast"),
    "search": ("seeds", "language", "pair"),
    "claim": ("sweep", "convolutions", "agent"),
}
"""Command -> the kinds for which it is tried without EVERY=1, besides those for which it does not answer."""
CLAIM = """
import dataclasses
from train.history.claims import Claim, Effect, TrainedArm, metric
from train.loop.run import load

ONE = dataclasses.replace(load({run!r}).experiment, seeds=1, sweep=(), folds=None)
TWO = dataclasses.replace(ONE, optim=dataclasses.replace(ONE.optim, lr=2 * ONE.optim.lr))
CLAIM = Claim(
    2000, "Nobody 2000", "https://example.org", "A lower rate is better.",
    {{"one": TrainedArm("one", ONE), "two": TrainedArm("two", TWO)}},
    (Effect("one", "two", {better!r}, "a lower rate", margin=0.001),),
    metric=metric("validation {metric}"), seeds=2,
)
"""

SMOKE = """
from train.config import files, override

CONFIG = override(files.load({name!r}), files.load({name!r}).smoke)
"""


class Here(NamedTuple):
    """One kind of run, and where commands write."""

    kind: str
    run: Path
    folder: Path
    said: dict[str, str]  # name of a command that was tried -> what it printed

    @property
    def summary(self) -> Summary:
        found = read_summary(self.run)
        assert found is not None
        return found

    def copied(self, name: str) -> Path:
        """A copy of the run."""
        path = self.folder / name / self.run.parent.name / self.run.name
        shutil.rmtree(path, ignore_errors=True)
        shutil.copytree(self.run, path)
        return path

    def new(self, folder: str) -> Path:
        """The newest run in a folder."""
        return max(config.parent for config in (self.folder / folder).glob("*/*/config.json"))

    def words(self, command: str) -> list[str]:
        found = []
        for word in shlex.split(command):
            match word:
                case "CONFIG":
                    found += KINDS[self.kind].split()
                case "RUN":
                    found.append(str(self.run))
                case "COPY":
                    found.append(str(self.copied("copy")))
                case "STOPPED":  # as if it had been stopped before its summary
                    path = self.copied("stopped")
                    (path / "summary.json").unlink()
                    found.append(str(path))
                case "INPUT":
                    text = train.loop.run.load(self.run).experiment.data.KIND == "text"
                    masked = "an [MASK] is" if self.kind == "masked" else "the list"
                    found.append(masked if text else str(self.folder / "picture.png"))
                case "PUBLISHED":
                    found.append(PUBLISHED.get(self.kind, "huggingface"))
                case _:
                    found.append(word.replace("HERE", str(self.folder)))
        return found


@pytest.fixture
def here(request: pytest.FixtureRequest, tmp_path: Path) -> Here:
    """A run of the kind that the test is for."""
    kind = request.param
    if kind == "Atari agent":
        pytest.importorskip("ale_py")
    workdir = tmp_path / "run"
    assert cli.run(["train", *KINDS[kind].split(), "--workdir", str(workdir)]) == 0
    (run,) = (config.parent for config in workdir.glob("*/*/config.json"))
    found = Here(kind, run, tmp_path, {})
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (8, 8), np.uint8)).save(tmp_path / "picture.png")
    way = way_of(train.loop.run.load(run).experiment.task)
    better = train.config.metrics.direction(way.best)
    (tmp_path / "claim.py").write_text(CLAIM.format(run=str(run), metric=way.best, better=better), encoding="utf-8")
    return found


def same_figures(found: Path, wanted: Summary) -> bool:
    """Return whether a run came to the same results, bit for bit."""
    summary = read_summary(found)
    assert summary is not None
    return (summary.validation, summary.test) == (wanted.validation, wanted.test)


def shows_figures(here: Here, out: str) -> bool:
    """Return whether the test split's metrics of the run are printed."""
    name = way_of(train.loop.run.load(here.run).experiment.task).best
    return figure(name, here.summary.test[name]) in out


def same_arrays(here: Here, file: str) -> bool:
    """Return whether an export, loaded back, is the network of the run."""
    name = here.summary.model
    wanted, found = (zoo.load_model(name, source) for source in (here.run, here.folder / file))
    assert wanted.model == found.model
    return jax.tree.all(jax.tree.map(np.array_equal, dict(wanted.variables), dict(found.variables)))


CHECKS: dict[str, Callable[[Here, str], bool]] = {
    "eval": shows_figures,
    "resume": lambda here, _: same_figures(
        here.folder / "stopped" / here.run.parent.name / here.run.name, here.summary
    ),
    "longer run": lambda _, out: "after 3 steps" in out,
    "start from a run": lambda here, out: bool(read_summary(here.new("started"))) and "init_from: took" in out,
    "start from an export": lambda here, out: bool(read_summary(here.new("started"))) and "init_from: took" in out,
    "play": lambda here, _: (here.folder / "play.gif").is_file(),
    "export, safetensors": lambda here, _: same_arrays(here, "run.safetensors"),
    "export, npz": lambda here, _: same_arrays(here, "run.npz"),
    "export, folder": lambda here, _: same_arrays(here, "folder"),
    "export, published": lambda here, _: same_arrays(here, "published.safetensors"),
    "export, StableHLO": lambda here, _: (here.folder / "run.stablehlo").stat().st_size > 1000,
    "predict, loaded back": lambda here, out: out == here.said["predict"],
    "extract": lambda here, _: read_summary(here.new("extracted")).test == here.summary.replicas[1].test,
    "exhibit": lambda here, _: bool(json.loads(next((here.folder / "shown").glob("*.json")).read_text())),
    "compare": lambda here, out: (
        (shows_figures(here, out) or "test BLEU" in out) and (here.folder / "curves.png").is_file()
    ),
    "claim": lambda here, _: bool(
        json.loads((here.folder / "claims" / "claim" / "result.json").read_text())["verdict"]
    ),
}
"""Command -> whether it did what it should; of the others, whether it printed anything."""


@pytest.mark.slow
@pytest.mark.usefixtures("brief_timings")
@pytest.mark.parametrize("here", KINDS if EVERY else TRIED, indirect=True)
def test_every_command_answers_or_says_why_not(
    here: Here, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "250")
    monkeypatch.chdir(here.folder)
    wrong, tried = [], 0
    for name, (command, kinds) in COMMANDS.items():
        if not EVERY and here.kind in kinds and here.kind not in DEAR.get(name, (here.kind,)):
            continue
        tried += 1
        words = here.words(command)
        capsys.readouterr()
        try:
            code = cli.run(words)
        except Exception as error:
            code = f"{type(error).__name__}: {error}"
        out, err = capsys.readouterr()
        here.said[name] = out
        if here.kind not in kinds:
            right = code == 2 and re.fullmatch(r"zoo: [^\n]+\n", err)
        else:
            right = code == 0 and CHECKS.get(name, lambda _, out: bool(out.strip()))(here, out)
        if not right:
            wrong.append(f"{name}: {code}, {out[-300:]!r}, {err[-300:]!r} <- zoo {' '.join(words)}")
    assert tried >= 15
    assert not wrong, "\n".join([f"{len(wrong)} of {tried}:", *wrong])


def shipped() -> list[str]:
    """The configs whose data come with the project or are computed."""
    here = ("digits", "python_docs", "dates", "CartPole", "MountainCar", "Acrobot", "minatar")
    names = [name for name in files.names() if files.load(name).data.name.startswith(here)]
    return names if EVERY else names[::9]


@pytest.mark.slow
@pytest.mark.parametrize("name", shipped())
def test_the_smoke_of_a_config_is_trained_exported_loaded_back_and_evaluated(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "250")
    (tmp_path / "small.py").write_text(SMOKE.format(name=name), encoding="utf-8")
    assert cli.run(["train", str(tmp_path / "small.py"), "--workdir", str(tmp_path / "run")]) == 0
    (run,) = (config.parent for config in tmp_path.glob("run/*/*/config.json"))
    here = Here(name, run, tmp_path, {})
    pair = files.load(name).task.name == "adversarial"
    assert cli.run(["export", str(run), str(tmp_path / "run.safetensors")]) == (2 if pair else 0)
    assert pair or same_arrays(here, "run.safetensors")
    capsys.readouterr()
    assert cli.run(["eval", str(run)]) == 0
    assert shows_figures(here, capsys.readouterr().out)


def test_the_table_of_contributors_is_the_one_that_is_tested() -> None:
    assert table() in (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
