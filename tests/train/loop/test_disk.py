"""What can go wrong with the folder of a run: each is one line, and what was saved before stays readable."""

import gc
import json
import os
import random
import re
import resource
import shutil
import signal
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

import train.loop.run
from train import cli
from train.core import State
from train.loop.checkpoints import Checkpoints, checksum
from train.loop.run import Run
from train.tasks.assemble import assemble
from zoo.errors import UserError

TRAIN = ["train", "digits_mlp", "--model.widths=16", "--steps=12", "--eval-every-steps=6", "--optim.warmup-steps=2"]


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Run:
    """A run of 12 steps; its only checkpoint is that of the last, which is the best too."""
    return train_in(tmp_path_factory.mktemp("finished"))


@pytest.fixture
def run(finished: Run, tmp_path) -> Run:
    """A copy of it to spoil: one that was stopped before it wrote its summary."""
    copy = shutil.copytree(finished.path, tmp_path / "digits_mlp" / "stopped")
    (copy / "summary.json").unlink()
    return Run(copy, finished.experiment)


def train_in(workdir: Path) -> Run:
    assert cli.run([*TRAIN, f"--workdir={workdir}"]) == 0
    return train.loop.run.load(workdir / "digits_mlp")


def the_line(capsys, argv: list[str]) -> str:
    """The one line that the command ends with, having been refused."""
    capsys.readouterr()
    assert cli.run(argv) == 2
    [line] = capsys.readouterr().err.splitlines()
    return line


def last_state(run: Run) -> State:
    return Checkpoints(run.checkpoints, read_only=True).restore(assemble(run.experiment).abstract)[0]


def test_a_disk_that_fills_during_a_checkpoint_keeps_the_older_one(finished: Run, tmp_path, capfd, monkeypatch) -> None:
    """No file may grow past a few kB from the second checkpoint on, which the system reports like a full disk."""
    save, before = Checkpoints.save, resource.getrlimit(resource.RLIMIT_FSIZE)

    def full(checkpoints: Checkpoints, state: State, step: int, *args: Any) -> None:
        if step == 12:
            checkpoints.wait()
            resource.setrlimit(resource.RLIMIT_FSIZE, (4_000, before[1]))
        save(checkpoints, state, step, *args)

    monkeypatch.setattr(Checkpoints, "save", full)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        code = cli.run([*TRAIN, f"--workdir={tmp_path}"])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    run = train.loop.run.load(tmp_path / "digits_mlp")
    kept = f"that of step 6 is kept: zoo train --resume {run.path}"
    assert code == 2
    assert capfd.readouterr().err == f"zoo: the checkpoint of step 12 was not written: File too large; {kept}\n"
    assert int(last_state(run).step) == 6
    monkeypatch.undo()
    assert cli.run(["train", "--resume", str(run.path)]) == 0
    jax.tree.map(np.testing.assert_array_equal, last_state(run), last_state(finished))


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="the system has no disk that is always full")
def test_a_disk_without_room_for_metrics_is_one_line(run: Run, capsys, monkeypatch) -> None:
    lines = (run.path / "metrics.jsonl").rename(run.path / "kept.jsonl")
    (run.path / "metrics.jsonl").symlink_to("/dev/full")
    with pytest.raises(UserError, match="No space left on device"), run:
        run.log(12, "train", 1.0, loss=0.5)
    lines.replace(run.path / "metrics.jsonl")

    def write_to_a_full_disk(_: Path, data: bytes) -> None:
        with open("/dev/full", "wb") as file:
            file.write(data)

    monkeypatch.setattr(Path, "write_bytes", write_to_a_full_disk)
    line = the_line(capsys, ["train", "--resume", str(run.path)])
    assert line == f"zoo: cannot write {run.path / 'metrics.jsonl'}: No space left on device"
    assert not list(run.path.glob("*.part"))


# Reads that TensorStore abandons; collected here, they are not laid at another test's door.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_flipped_bit_is_noticed_or_harmless(run: Run) -> None:
    """Orbax checks no sums over the arrays themselves; some bytes of its file are never read again."""
    sizes = {path: path.stat().st_size for path in (run.checkpoints / "12" / "state").glob("ocdbt.process_0/d/*")}
    largest = max(sizes, key=sizes.get)
    whole, state, noticed, rng = largest.read_bytes(), last_state(run), [], random.Random(0)
    for place in rng.sample(range(len(whole)), 16):
        spoilt = bytearray(whole)
        spoilt[place] ^= 1 << rng.randrange(8)
        largest.write_bytes(spoilt)
        try:
            jax.tree.map(np.testing.assert_array_equal, last_state(run), state)
        except UserError as error:
            noticed.append(str(error))
    assert len(noticed) >= 8
    damaged = rf"checkpoint {run.checkpoints / '12'} is damaged \([^\n]*\): start the run again"
    assert all(re.fullmatch(damaged, line) for line in noticed)
    gc.collect()


@pytest.mark.parametrize("lost", ["state", "extra", "state/d", "state/manifest.ocdbt", "state/_METADATA"])
def test_a_checkpoint_that_is_half_there_is_one_line(run: Run, lost: str, capsys) -> None:
    path = run.checkpoints / "12" / lost
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    for argv in (["train", "--resume", str(run.path)], ["eval", str(run.path)]):
        assert the_line(capsys, argv).startswith(f"zoo: checkpoint {run.checkpoints / '12'} is damaged (")


def test_a_damaged_checkpoint_names_the_one_that_is_left(run: Run, capsys) -> None:
    shutil.copytree(run.checkpoints / "12", run.checkpoints / "6")
    shutil.rmtree(run.checkpoints / "12" / "state")
    line = the_line(capsys, ["train", "--resume", str(run.path)])
    assert line.endswith("): remove that folder to use step 6")


def test_best_and_last_are_kept_and_no_more_when_a_run_is_opened_again(tmp_path) -> None:
    state = State(np.int32(1), {"net": np.ones(3, np.float32)}, {}, {})
    for step, score in enumerate([0.1, 0.9, 0.3, 0.4]):
        checkpoints = Checkpoints(tmp_path)
        checkpoints.save(jax.tree.map(jax.numpy.asarray, state), step, score)
        checkpoints.close()
    assert checkpoints.steps() == [1, 3]


def test_what_a_kill_left_of_a_checkpoint_is_passed_over_and_then_removed(run: Run) -> None:
    shutil.copytree(run.checkpoints / "12", run.checkpoints / "6")
    shutil.rmtree(run.checkpoints / "6" / "extra")
    abstract = assemble(run.experiment).abstract
    checkpoints = Checkpoints(run.checkpoints)
    state, extra = checkpoints.restore(abstract, "best")
    assert int(state.step) == 12
    checkpoints.save(state, 18, extra.score - 0.1)
    checkpoints.close()
    assert checkpoints.steps() == [12, 18]


def test_a_checksum_notices_one_bit_and_words_that_change_places() -> None:
    leaf = np.arange(12, dtype=np.float32).reshape(3, 4)

    def of(array: np.ndarray) -> int:
        return int(checksum(State(np.int32(1), {"net": array}, {}, {})))

    assert of(leaf) == of(leaf.copy())
    assert of(leaf) != of(leaf[::-1])
    bits = leaf.copy().view(np.uint32)
    bits[2, 3] ^= 1 << 31
    assert of(leaf) != of(bits.view(np.float32))


def test_a_run_without_a_checkpoint_resumes_from_its_first_step(finished: Run, run: Run) -> None:
    shutil.rmtree(run.checkpoints)
    assert cli.run(["train", "--resume", str(run.path)]) == 0
    jax.tree.map(np.testing.assert_array_equal, last_state(run), last_state(finished))


def test_a_run_without_a_checkpoint_cannot_be_measured(run: Run, capsys) -> None:
    shutil.rmtree(run.checkpoints)
    assert "holds no finished checkpoint" in the_line(capsys, ["eval", str(run.path)])
    assert not run.checkpoints.exists()


def test_a_run_in_use_is_one_line(run: Run, capsys) -> None:
    with run:
        line = the_line(capsys, ["train", "--resume", str(run.path)])
    assert line == f"zoo: {run.path} is in use by another process"


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is read-only for root")
def test_a_read_only_run_is_one_line(run: Run, capsys) -> None:
    os.chmod(run.path, 0o500)
    try:
        line = the_line(capsys, ["train", "--resume", str(run.path)])
    finally:
        os.chmod(run.path, 0o700)
    assert line == f"zoo: cannot write in {run.path}: Permission denied"


def test_a_read_only_file_system_is_one_line(run: Run, capsys, monkeypatch) -> None:
    def read_only(*_: object, **__: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr("filelock.FileLock.acquire", read_only)
    line = the_line(capsys, ["train", "--resume", str(run.path)])
    assert line == f"zoo: cannot write in {run.path}: Read-only file system"


def test_a_workdir_that_is_a_file_is_one_line(tmp_path, capsys) -> None:
    file = tmp_path / "file"
    file.write_text("mine")
    line = the_line(capsys, [*TRAIN, f"--workdir={file}"])
    assert line.startswith(f"zoo: cannot make {file}/digits_mlp")
    assert line.endswith(": Not a directory")
    assert file.read_text() == "mine"
    workdir = tmp_path / "workdir"
    workdir.mkdir()
    (workdir / "digits_mlp").write_text("mine too")
    line = the_line(capsys, [*TRAIN, f"--workdir={workdir}"])
    assert line.startswith(f"zoo: cannot make {workdir}/digits_mlp")
    assert line.endswith(": Not a directory")


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text[: len(text) // 2],
        lambda text: "[]",
        lambda text: text.replace('"steps"', '"stepz"'),
        lambda text: text.replace('"steps": 12', '"steps": "twelve"'),
        lambda text: text.replace('"optim": {', '"optim": 3, "left": {'),
        lambda text: text.replace('"mlp"', "7"),
        lambda text: text.replace("digits", "\ud800").encode("utf-8", "surrogatepass"),
    ],
    ids=["torn", "a list", "unknown field", "wrong type", "number for a part", "number for a name", "not UTF-8"],
)
def test_a_damaged_config_is_one_line(run: Run, change, capsys) -> None:
    file = run.path / "config.json"
    changed = change(file.read_text())
    file.write_bytes(changed if isinstance(changed, bytes) else changed.encode())
    assert the_line(capsys, ["train", "--resume", str(run.path)]).startswith(f"zoo: {file} cannot be read: ")


def test_a_config_that_was_changed_by_hand_is_checked_like_any_other(run: Run, capsys) -> None:
    fields = json.loads((run.path / "config.json").read_text())
    (run.path / "config.json").write_text(json.dumps(fields | {"model": {"name": "mlp", "fields": {"widths": [17]}}}))
    line = the_line(capsys, ["train", "--resume", str(run.path)])
    assert "is of another model or config: " in line
    assert "is (16, 10) in the checkpoint, (17, 10) in the config" in line


@pytest.mark.parametrize("what", ["nothing", "file", "folder", "finished"])
def test_a_folder_that_cannot_be_resumed_is_one_line(finished: Run, what: str, tmp_path, capsys) -> None:
    path = tmp_path / what
    if what == "file":
        path.write_text("")
    elif what == "folder":
        path.mkdir()
    elif what == "finished":
        path = finished.path
    line = the_line(capsys, ["train", "--resume", str(path)])
    expected = {
        "nothing": f"no run folder at {path}",
        "file": f"no run folder at {path}",
        "folder": f"{path} is not a run folder: it has no config.json",
        "finished": f"{path} is finished: nothing to resume (zoo eval measures it, --steps N trains longer)",
    }
    assert line == f"zoo: {expected[what]}"
