"""`zoo grid`: the list of grids, what is printed, bad input in one line."""

from pathlib import Path

import pytest
from repositories import commit_all
from small_grid import FILE, write

from train import cli
from train.history.grids import results


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["yeers"], "unknown grid 'yeers': did you mean years"),
        (["no/such.py"], "no grid file at no/such.py"),
        (["years", "--jobs", "0"], "--jobs must be 1 to "),
        (["years", "--jobs", "99999"], "--jobs must be 1 to "),
        (["years", "--cells", "mlp/1987"], "unknown cell 'mlp/1987': did you mean mlp/"),
    ],
)
def test_a_command_that_cannot_be_is_one_line(words: list[str], line: str, capsys) -> None:
    assert cli.run(["grid", *words]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"zoo: {line}")
    assert error.count("\n") == 1


def test_the_file_of_a_grid_that_is_wrong_is_one_line(tmp_path: Path, capsys) -> None:
    for text, line in (
        ("GRID = 3\n", "mine.py does not define GRID = Grid(...)"),
        (FILE.replace('Variant("momentum"', 'Variant("sgd"'), "the recipe 'sgd' is there twice"),
        (
            FILE.replace('"momentum": 0.9', '"momentum": 2.0'),
            "cells line/momentum, mlp/momentum: optim.momentum must be from 0 to below 1",
        ),
        (FILE.replace('Data("digits", batch=32)', 'Data("folder:nowhere", batch=32)'), "nowhere"),
    ):
        file = write(tmp_path, text)
        assert cli.run(["grid", str(file), "--workdir", str(tmp_path / "runs")]) == 2
        assert line in capsys.readouterr().err
        assert not (tmp_path / "runs").exists()


def test_grids_are_listed_with_what_is_recorded(capsys) -> None:
    assert cli.run(["grid"]) == 0
    listed = capsys.readouterr().out
    assert "6 nets x 6 recipes" in listed
    assert "of 36 cells" in listed


def test_one_cell_is_run_and_recorded_and_the_record_is_printed(tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.setattr(results, "FILE", tmp_path / "results" / "grids.json")
    file = write(tmp_path)
    commit_all(tmp_path)
    assert cli.run(["grid", str(file), "--markdown"]) == 2
    assert "is not recorded: zoo grid " in capsys.readouterr().err
    words = ["grid", str(file), "--cells", "line/sgd", "--record", "--workdir", str(tmp_path / "runs")]
    assert cli.run(words) == 0
    assert "1/1 line/sgd: " in capsys.readouterr().out
    assert not (tmp_path / "runs" / "grids" / "mine" / "grid.png").exists()
    assert cli.run(["grid", str(file), "--markdown"]) == 0
    assert capsys.readouterr().out.startswith("### Two nets by three rules\n")
