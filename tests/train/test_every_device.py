"""Kinds of runs on two and three devices, and in two processes: they come to what one device comes to.

EVERY=1 in the environment tries every kind; without it a few are.
"""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from kinds import KINDS, SEVERAL

from train import cli
from train.loop.run import read_summary
from train.loop.summary import Summary

ROOT = Path(__file__).parents[2]
EVERY = os.environ.get("EVERY") == "1"
ALONE = tuple(kind for kind in KINDS if kind not in SEVERAL)
"""All kinds but those of several replicas, which train on one device."""
ROUNDED = (
    "images in bfloat16",
    "language in bfloat16",
)  # sums in another order differ by more than rounding of float32
ON_DEVICES = [
    pytest.param(devices, shard, kind, id=f"{kind} on {devices}, {shard}")
    for devices, shard, kinds in (
        (2, "data", ("pair",)),
        (2, "fsdp", ("language",)),
        (3, "data", ("streamed images",)),
        (3, "fsdp", ()),
    )
    for kind in (ALONE if EVERY else kinds)
]
IN_PROCESSES = [
    pytest.param(shard, kind, id=f"{kind}, {shard}")
    for shard, kinds in (("data", ("streamed images",)), ("fsdp", ()))
    for kind in (ALONE if EVERY else kinds)
]


def zoo(words: list[str], devices: int = 1) -> subprocess.Popen[str]:
    """Start a command in a process of its own with so many devices."""
    environment = os.environ | {"JAX_PLATFORMS": "cpu"}
    environment["XLA_FLAGS"] = f"{environment.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count={devices}"
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen([sys.executable, "-m", "train", *words], cwd=ROOT, env=environment, text=True, **pipes)


def only_run(workdir: Path) -> Path:
    (run,) = (config.parent for config in workdir.glob("*/*/config.json"))
    return run


def on_one_device(kind: str, workdir: Path) -> Summary | None:
    """What this kind of run comes to on one device."""
    assert cli.run(["train", *KINDS[kind].split(), "--workdir", str(workdir)]) == 0
    return read_summary(only_run(workdir))


def require_close(found: Summary | None, wanted: Summary | None, kind: str) -> None:
    assert found is not None
    assert wanted is not None
    for split in ("validation", "test"):
        ours, theirs = getattr(found, split), getattr(wanted, split)
        assert ours.keys() == theirs.keys()
        tolerance = 0.02 if kind in ROUNDED else 1e-3
        for name in ours:
            if "accuracy" in name:  # an answer that hangs on the last bit may be another one
                tolerance = max(tolerance, 0.02)
            np.testing.assert_allclose(ours[name], theirs[name], rtol=tolerance, atol=tolerance, err_msg=name)


@pytest.mark.slow
@pytest.mark.processor
@pytest.mark.parametrize(("devices", "shard", "kind"), ON_DEVICES)
def test_several_devices_come_to_what_one_does(devices: int, shard: str, kind: str, tmp_path: Path) -> None:
    """What they come to is evaluated on one device again."""
    if kind == "Atari agent":
        pytest.importorskip("ale_py")
    several = zoo(["train", *KINDS[kind].split(), "--shard", shard, "--workdir", str(tmp_path / "several")], devices)
    wanted = on_one_device(kind, tmp_path / "one")
    _, err = several.communicate(timeout=500)
    assert several.returncode == 0, err
    require_close(read_summary(only_run(tmp_path / "several")), wanted, kind)
    assert cli.run(["eval", str(only_run(tmp_path / "several"))]) == 0


@pytest.mark.slow
@pytest.mark.parametrize(("shard", "kind"), IN_PROCESSES)
def test_two_processes_come_to_what_one_does(shard: str, kind: str, tmp_path: Path) -> None:
    if kind == "Atari agent":
        pytest.importorskip("ale_py")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        together = ["--coordinator", f"127.0.0.1:{probe.getsockname()[1]}", "--processes", "2"]
    processes = [
        zoo(["train", *KINDS[kind].split(), "--shard", shard, *together, "--process", str(number),
             "--workdir", str(tmp_path / f"process{number}")])
        for number in (0, 1)
    ]  # fmt: skip
    ends = [(process.communicate(timeout=500)[1], process.returncode) for process in processes]
    assert [code for _, code in ends] == [0, 0], ends
    wanted = on_one_device(kind, tmp_path / "one")
    require_close(read_summary(only_run(tmp_path / "process0")), wanted, kind)


@pytest.mark.slow
def test_two_processes_search_together(tmp_path: Path) -> None:
    search = f"search {KINDS['images']} --space optim.lr=log:1e-4..1e-1 --trials 4 --folder {tmp_path / 'searched'}"
    first = zoo(search.split())
    second = zoo(search.split())
    ends = [(process.communicate(timeout=500)[1], process.returncode) for process in (first, second)]
    assert [code for _, code in ends] == [0, 0], ends
    best = json.loads((tmp_path / "searched" / "best.json").read_text(encoding="utf-8"))
    assert best["best"]["command"].startswith("zoo train digits_mlp")
