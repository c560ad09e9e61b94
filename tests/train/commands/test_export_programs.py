"""`zoo export` of a program: what is wrong is one line before any weights are opened, and nothing is written."""

import sys
from pathlib import Path

import pytest

import zoo
from train import cli

ROOT = Path(__file__).parents[3]
BAD_INPUT = [
    ("nowhere out.safetensors --length 4", "--length is for .stablehlo and .onnx: weights have no texts"),
    ("nowhere out.onnx --length 0", "--length must be at least 1, not 0"),
    ("nowhere out.stablehlo --layout timm", "--layout names the arrays of weights, and out.stablehlo is a program"),
]


def refused(capsys: pytest.CaptureFixture[str], words: str) -> str:
    assert cli.run(["export", *words.split()]) == 2
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    return message


@pytest.mark.parametrize(("words", "message"), BAD_INPUT, ids=[words for words, _ in BAD_INPUT])
def test_options_that_the_file_has_no_use_for_are_refused(
    words: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert message in refused(capsys, words)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("library", ["onnx", "onnxruntime", "jax2onnx"])
def test_a_missing_converter_is_one_line_with_the_command_that_installs_it(
    library: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for other in ("onnx", "onnxruntime", "jax2onnx"):
        monkeypatch.setitem(sys.modules, other, sys)
    monkeypatch.setitem(sys.modules, library, None)
    message = refused(capsys, f"nowhere {tmp_path / 'out.onnx'}")
    assert message == (
        f"zoo: an .onnx file needs {library}: pip install 'zoo-timeline[onnx]' && "
        "pip install --no-deps 'jax2onnx>=0.17.1'\n"
    )


def test_the_note_names_every_family() -> None:
    rows = [line for line in (ROOT / "docs" / "onnx.md").read_text(encoding="utf-8").splitlines() if line[:3] == "| `"]
    assert sorted(row.split("`")[1] for row in rows) == sorted({card.family for card in zoo.CARDS.values()})
