"""A config file outside of the package, with its own model and data set, through the commands that a user gives."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import own_parts
import pytest
from PIL import Image

from train import cli
from zoo import library
from zoo.cards import Catalogue

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


@pytest.mark.slow
def test_own_parts_go_through_every_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("ZOO_DATA_DIR", str(tmp_path / "data"))
    path, runs = own_parts.write(tmp_path / "own"), tmp_path / "runs"

    def zoo(*words: object, code: int = 0) -> str:
        """Run a command as a new process would, which has loaded nothing yet, and return what it prints."""
        own_parts.forget()
        assert cli.run([str(word) for word in words]) == code
        return capsys.readouterr().out

    run = kill_after_a_checkpoint(["train", str(path), "--steps", "120", "--workdir", str(runs)], runs)
    zoo("train", "--resume", run)
    assert "accuracy" in zoo("eval", run)
    zoo("probe", run)

    weights, program, picture = (tmp_path / name for name in ("w.safetensors", "w.stablehlo", "picture.png"))
    zoo("export", run, weights)
    zoo("export", run, program)
    Image.new("L", (8, 8), 90).save(picture)
    said = zoo("predict", picture, "--weights", run)
    assert {"top", "middle", "bottom"} == {line.split()[0] for line in said.splitlines()}
    assert zoo("predict", picture, "--weights", weights, "--config", path) == said

    space = ["--space", "optim.lr=log:1e-3..1e-1", "--trials", "4", "--steps", "4", "--eval-every-steps", "2"]
    assert f"zoo train {path} " in zoo("search", path, *space, "--workdir", runs)
    (search,) = runs.glob("search/my/*")
    assert "5 trials" in zoo("search", "--resume", search, "--trials", "5")

    zoo("exhibit", run, "--into", tmp_path / "exhibits")
    assert (tmp_path / "exhibits" / "my.json").is_file()
    monkeypatch.setattr(library, "CARDS", few_cards())
    zoo("timeline", run, "--no-line", "--workdir", runs)
    assert "mine" in (runs / "timeline" / "index.html").read_text(encoding="utf-8")
    own_parts.forget()
