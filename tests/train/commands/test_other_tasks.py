"""A command for text on a run of another kind: one line that names the command for it, before anything is built."""

from pathlib import Path

import pytest

import train.loop.run
from train import cli
from train.config import Contrast, Data, Experiment, Model, Optim, QLearning, World

OTHERS = {
    "zoo play": Experiment(Model("dqn_mlp"), World("CartPole-v1", batch=8), Optim("adam"), task=QLearning(), steps=4),
    "zoo probe": Experiment(Model("simclr_resnet20"), Data("digits", batch=8), Optim("adam"), task=Contrast(), steps=4),
}


@pytest.mark.parametrize("fits", OTHERS)
@pytest.mark.parametrize("command", ["sample RUN", "fill RUN x", "translate RUN x"])
def test_a_run_of_another_kind_names_its_command(
    command: str, fits: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = train.loop.run.create("other", OTHERS[fits], tmp_path)
    assert cli.run([word.replace("RUN", str(run.path)) for word in command.split()]) == 2
    error = capsys.readouterr().err.strip()
    assert error.endswith(f"use {fits}")
    assert "\n" not in error
