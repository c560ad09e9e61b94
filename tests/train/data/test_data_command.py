import io
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from train.commands import data
from train.data.tfds import prepare
from zoo.errors import UserError


def console() -> Console:
    return Console(file=io.StringIO(), width=400)


def test_show_lists_what_is_there_and_what_can_be_had(make: Callable, tmp_path: Path) -> None:
    make()
    folder, _ = make("mnist")
    (folder / "dataset_info.json").write_text("{")
    out = console()
    data.show(out)
    text = out.file.getvalue()
    here, had = text.split("To be had")
    assert "1,797" in here
    assert "composed from real digits" in here
    assert "40 train, 10 test" in here
    assert "5x4x3, 3 classes" in here
    assert f"damaged (JSONDecodeError): delete {folder}" in here
    assert "fashion_mnist" in had
    assert "│ mnist " not in had
    assert str(tmp_path / "tfds") in had


def test_show_imports_nothing_that_reads_records() -> None:
    program = (
        "import io, sys; from rich.console import Console; from train.commands import data; "
        "data.show(Console(file=io.StringIO())); "
        "print([name for name in ('tensorflow_datasets', 'grain', 'sklearn', 'array_record') if name in sys.modules])"
    )
    assert subprocess.check_output([sys.executable, "-c", program], text=True).strip() == "[]"


def test_prepare_says_how_to_go_on(make: Callable, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    folder, _ = make("emnist/letters")
    monkeypatch.setattr(prepare, "prepare", lambda name, data_dir: folder)
    out = console()
    data.prepare("emnist/letters", None, out)
    assert f"{folder} is ready: 40 train, 10 test" in out.file.getvalue()
    assert "--data.name emnist/letters" in out.file.getvalue()
    assert "export" not in out.file.getvalue()
    monkeypatch.setenv("TFDS_DATA_DIR", "/elsewhere")
    data.prepare("emnist/letters", tmp_path / "tfds", out)
    assert f"export TFDS_DATA_DIR={tmp_path / 'tfds'}" in out.file.getvalue()
    with pytest.raises(UserError, match="digits needs no preparation"):
        data.prepare("digits", None, out)
