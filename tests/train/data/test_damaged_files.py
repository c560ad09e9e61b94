"""Damaged files of every kind: one line that names the file, or the fault is passed over and said."""

import io
import json
import shutil
import struct
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rich.console import Console
from safetensors.numpy import save_file

import train.loop.run
from train import cli
from train.config import Data, Experiment, Model, Optim
from train.data import cache, decode
from train.data.text import tokenizers
from train.history.timeline import exhibits
from train.loop.fit import fit
from train.loop.run import Run
from train.tasks.assemble import assemble
from zoo.errors import UserError
from zoo.files import file_name, parse_json
from zoo.weights.files import open_path

EXPERIMENT = Experiment(
    Model("mlp", {"widths": (16,)}), Data("digits", batch=32), Optim("sgd"), steps=12, eval_every_steps=12
)


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Run:
    run = train.loop.run.create("digits_mlp", EXPERIMENT, tmp_path_factory.mktemp("finished"))
    fit(run, assemble(EXPERIMENT), Console(quiet=True))
    return run


@pytest.fixture
def run(finished: Run, tmp_path) -> Path:
    return shutil.copytree(finished.path, tmp_path / "digits_mlp" / "run")


def huge_png(side: int = 50_000) -> bytes:
    """The header of a PNG with so many pixels a side, and no pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"\0" * 64)) + chunk(b"IEND", b"")


def broken_png() -> bytes:
    box = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (20, 20, 3), np.uint8)).save(box, "PNG")
    return box.getvalue()[:-60]


@pytest.mark.parametrize("content", [huge_png(), broken_png(), b"\x89PNG\r\n\x1a\n", b"II*\0" + b"\xff" * 40])
def test_an_image_that_pillow_refuses_is_one_line(content: bytes, tmp_path, capsys) -> None:
    with pytest.raises(UserError, match="x cannot be read as an image"), decode.reading("x"):
        decode.decode(content, 3)
    for label in "ab":
        (tmp_path / "set" / label).mkdir(parents=True)
        (tmp_path / "set" / label / "x.png").write_bytes(content)
    argv = ["train", "digits_mlp", f"--data.name=folder:{tmp_path / 'set'}", f"--workdir={tmp_path}"]
    assert cli.run(argv) == 2
    assert f"{tmp_path / 'set' / 'a' / 'x.png'} cannot be read as an image" in capsys.readouterr().err


@pytest.mark.parametrize("content", [huge_png(), broken_png()])
def test_a_broken_picture_of_a_run_is_one_line(run: Path, content: bytes, tmp_path, capsys, monkeypatch) -> None:
    (run / "samples").mkdir(exist_ok=True)
    (run / "samples" / "growth.png").write_bytes(content)
    assert cli.run(["exhibit", str(run), "--into", str(tmp_path / "kept")]) == 2
    assert "growth.png cannot be read as a picture" in capsys.readouterr().err
    monkeypatch.setattr("train.history.timeline.page.write_page", lambda *args, **options: tmp_path)
    monkeypatch.setattr("train.commands.timeline.as_written", lambda path: True)
    assert cli.run(["timeline", "--no-line", "--workdir", str(run.parents[1])]) == 0
    assert "left out of the page: " in capsys.readouterr().out


def test_a_summary_that_is_no_text_leaves_the_other_runs_on_the_page(run: Path, tmp_path, capsys, monkeypatch) -> None:
    other = shutil.copytree(run, run.with_name("stun"))
    (other / "summary.json").write_bytes(b"\xff\xfe{}")
    monkeypatch.setattr("train.history.timeline.page.write_page", lambda shown, *args, **options: shown[0].name)
    monkeypatch.setattr("train.commands.timeline.as_written", lambda path: True)
    assert cli.run(["timeline", "--no-line", "--workdir", str(run.parents[1])]) == 0
    out = capsys.readouterr().out
    assert out.splitlines()[0].startswith(f"left out of the page: {other / 'summary.json'}: not JSON: ")
    assert "page: digits_mlp" in out


@pytest.mark.parametrize(
    ("argv", "blocked"),
    [
        ("exhibit RUN --into HERE/kept", "kept"),
        ("exhibit RUN --into HERE/kept/deep", "kept"),
        ("timeline --no-line --workdir HERE", "timeline"),
        ("claim xor --workdir HERE", "claims"),
        ("claim xor --workdir HERE", "claims/xor"),
        ("compress RUN --out HERE/kept/small", "kept"),
        ("train digits_mlp --workdir HERE", "digits_mlp"),
        ("search digits_mlp --space optim.lr=1e-3..1e-1 --workdir HERE", "search"),
    ],
)
def test_a_file_in_the_way_is_one_line(argv: str, blocked: str, run: Path, tmp_path, capsys, monkeypatch) -> None:
    """It is there in place of a folder; a read-only folder gives the same line with another reason."""
    here = tmp_path / "here"
    file = here / blocked
    file.parent.mkdir(parents=True)
    file.write_text("mine")
    monkeypatch.setattr("train.history.claims.claim_run.ClaimRun.run", lambda *_: pytest.fail("it ran"))
    words = [word.replace("RUN", str(run)).replace("HERE", str(here)) for word in argv.split()]
    assert cli.run(words) == 2
    [line] = [line for line in capsys.readouterr().err.splitlines() if not line.endswith("starting JAX")]
    assert str(file) in line
    assert line.endswith(("Not a directory", "File exists", "is a file"))
    assert file.read_text() == "mine"


DEEP = "[" * 5000 + "]" * 5000


@pytest.mark.parametrize(
    ("key", "value", "line"),
    [
        ("steps", DEEP, "it has more than 64 levels"),
        ("model", '{"name": "mlp", "fields": {"widths": ' + "[" * 100 + "]" * 100 + "}}", "it has more than 64 levels"),
        ("steps", "1" + "0" * 5000, "steps cannot be inf"),
        ("steps", "1" + "0" * 30, "steps cannot be 1e+30"),
        ("model", '{"name": "mlp", "fields": 3}', "model.fields cannot be 3"),
        ("model", '{"name": "mlp", "fields": {"name": 3}}', "model.fields: unknown field 'name'"),
        ("task", '{"name": []}', "unknown task '[]'"),
    ],
)
def test_an_odd_config_is_one_line(run: Path, key: str, value: str, line: str, capsys) -> None:
    fields = json.loads((run / "config.json").read_text()) | {key: "HERE"}
    (run / "config.json").write_text(json.dumps(fields).replace('"HERE"', value))
    assert cli.run(["eval", str(run)]) == 2
    assert capsys.readouterr().err.splitlines()[-1].startswith(f"zoo: {run / 'config.json'} cannot be read: {line}")


def test_json_that_would_fail_later_is_refused() -> None:
    assert parse_json('{"a": [1, 2.5, NaN, 1000000000000000019884624838656]}')["a"][3] == 1e30
    for text in (DEEP, '"\\ud800"', "[" * 65 + "]" * 65):
        with pytest.raises(ValueError, match=r"levels|surrogates"):
            parse_json(text)


def test_damaged_lines_of_metrics_are_left_out_and_counted(run: Path, capsys) -> None:
    file = run / "metrics.jsonl"
    whole = file.read_text().splitlines()
    spoilt = [
        whole[0].replace('"step"', '"stdp"'),
        whole[0].replace('"train"', "5"),
        whole[0][:-9],
        "[1]",
        whole[0].replace('"seconds": ', '"seconds": null, "x": '),
    ]
    file.write_text("\n".join([whole[0], *spoilt, *whole[1:]]) + '\n{"step": 3, "sp')
    assert train.loop.run.read_metrics(run) == [json.loads(line) for line in whole]
    assert capsys.readouterr().err == f"zoo: {file}: 5 of {len(whole) + 5} lines are damaged and left out\n"
    (run / "summary.json").unlink()
    assert cli.run(["train", "--resume", str(run)]) == 0
    assert "5 of 8 lines are damaged and left out" in capsys.readouterr().err
    assert len(train.loop.run.read_metrics(run)) == len(whole)
    assert capsys.readouterr().err == ""


def npz(path: Path, *, method: int = 0, flags: int = 0) -> Path:
    """An npz file whose entries claim another compression method, or flags such as the bit of encryption."""
    np.savez(path, stamp=np.array("x"), weight=np.zeros((3, 3), np.float32))
    content = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        places = [(entry.header_offset + 6, entry.header_offset + 8) for entry in archive.infolist()]
    start = content.find(b"PK\x01\x02")
    while start >= 0:
        places.append((start + 8, start + 10))
        start = content.find(b"PK\x01\x02", start + 1)
    for flag, kind in places:
        content[flag] |= flags
        content[kind] = method if method else content[kind]
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("how", [{"method": 98}, {"flags": 1}])
def test_an_npz_that_cannot_be_unpacked_is_one_line(how: dict[str, int], tmp_path, monkeypatch) -> None:
    path = npz(tmp_path / "weights.npz", **how)
    with pytest.raises(UserError, match=r"weights\.npz is damaged: "):
        open_path(path)
    monkeypatch.setenv("ZOO_CACHE_DIR", str(tmp_path / "cache"))
    for _ in range(2):  # a damaged cache is built again
        assert cache.cached("set", [1], lambda: {"x": np.ones(2)})["x"].tolist() == [1, 1]
        [file] = (tmp_path / "cache").rglob("*.npz")
        npz(file, **how)


def test_arrays_of_eight_bits_are_one_line(tmp_path) -> None:
    save_file({"w": np.zeros((4,), np.uint8)}, tmp_path / "f8.safetensors")
    content = (tmp_path / "f8.safetensors").read_bytes()
    size = struct.unpack("<Q", content[:8])[0]
    header = content[8 : 8 + size].replace(b'"U8"', b'"F8_E4M3"').rstrip()
    (tmp_path / "f8.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + content[8 + size :])
    with pytest.raises(UserError, match=r"f8\.safetensors: w is F8_E4M3, which NumPy does not have"):
        open_path(tmp_path / "f8.safetensors")


def test_an_index_of_no_shards_is_one_line(tmp_path) -> None:
    (tmp_path / "model.safetensors.index.json").write_text('{"weight_map": {}}')
    with pytest.raises(UserError, match="is an index of no arrays: its weight_map is empty"):
        open_path(tmp_path)


@pytest.mark.parametrize(("words", "line"), [("a\nb\n", "cannot encode a word that it lacks"), ("", "holds no tokens")])
def test_a_vocabulary_that_cannot_encode_every_text_is_one_line(words: str, line: str, tmp_path) -> None:
    (tmp_path / "vocab.txt").write_text(words)
    with pytest.raises(UserError, match=rf"vocab\.txt {line}"):
        tokenizers.read(tmp_path / "vocab.txt")


@pytest.mark.parametrize("name", ["", ".", "..", "../x", "/x", "a/b", "a\\b", "C:x", "a\nb", "\x1b[2J"])
def test_a_name_that_leads_elsewhere_is_no_file_name(name: str, run: Path, tmp_path, capsys) -> None:
    with pytest.raises(UserError, match="the name must be a file name without a folder, not "):
        file_name(name, "the name")
    content = json.loads((run / "summary.json").read_text())
    del content["checksum"]  # as whoever changes it by hand is told to
    (run / "summary.json").write_text(json.dumps(content | {"name": name}))
    into = tmp_path / "deep" / "kept"
    if not name:  # then it is the name of the run's folder
        return
    assert cli.run(["exhibit", str(run), "--into", str(into)]) == 2
    assert "the name of an exhibit must be a file name" in capsys.readouterr().err
    assert not (tmp_path / "deep").exists()


def test_the_name_of_an_exhibit_is_its_files_name(run: Path, tmp_path) -> None:
    files = exhibits.write(exhibits.of_run(run), tmp_path / "kept")
    assert {file.parent for file in files} == {tmp_path / "kept"}
    assert files[-1].name == "digits_mlp.json"


@pytest.mark.parametrize(("name", "digit"), [("summary.json", '"steps": 12'), ("data.json", '"examples": 359')])
def test_a_digit_that_changed_is_no_other_result(run: Path, name: str, digit: str, tmp_path, capsys) -> None:
    """Without the checksum, as older versions wrote it and as the message says, what is there counts."""
    path = run / name
    text = path.read_text()
    assert digit in text
    path.write_text(text.replace(digit, digit[:-1] + "7"))
    commands = {
        "summary.json": (["exhibit", str(run), "--into", str(tmp_path / "kept")], ["train", "--resume", str(run)]),
        "data.json": (["eval", str(run)],),
    }
    for command in commands[name]:
        assert cli.run(command) == 2
        assert f'{path} is not what was written: restore it from a copy, or remove "checksum" from' in (
            capsys.readouterr().err
        )
    content = json.loads(path.read_text())
    del content["checksum"]
    path.write_text(json.dumps(content))
    assert cli.run(commands[name][0]) == 0
    path.write_text(json.dumps(dict(sorted(json.loads(text).items()))))  # written again in another order
    assert cli.run(commands[name][0]) == 0
