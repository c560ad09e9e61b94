"""Run folders of an earlier version: today's code resumes them, ends with the same State and evaluates it.

`old_runs/NAME.tar.gz` is a run folder that commit aa8a0bf wrote and stopped after half of its steps.
`old_runs/NAME_end.npz` holds the State that the same commit reached at the end, each array under the name that a
checkpoint gives it. `old_runs/NAME_end.json` holds its test metrics and the machine.
"""

import hashlib
import json
import os
import tarfile
from pathlib import Path
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp
import pytest

import train.loop.run
from train import cli
from train.core import State
from train.loop.restore import restore
from train.loop.run import Run

OLD_RUNS = Path(__file__).parent / "old_runs"
NAMES = ("digits_mlp", "cartpole_dqn")


def machine() -> dict[str, Any]:
    """Describe everything that may change the rounding of a sum: two equal machines compute the same bits."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    features = next((line for line in lines if line.startswith("flags")), "")
    flags = os.environ.get("XLA_FLAGS", "").split()
    return {
        "jax": jax.__version__,
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 0,
        "cpu": hashlib.sha256(features.encode()).hexdigest()[:16],
        # The command line adds this flag for convolutions, and the networks here have none.
        "xla_flags": sorted(flag for flag in flags if "ynn_fusion" not in flag),
    }


def named_arrays(state: State) -> dict[str, np.ndarray]:
    """Return the arrays of `state` under the names that a checkpoint gives them."""
    flat = ocp.tree.to_flat_dict(state, sep="/")
    return {name: np.asarray(leaf) for name, leaf in flat.items() if hasattr(leaf, "shape")}


@pytest.fixture(scope="module", params=NAMES)
def resumed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Run]:
    """The name of an old run and a copy of it that has been resumed to its last step."""
    folder = tmp_path_factory.mktemp("old")
    with tarfile.open(OLD_RUNS / f"{request.param}.tar.gz") as archive:
        # Python has filters since 3.11.4; what is unpacked here is our own.
        archive.extractall(folder, **({"filter": "data"} if hasattr(tarfile, "data_filter") else {}))
    path = folder / request.param
    assert cli.run(["train", "--resume", str(path)]) == 0
    return request.param, train.loop.run.load(path)


def test_an_old_run_resumes_to_the_same_state(resumed: tuple[str, Run]) -> None:
    name, run = resumed
    expected = dict(np.load(OLD_RUNS / f"{name}_end.npz"))
    end = json.loads((OLD_RUNS / f"{name}_end.json").read_text())
    found = named_arrays(restore(run)[1])
    assert {key: (a.shape, a.dtype) for key, a in found.items()} == {k: (a.shape, a.dtype) for k, a in expected.items()}
    for key, array in found.items():
        assert np.isfinite(array).all(), key
        if key == "step" or key.endswith(("count", "written")):  # only counted, never computed
            assert array == expected[key], key
    summary = train.loop.run.read_summary(run.path)
    assert summary is not None
    assert summary.test.keys() == end["test"].keys()
    # Another processor rounds differently, and an agent's actions depend on rounding. Another version of jax may also
    # draw other random numbers. So the bits are compared where both are the same.
    if machine() == end["machine"]:
        for key, array in found.items():
            np.testing.assert_array_equal(array, expected[key], key)
        assert summary.test == end["test"]


def test_an_old_run_can_be_evaluated(resumed: tuple[str, Run], capsys: pytest.CaptureFixture[str]) -> None:
    name, run = resumed
    assert cli.run(["eval", str(run.path)]) == 0
    assert ("episodes" if name == "cartpole_dqn" else "accuracy") in capsys.readouterr().out
