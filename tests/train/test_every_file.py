"""Every command that reads a run meets every file of it damaged in every way: one line or an answer, no traceback.

The files are those that a run has, the faults are the same for each, so a file that is new is damaged as soon as a run
has it.
"""

import itertools
import random
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from train import cli

RUNS = {
    "images": "train digits_mlp --steps 4 --eval-every-steps 2 --optim.warmup-steps 0 --model.widths 8",
    "text": (
        "train python_docs_gpt_char_mini --steps 2 --eval-every-steps 1 --optim.warmup-steps 0 --model.width 8 "
        "--model.depth 1 --model.heads 1 --data.length 16 --data.batch 4"
    ),
}
COMMANDS = {
    "images": (
        "eval RUN",
        "eval RUN --checkpoint best",
        "train --resume RUN",
        "train digits_mlp --init-from RUN --model.widths 8 --steps 1 --optim.warmup-steps 0 --workdir other",
        "export RUN w.safetensors",
        "predict PICTURE --weights RUN",
        "probe RUN",
        "ensemble RUN RUN",
        "compress RUN --rank 2",
        "exhibit RUN --into shown",
        "timeline --no-line --no-claims RUN",
    ),
    "text": ("eval RUN", "sample RUN --length 4", "export RUN w.safetensors", "predict the --weights RUN"),
}


def empty(path: Path) -> None:
    path.write_bytes(b"")


def cut_short(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 2 // 3])


def noise(path: Path) -> None:
    path.write_bytes(random.Random(0).randbytes(max(40, path.stat().st_size)))


def flipped(path: Path) -> None:
    content = bytearray(path.read_bytes())
    if content:
        content[len(content) // 2] ^= 0x10
    path.write_bytes(bytes(content))


def other_json(path: Path) -> None:
    path.write_text("[" * 3000 + "]" * 3000 + "\n", encoding="utf-8")


def gone(path: Path) -> None:
    path.unlink()


def folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


EVERY = 7
"""Of all combinations of file, fault and command every seventh is tried, in minutes; 1 tries all, in an hour."""
FAULTS: tuple[Callable[[Path], None], ...] = (empty, cut_short, noise, flipped, other_json, gone, folder)


@pytest.fixture(scope="module", params=RUNS)
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """The kind of a finished run, and its folder."""
    workdir = tmp_path_factory.mktemp("runs")
    assert cli.run([*RUNS[request.param].split(), "--workdir", str(workdir)]) == 0
    (path,) = (config.parent for config in workdir.glob("*/*/config.json"))
    return request.param, path


def files_of(run: Path) -> Iterator[Path]:
    """Yield one file of each kind that a run has: of arrays in a checkpoint the largest."""
    seen = set()
    for path in sorted(run.rglob("*"), key=lambda path: -path.stat().st_size):
        place = re.sub(r"\d+", "N", str(path.relative_to(run)))
        kind = (*Path(place).parts[:3], path.suffix) if "checkpoints" in place else place
        if path.is_file() and kind not in seen and path.name not in (".lock",):
            seen.add(kind)
            yield path.relative_to(run)


@pytest.mark.slow
@pytest.mark.usefixtures("brief_timings")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # of reads that TensorStore abandons
def test_a_damaged_file_is_one_line_or_harmless(
    run: tuple[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    kind, whole = run
    monkeypatch.chdir(tmp_path)
    from PIL import Image

    Image.new("L", (8, 8), 100).save(tmp_path / "picture.png")
    wrong = []
    tried = list(itertools.product(files_of(whole), FAULTS, COMMANDS[kind]))[::EVERY]
    for file, fault, command in tried:
        for left in ("copy", "other", "shown"):
            shutil.rmtree(tmp_path / left, ignore_errors=True)
        path = tmp_path / "copy" / "name" / "time"
        shutil.copytree(whole, path)
        fault(path / file)
        if "--resume" in command:  # as if it had been stopped before its summary
            (path / "summary.json").unlink(missing_ok=True)
        if found := problem(command.replace("RUN", str(path)).replace("PICTURE", "picture.png").split(), capsys):
            wrong.append(f"{found} <- {fault.__name__} {file}: zoo {command}")
    assert len(tried) > 50
    assert not wrong, "\n".join([f"{len(wrong)} of {len(tried)}:", *wrong])


def problem(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """Run a command; return what is wrong with how it ended, or nothing."""
    try:
        code = cli.run(words)
    except Exception as error:
        capsys.readouterr()
        return f"{type(error).__name__}: {error}"[:150]
    said = capsys.readouterr().err
    if code == 0 or (code in (1, 2) and re.fullmatch(r"(?:[^\n]+\n)*zoo: [^\n]+\n", said)):
        return ""
    return f"exit code {code}, {said[-150:]!r}"
