"""A grid from end to end: two nets by three optimizers, stopped and resumed, recorded, its quick version, its files."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from interruption import Interruption
from repositories import commit_all
from small_grid import TWO_BY_TWO, write

from train import cli
from train.core.console import Console
from train.core.signals import Stopped
from train.history.claims import readings, tuning
from train.history.grids import results, table
from train.history.grids import run as grid_run_module
from train.history.grids.run import CELL, GridRun, run_cells
from zoo.errors import UserError

QUIET = Console(quiet=True)
NAMES = ["line/sgd", "line/adam", "mlp/sgd", "mlp/adam"]
EXTENSIONS = tuning.EXTENSIONS


def figures(cell: dict) -> dict:
    return {name: cell[name] for name in ("row", "column", "seeds", "values", "rate", "tried", "curve")}


@pytest.fixture(scope="module", autouse=True)
def few_rates() -> Iterator[None]:
    """Rates are not extended, which tests/train/history/claims/test_tuning.py is about."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tuning, "EXTENSIONS", 0)
        yield


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with the file of a grid."""
    folder = tmp_path_factory.mktemp("grid")
    write(folder, TWO_BY_TWO)
    commit_all(folder)
    return folder


@pytest.fixture(scope="module")
def done(place: Path) -> GridRun:
    """The grid, run as a whole."""
    made = GridRun(str(place / "mine.py"), place / "runs", QUIET)
    run_cells(made, made.chosen(()), record=False)
    return made


@pytest.fixture
def recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where results are recorded."""
    monkeypatch.setattr(results, "FILE", tmp_path / "results" / "grids.json")
    return tmp_path / "results" / "grids.json"


def test_every_cell_has_its_seeds_rate_and_where_it_is_from(done: GridRun) -> None:
    found = done.write()
    assert [f"{cell['row']}/{cell['column']}" for cell in found["cells"]] == NAMES
    for cell in found["cells"]:
        assert cell["seeds"] == [0, 1, 2, 3, 4]
        assert all(0 <= value <= 1 for value in cell["values"])
        assert {one["rate"] for one in cell["tried"]} >= {0.01}
        best = max(cell["tried"], key=lambda one: one["score"])
        assert cell["rate"] == best["rate"] or best["score"] == next(
            one["score"] for one in cell["tried"] if one["rate"] == cell["rate"]
        )
        assert cell["images"] == 64
        assert len(cell["commit"]) == 40
        assert cell["data"].keys() == {"digits"}
        for name in ("design", "code", "machine", "versions", "date", "seconds"):
            assert cell[name]
    assert found["analysis"]["parts"].keys() == {"row", "column", "both", "seeds"}
    assert (done.folder / "grid.png").read_bytes()[:4] == b"\x89PNG"
    lines = (done.folder / "grid.csv").read_text().splitlines()
    assert lines[0] == "grid,row,column,seed,rate,accuracy,state"
    assert len(lines) == 1 + 4 * 5
    text = (done.folder / "grid.md").read_text()
    first, second = table.sentences(found)
    assert first in text
    assert second in text
    assert first.startswith("Of the spread in log error, ")
    assert json.loads((done.folder / "grid.json").read_text())["cells"] == found["cells"]


def test_stopped_and_resumed_it_has_the_same_figures(
    done: GridRun, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def again() -> GridRun:
        return GridRun(str(place / "mine.py"), tmp_path, QUIET)

    stopped = again()
    first, second = stopped.chosen(("line/sgd", "line/adam"))
    run_cells(stopped, [first], record=False)
    stamp = (tmp_path / "grids" / "mine" / "line" / first.column.name / CELL).stat().st_mtime_ns
    with monkeypatch.context() as patch:
        patch.setattr("train.loop.fit.Watch", Interruption)
        with pytest.raises(Stopped, match=f"mine stopped in {second.name}, at its tuning; the same command continues"):
            stopped.run(second)
    resumed = again()
    found = run_cells(resumed, [first, second], record=False)
    assert (tmp_path / "grids" / "mine" / "line" / first.column.name / CELL).stat().st_mtime_ns == stamp
    whole = {cell.name: done.held(cell) for cell in done.cells}
    assert [figures(cell) for cell in found] == [figures(whole[name]) for name in (first.name, second.name)]


def test_a_cell_of_another_design_or_of_other_code_is_run_again(done: GridRun, monkeypatch) -> None:
    cell = done.cells[0]
    assert done.held(cell) is not None
    assert done.held(cell._replace(rates=(0.1, 1.0))) is None
    monkeypatch.setattr(grid_run_module, "code_of", lambda cell: "other")
    assert done.held(cell) is None


def test_a_diverged_seed_counts_as_chance_and_is_said(done: GridRun, place: Path, tmp_path, monkeypatch) -> None:
    made = GridRun(str(place / "mine.py"), tmp_path, QUIET)
    (cell,) = made.chosen(("line/sgd",))
    true = readings.read
    monkeypatch.setattr(
        readings,
        "read",
        lambda run, wanted: [None, *true(run, wanted)[1:]] if run.experiment.seeds > 1 else true(run, wanted),
    )
    found = made.run(cell)
    assert found["diverged"] == [0]
    assert found["values"][0] == found["chance"] == 0.1
    assert found["values"][1:] == done.held(done.cells[0])["values"][1:]
    assert "seed 0 diverged and counts as chance, 10 %" in table.line(found)


def test_a_record_grows_cell_by_cell_and_drops_those_of_another_design(
    done: GridRun, recorded: Path, place: Path
) -> None:
    known, cells = done.facts, done.cells
    held = [done.held(cell) for cell in cells]
    results.record(known, cells, held[:1])
    assert results.read()["mine"]["analysis"] is None
    for one in held[1:]:
        results.record(known, cells, [one])
    found = results.read()["mine"]
    assert [f"{cell['row']}/{cell['column']}" for cell in found["cells"]] == NAMES
    assert found["analysis"] is not None
    assert recorded.with_suffix(".csv").read_text().count("\n") == 21
    changed = [cells[0]._replace(rates=(0.1, 1.0)), *cells[1:]]
    results.record(known, changed, held[1:2])
    assert len(results.read()["mine"]["cells"]) == 3
    assert table.markdown(results.read()["mine"]).count("–") == 1


def test_the_quick_version_has_the_rates_that_were_chosen(
    done: GridRun, recorded: Path, place: Path, tmp_path: Path
) -> None:
    file = str(place / "mine.py")
    with pytest.raises(
        UserError, match=r"^mine has no recorded rates of this design: zoo grid .*mine\.py chooses them"
    ):
        GridRun(file, tmp_path, QUIET, quick=True)
    results.record(done.facts, done.cells, [done.held(done.cells[3])])
    quick = GridRun(file, tmp_path, QUIET, quick=True)
    with pytest.raises(UserError, match=r"^line/sgd, line/adam, mlp/sgd: no recorded rate of this"):
        quick.chosen(())
    (cell,) = quick.chosen(("mlp/adam",))
    found = quick.run(cell)
    assert found["rate"] == done.held(done.cells[3])["rate"]
    assert (found["seeds"], found["images"], found["tried"]) == ([0, 1], 32, [])
    assert (tmp_path / "grids" / "mine.quick" / "mlp" / "adam" / CELL).is_file()
    with pytest.raises(UserError, match=r"^the quick version of a grid is not recorded: no --quick"):
        quick.require_recordable()


def test_a_grid_is_recorded_with_enough_seeds_and_from_a_repository(place: Path, tmp_path: Path) -> None:
    GridRun(str(place / "mine.py"), tmp_path, QUIET).require_recordable()
    file = write(tmp_path, (place / "mine.py").read_text())
    with pytest.raises(UserError, match="is in no git repository with a commit: its result cannot be recorded"):
        GridRun(str(file), tmp_path, QUIET).require_recordable()
    few = write(tmp_path, file.read_text().replace("images=64", "images=64, seeds=3"))
    commit_all(tmp_path)
    with pytest.raises(UserError, match=r"^a recorded grid has at least 5 seeds, and this 3"):
        GridRun(str(few), tmp_path, QUIET).require_recordable()


def test_figures_of_cells_are_drawn_where_some_are_missing(done: GridRun, tmp_path: Path) -> None:
    from train.history.grids import picture

    for cells in ([], [done.held(done.cells[2])], [done.held(cell) for cell in done.cells]):
        picture.save(results.assemble(done.facts, cells), tmp_path / "grid.png")
        assert (tmp_path / "grid.png").read_bytes()[:4] == b"\x89PNG"
    assert np.isfinite(results.interval(done.held(done.cells[0]))).all()


@pytest.mark.slow
def test_two_nets_by_three_optimizers_killed_and_resumed_or_side_by_side_have_the_same_figures(
    tmp_path: Path, capsys, monkeypatch
) -> None:
    """The whole command, by a user's own file: in one piece, killed by a signal and resumed, two at once."""
    monkeypatch.setattr(tuning, "EXTENSIONS", EXTENSIONS)  # as in the processes that are started
    file = str(write(tmp_path))
    assert cli.run(["grid", file, "--workdir", str(tmp_path / "whole")]) == 0
    assert capsys.readouterr().out.count(" rate ") >= 6
    words = [sys.executable, "-m", "train", "grid", file, "--workdir", str(tmp_path / "killed")]
    killed = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    assert killed.stdout is not None
    next(line for line in killed.stdout if line.startswith("2/6 "))
    killed.terminate()
    killed.communicate()
    assert killed.returncode in (128 + signal.SIGTERM, -signal.SIGTERM)  # the latter between two cells
    assert cli.run(words[3:]) == 0
    assert cli.run(["grid", file, "--jobs", "2", "--workdir", str(tmp_path / "jobs")]) == 0
    made = [GridRun(file, tmp_path / name, QUIET) for name in ("whole", "killed", "jobs")]
    for cell in made[0].cells:
        whole, *others = [figures(one.held(cell)) for one in made]
        assert others == [whole, whole]
