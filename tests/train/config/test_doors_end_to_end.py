"""Config files outside of the package, with parts of their own, through the commands that a user gives."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import own_parts
import pytest
from PIL import Image

from train import cli
from zoo import library
from zoo.cards import Catalogue

Zoo = Callable[..., str]
ENOUGH = 240  # seconds in which a run has a checkpoint, on a busy machine


def kill_after_a_checkpoint(arguments: list[str], runs: Path) -> Path:
    """Start `zoo` with `arguments`, kill it with SIGKILL as soon as its run has a checkpoint; return the run."""
    process = subprocess.Popen([sys.executable, "-m", "train", *arguments], stdout=subprocess.DEVNULL)
    end = time.monotonic() + ENOUGH
    try:
        while not (found := list(runs.glob("*/*/checkpoints/[0-9]*"))):
            assert process.poll() is None, "the run ended before it could be killed"
            assert time.monotonic() < end, "no checkpoint came"
            time.sleep(0.02)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    return found[0].parents[1]


def few_cards() -> Catalogue:
    """A small catalogue: the page draws every model, which takes half a minute of all."""
    few = Catalogue("model")
    few.register("mlp", library.CARDS["mlp"])
    return few


@pytest.fixture
def zoo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Zoo]:
    """Run a command as a new process would, which has loaded nothing yet, and return what it prints."""
    monkeypatch.setenv("ZOO_DATA_DIR", str(tmp_path / "data"))

    def run(*words: object) -> str:
        own_parts.forget()
        assert cli.run([str(word) for word in words]) == 0
        return capsys.readouterr().out

    yield run
    own_parts.forget()


@pytest.mark.slow
def test_regression_goes_through_every_command(zoo: Zoo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """An own model, data set, task, loss and metric."""
    path, runs = own_parts.write(tmp_path / "own", own_parts.REGRESSION), tmp_path / "runs"
    run = kill_after_a_checkpoint(["train", str(path), "--workdir", str(runs)], runs)
    assert "test miss 0." in zoo("train", "--resume", run)
    assert "miss" in zoo("eval", run)

    weights, program, picture = (tmp_path / name for name in ("w.safetensors", "w.stablehlo", "picture.png"))
    zoo("export", run, weights)
    zoo("export", run, program)
    Image.new("L", (8, 8), 90).save(picture)
    said = zoo("predict", picture, "--weights", run)
    assert said.startswith("output 0")
    assert zoo("predict", picture, "--weights", weights, "--config", path) == said

    space = ["--space", "optim.lr=log:1e-3..1e-1", "--trials", "4", "--steps", "4", "--eval-every-steps", "2"]
    assert f"zoo train {path} " in zoo("search", path, *space, "--workdir", runs)
    (search,) = runs.glob("search/my/*")
    assert "5 trials" in zoo("search", "--resume", search, "--trials", "5")

    zoo("exhibit", run, "--into", tmp_path / "exhibits")
    assert "miss" in json.loads((tmp_path / "exhibits" / "my.json").read_text())["test"]
    monkeypatch.setattr(library, "CARDS", few_cards())
    zoo("timeline", run, "--no-line", "--workdir", runs)
    page = (runs / "timeline" / "index.html").read_text(encoding="utf-8")
    assert "line" in page
    assert "places" in page


def test_classification_is_predicted_by_the_names_of_its_classes_and_probed(zoo: Zoo, tmp_path: Path):
    """An own model, data set and loss."""
    path, runs = own_parts.write(tmp_path / "own"), tmp_path / "runs"
    zoo("train", path, "--steps", "4", "--eval-every-steps", "4", "--workdir", runs)
    (run,) = runs.glob("my/*")
    Image.new("L", (8, 8), 90).save(tmp_path / "picture.png")
    said = zoo("predict", tmp_path / "picture.png", "--weights", run)
    assert {"top", "middle", "bottom"} == {line.split()[0] for line in said.splitlines()}
    assert "linear" in zoo("probe", run)
