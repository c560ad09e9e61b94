"""A device that is not here is one line, before anything is made or compiled."""

import os
import subprocess
import sys
from pathlib import Path

import jax
import pytest

from train.core import machine


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


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="only Linux counts mappings")
def test_programs_are_released_before_linux_has_no_mapping_left_for_them(monkeypatch: pytest.MonkeyPatch) -> None:
    def traces(at_most: str) -> int:
        traced = []
        twice = jax.jit(lambda x: traced.append(x) or 2 * x)
        twice(1.0)
        read = Path.read_text
        limit = lambda path, **how: at_most if path.name == "max_map_count" else read(path, **how)  # noqa: E731
        monkeypatch.setattr(Path, "read_text", limit)
        machine.release_programs()
        twice(1.0)
        return len(traced)

    assert traces("10000000") == 1
    assert traces("100") == 2
