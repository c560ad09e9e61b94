"""The benchmark measures what it says: fair rounds, ratios within a round, figures of the real loop."""

import importlib.util
import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from rich.console import Console

from train import bench, peers
from zoo.errors import UserError


@pytest.fixture
def peak(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "peak_flops", lambda: 1e9)  # the product of large matrices takes a while


@pytest.mark.usefixtures("peak")
def test_a_model_is_measured_in_the_loop_and_bare() -> None:
    rows = bench.bench(["perceptron"], batch=2, steps=2, rounds=3)
    (row,) = rows
    assert (row.name, row.batch, row.peer_ms, row.over_peer) == ("perceptron", 2, [], None)
    assert len(row.loop_ms) == len(row.bare_ms) == 3
    assert min(row.loop_ms + row.bare_ms + [row.compile_seconds]) > 0
    state, images = 2 * 4 * 7850, 8 * 28 * 28  # parameters and momentum; four batches of two images
    assert state + images < row.memory_bytes < 10 * (state + images)
    np.testing.assert_allclose(row.peak_share, 3 * 15_680 * 2 / (np.median(row.loop_ms) * 1e-3) / 1e9)


def test_rounds_interleave_and_the_first_is_not_counted() -> None:
    calls = []
    programs = {name: lambda n, name=name: calls.append((name, n)) for name in ("bare", "loop", "peer")}
    times = bench._interleave(programs, 5, 2)
    assert calls == [("bare", 5), ("loop", 5), ("peer", 5)] * 3
    assert [len(each) for each in times.values()] == [2, 2, 2]


def test_ratios_are_of_one_round_each() -> None:
    row = bench.Row("a", 10, [1.0, 2.0, 100.0], [2.0, 4.0, 200.0], [3.0, 6.0, 30.0], 1.0, 2**20, 0.5)
    assert (row.loop_over_bare, row.over_peer, row.examples_per_second) == (2.0, 3.0, 5000.0)
    figures = json.loads(bench.as_json([row]))["rows"][0]
    assert (figures["over_peer"], figures["loop_ms"]) == (3.0, [1.0, 2.0, 100.0])
    console = Console(width=200)
    with console.capture() as capture:
        console.print(bench.as_table([row]))
    line = next(line for line in capture.get().splitlines() if line.strip().startswith("a "))
    assert " ".join(line.split()) == "a 10 2.00 ± 49.50 5,000 2.00 50 % 1 1.0 6.00 ± 13.50 3.00"


def test_a_round_is_filled_by_its_steps() -> None:
    assert 2 <= bench._fill(lambda: np.ones(10_000_000).sum()) < 1000


def test_the_state_moves_on_between_steps() -> None:
    seen = []
    run = bench._repeat(lambda state: seen.append(int(state)) or state + 1, jnp.zeros((), jnp.int32))
    run(2)
    run(1)
    assert seen == [0, 1, 2]


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"names": ["resnet21"]}, "unknown model 'resnet21': did you mean resnet"),
        ({"names": ["mlp"], "batch": 0}, "zoo bench: batch must be at least 1, not 0"),
        ({"names": ["mlp"], "steps": 1}, "zoo bench: steps must be at least 2, not 1"),
        ({"names": ["mlp"], "rounds": 0}, "zoo bench: rounds must be at least 1, not 0"),
    ],
)
def test_bad_input_is_one_line(options: dict, line: str) -> None:
    with pytest.raises(UserError) as error:
        bench.bench(**options)
    assert str(error.value).startswith(line)
    assert "\n" not in str(error.value)


def test_peers_say_what_they_need(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(importlib.util, "find_spec", lambda name: None)
        with pytest.raises(UserError, match="needs PyTorch, the extra `peers`"):
            bench.bench(["perceptron"], peers=True)
    monkeypatch.setattr(peers, "FILE", Path("nowhere"))
    with pytest.raises(UserError, match="needs a clone of the repository"):
        bench.bench(["perceptron"], peers=True)


@pytest.mark.usefixtures("peak")
def test_the_command_prints_json(capsys: pytest.CaptureFixture[str]) -> None:
    before = jax.config.jax_enable_compilation_cache
    try:
        bench.main(["perceptron", "--batch", "2", "--steps", "2", "--rounds", "1", "--json"])
    finally:
        jax.config.update("jax_enable_compilation_cache", before)
    printed = json.loads(capsys.readouterr().out)
    assert printed["jax"] == jax.__version__
    assert [row["name"] for row in printed["rows"]] == ["perceptron"]
