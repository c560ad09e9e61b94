"""`zoo bench --peers` with a stub for PyTorch: the best peer, the rows that are kept, the table and the sentence."""

import dataclasses
import importlib.metadata
import importlib.util
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import pytest
from rich.console import Console

import zoo
from train import cli
from train.commands import bench
from train.studies.bench import FAMILIES, peers, results, steps
from zoo.errors import UserError

ROOT = Path(__file__).parents[3]
ROW = steps.Row(
    name="mlp",
    batch=32,
    length=None,
    loop_ms=[1.8, 2.0, 2.2],
    bare_ms=[2.0, 2.0, 2.0],
    peer_ms={"eager": [3.0, 4.0, 9.0], "compile": [2.7, 3.0, 3.0]},
    compile_seconds=0.5,
    memory_bytes=2**20,
    peak_share=0.5,
    peer_compile_seconds=7.0,
)
TWO_CORES = "cpu, 2 cores, A & B Processor"


def recorded(**changes: Any) -> results.Record:
    record = results.record_of(ROW, TWO_CORES, "2.13.0")
    assert record is not None
    return dataclasses.replace(record, **changes)


@pytest.fixture(autouse=True)
def kept_programs() -> Iterator[None]:
    """The command compiles everything anew; the tests after it do not."""
    before = jax.config.jax_enable_compilation_cache
    yield
    jax.config.update("jax_enable_compilation_cache", before)


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch) -> list[tuple]:
    """PyTorch is a step that sleeps; in its compiled way it does not run. Returns the calls."""
    calls = []

    def builders(*asked: Any) -> dict[str, Callable[[], peers.Step]]:
        def fails() -> peers.Step:
            raise RuntimeError("no C++ compiler\nand much more")

        calls.append(asked)
        return {
            "eager": lambda: lambda: time.sleep(0.004),
            "channels_last": lambda: lambda: time.sleep(0.001),
            "compile": fails,
        }

    version = importlib.metadata.version
    monkeypatch.setattr(peers, "load", lambda: builders)
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "2.13.0+cpu" if name == "torch" else version(name))
    monkeypatch.setattr(steps, "peak_flops", lambda: 1e9)
    return calls


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch, stub: list[tuple]) -> list[str]:
    """Rows are made up; Ctrl-C comes at lenet5. Returns the names of what was measured."""
    names = []

    def measure(trial: steps.Trial, peak: float, found: Any) -> steps.Row:
        if trial.card.name == "lenet5":
            raise KeyboardInterrupt
        names.append(trial.card.name)
        return dataclasses.replace(ROW, name=trial.card.name, batch=trial.batch)

    monkeypatch.setattr(steps, "measure", measure)
    return names


def test_every_way_takes_part_in_each_round_and_the_fastest_is_the_peer(stub: list[tuple]) -> None:
    (row,) = steps.bench(steps.plan(["perceptron"], batches=[2], steps=2, rounds=3), peers.load())
    assert [call[:3] for call in stub] == [("perceptron", 2, None)]
    assert {way: len(times) for way, times in row.peer_ms.items()} == {"eager": 3, "channels_last": 3}
    assert row.best_peer == "channels_last"
    assert row.peer_failures == {"compile": "RuntimeError: no C++ compiler"}


def test_a_peer_that_fails_eagerly_is_an_error() -> None:
    def fails() -> peers.Step:
        raise RuntimeError("wrong shape")

    with pytest.raises(RuntimeError, match="wrong shape"):
        peers.warm_up({"eager": fails})


def test_what_is_kept_of_a_row() -> None:
    record = recorded()
    assert (record.ms, record.peers, record.best_peer) == (2.0, {"eager": 4.0, "compile": 3.0}, "compile")
    assert (record.ratio, record.rounds, record.peer_compile_seconds) == (1.5, 3, 7.0)  # of 1.5, 1.5 and 1.36
    assert record.ratio_spread == pytest.approx((1.5 - 3 / 2.2) / 2, rel=1e-3)
    assert results.record_of(dataclasses.replace(ROW, peer_ms={}), TWO_CORES, "2.13.0") is None


def test_a_row_replaces_only_that_of_its_model_batch_and_device(tmp_path: Path) -> None:
    here, there = results.Keeper(tmp_path, TWO_CORES, "2.13.0"), results.Keeper(tmp_path, "cpu, 8 cores, C", "2.13.0")
    for keeper in (here, there):
        keeper.keep(dataclasses.replace(ROW, name="resnet20"))
        keeper.keep(ROW)
        keeper.keep(dataclasses.replace(ROW, batch=128))
    assert here.keep(dataclasses.replace(ROW, loop_ms=[3.0, 3.0, 3.0]))
    assert not here.keep(dataclasses.replace(ROW, loop_ms=[1.0, 2.0, 9.0]))  # the machine was busy
    assert [path.name for path in sorted(tmp_path.glob("*.json"))] == [
        "cpu_2_cores_a_b_processor.json",
        "cpu_8_cores_c.json",
    ]
    kept = [(row.model, row.batch, row.ms) for row in results.read(here.path)]
    assert kept == [("mlp", 32, 3.0), ("mlp", 128, 2.0), ("resnet20", 32, 2.0)]
    assert [row.ms for row in results.read(there.path)] == [2.0, 2.0, 2.0]
    assert len(results.read_all(tmp_path)) == 6
    assert here.has(steps.Trial(zoo.card("mlp"), 32, None))
    assert not here.has(steps.Trial(zoo.card("mlp"), 64, None))
    assert not results.Keeper(tmp_path, TWO_CORES, "2.14.0").has(steps.Trial(zoo.card("mlp"), 32, None))


@pytest.mark.parametrize(
    "content",
    ["nonsense", "[]", '{"rows": [1]}', '{"rows": [{"model": "mlp"}]}'],
)
def test_a_file_that_has_no_rows_is_one_line_before_anything_is_measured(
    content: str, tmp_path: Path, measured: list[str]
) -> None:
    path = results.Keeper(tmp_path, results.device(), "").path
    path.write_text(content)
    with pytest.raises(UserError, match="has no rows of zoo bench") as error:
        bench.bench_command(["mlp", "--peers", "--results", str(tmp_path)])
    assert "\n" not in str(error.value)
    assert (measured, path.read_text()) == ([], content)


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path: Path, measured: list[str]) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot write"):
        bench.bench_command(["mlp", "--peers", "--results", str(tmp_path / "file" / "inside")])
    assert measured == []


def test_rows_appear_as_they_are_measured_and_survive_ctrl_c(
    tmp_path: Path, measured: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["bench", "perceptron", "mlp", "lenet5", "--peers", "--batch", "8", "--results", str(tmp_path)]
    assert cli.run(command) == 130
    printed, said = capsys.readouterr()
    assert [line.split()[0] for line in printed.splitlines()[:3]] == ["model", "perceptron", "mlp"]
    assert "2 of 3 rows are measured, and kept in" in said
    kept = results.read_all(tmp_path)
    assert [(row.model, row.batch) for row in kept] == [("perceptron", 8), ("mlp", 8)]
    assert cli.run([*command, "--missing"]) == 130
    assert measured == ["perceptron", "mlp"]
    assert cli.run(["bench", "mlp", "--peers", "--batch", "8", "--results", str(tmp_path), "--missing"]) == 2


def test_a_row_of_a_busy_machine_is_shown_and_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stub: list[tuple], capsys: pytest.CaptureFixture[str]
) -> None:
    busy = dataclasses.replace(ROW, loop_ms=[1.0, 2.0, 9.0])
    monkeypatch.setattr(steps, "measure", lambda trial, peak, found: busy)
    assert cli.run(["bench", "mlp", "--peers", "--batch", "32", "--results", str(tmp_path)]) == 0
    printed, said = capsys.readouterr()
    assert printed.splitlines()[1].startswith("mlp")
    assert "not kept, since their rounds differ too much: mlp 32" in said
    assert results.read_all(tmp_path) == []


def test_json_keeps_what_was_measured_before_ctrl_c(
    tmp_path: Path, measured: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(["bench", "mlp", "lenet5", "--peers", "--json", "--results", str(tmp_path)]) == 130
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert [(row["name"], row["batch"], row["best_peer"]) for row in rows] == [
        ("mlp", 32, "compile"),
        ("mlp", 128, "compile"),
    ]


def test_the_table_grows_on_a_terminal(tmp_path: Path, measured: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    console = Console(force_terminal=True, width=160, height=50)
    monkeypatch.setattr(bench, "console_for", lambda: console)
    with console.capture() as capture:
        bench.bench_command(["perceptron", "mlp", "--peers", "--batch", "8", "--results", str(tmp_path)])
    shown = capture.get()
    assert shown.index("perceptron, batch 8 …") < shown.index("mlp, batch 8 …")
    assert shown.count("PyTorch ms") > 2


@pytest.mark.parametrize(
    ("args", "line"),
    [
        (["--missing"], "zoo bench: --missing goes with --peers"),
        (["--results", "x"], "zoo bench: --results goes with --peers"),
        (["nosuch", "--peers"], "unknown model 'nosuch'"),
        (["mlp", "--peers", "--batch", "0"], "zoo bench: batch must be at least 1, not 0"),
        (["mlp", "--peers", "--rounds", "0"], "zoo bench: rounds must be at least 1, not 0"),
        (["--decode", "--batch", "2", "--batch", "3"], "zoo bench: --decode takes one --batch"),
    ],
)
def test_bad_input_is_one_line(args: list[str], line: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["bench", *args]) == 2
    said = capsys.readouterr().err.strip()
    assert line in said
    assert "\n" not in said


def test_only_the_cpu_is_compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(results.jax, "default_backend", lambda: "gpu")
    with pytest.raises(UserError, match="compares on the CPU: JAX_PLATFORMS=cpu"):
        results.Keeper.of(tmp_path)


def test_the_table_and_the_sentence_are_made_from_the_rows() -> None:
    failures = {"compile": "RuntimeError: no C++ compiler"}
    rows = [
        recorded(model="bert_mini", length=128, ms=1028, peers={"eager": 1021}, best_peer="eager", ratio=0.993),
        recorded(model="bert_mini", length=128, batch=128, failures=failures),
        recorded(ratio=1.5),
        recorded(batch=128, ratio=1.0),
    ]
    table = results.markdown(rows)
    assert "| `mlp` | 32 | 2 | 4 | – | 3 | compile | 1.50 ± 0.07 | " in table
    assert "| `bert_mini` | 32 × 128 | 1,028 | 1,021 | – | – | eager | 0.99 ± 0.07 | " in table
    assert "`bert_mini`: compile did not run: RuntimeError: no C++ compiler." in table
    assert table.index("`mlp`") < table.index("`bert_mini`")
    sentence = results.sentence(rows)
    assert "at least as fast in 1 of 2 families at every batch measured (32 and 128)" in sentence
    assert "the median ratio is 1.25" in sentence
    assert results.sentence([]) == ""


def test_what_is_recorded_is_of_the_families() -> None:
    assert {record.model for record in results.read_all()} <= set(FAMILIES)
