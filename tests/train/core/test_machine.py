"""A device that is not here is one line, before anything is made or compiled."""

import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize("platforms", ["rocm", "nowhere"])
@pytest.mark.parametrize("argv", ["train digits_mlp --workdir WORKDIR", "convert IN OUT"])
def test_a_device_that_is_not_here_is_one_line(platforms: str, argv: str, tmp_path: Path) -> None:
    words = [{"WORKDIR": str(tmp_path / "runs")}.get(word, word) for word in argv.split()]
    environment = os.environ | {"JAX_PLATFORMS": platforms}
    command = [sys.executable, "-m", "train", *words]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240, cwd=Path.cwd())
    lines = [line for line in done.stderr.splitlines() if not line.endswith("starting JAX")]
    assert done.returncode == 2
    assert len(lines) == 1
    assert lines[0].startswith(f"zoo: JAX has no device of JAX_PLATFORMS={platforms}")
    assert not (tmp_path / "runs").exists()
