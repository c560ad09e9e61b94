"""The journal of a search: damage is one line that names it, and never gives other trials."""

import json
import random
import signal
from pathlib import Path

import pytest

optuna = pytest.importorskip("optuna", reason="the extra `search` is not installed")

from optuna.distributions import FloatDistribution  # noqa: E402

import train.loop.run  # noqa: E402
from train import cli  # noqa: E402
from train.config import Data, Experiment, Model  # noqa: E402
from train.studies.search import report  # noqa: E402
from train.studies.search.folder import About, Folder, Worker, unfinished  # noqa: E402
from zoo.errors import UserError  # noqa: E402
from zoo.files import writing  # noqa: E402

EXPERIMENT = Experiment(Model("mlp", {"widths": (8,)}), Data("digits", batch=32), steps=12, eval_every_steps=4)
ABOUT = About("digits_mlp", ("optim.lr=log:1e-3..1e-1",), "random", "none")


@pytest.fixture
def folder(tmp_path) -> Folder:
    """A search whose four trials ended, without a report."""
    run = train.loop.run.create("digits_mlp", EXPERIMENT, tmp_path / "search")
    made = Folder(run, ABOUT, 4, 1, "accuracy")
    made.write()
    study = made.study()
    space = {"optim.lr": FloatDistribution(1e-3, 1e-1, log=True)}
    with Worker(made, study, space, {}) as worker:
        while asked := worker.ask(1):
            asked[0].set_user_attr("validation", {"accuracy": 0.5})
            study.tell(asked[0], 0.5 + asked[0].number / 10)
    return made


def trials(folder: Folder) -> list[object]:
    return [(trial.number, trial.params, trial.value, trial.user_attrs) for trial in folder.study().trials]


def test_a_flipped_bit_is_one_line_or_changes_nothing(folder: Folder) -> None:
    journal, rng = folder.path / "journal.log", random.Random(0)
    whole, before = journal.read_bytes(), trials(folder)
    noticed: list[tuple[int, str]] = []
    for _ in range(100):
        changed = bytearray(whole)
        place = rng.randrange(len(whole) - 1)  # without the last line end an unfinished line is removed
        changed[place] ^= 1 << rng.randrange(8)
        journal.write_bytes(changed)
        try:
            assert trials(folder) == before
        except UserError as error:
            noticed.append((whole[:place].count(b"\n") + 1, str(error)))
    assert len(noticed) >= 90
    for line, message in noticed:  # where a line end is damaged, that is seen in the next line
        assert any(message.startswith(f"{journal}: line {near} is damaged (") for near in (line, line + 1))


def test_an_older_journal_is_read_and_its_damage_is_one_line(folder: Folder, capsys) -> None:
    """Its lines have no checksums, so only what Optuna cannot read is noticed."""
    journal, before = folder.path / "journal.log", trials(folder)
    lines = [json.loads(line) for line in journal.read_text().splitlines()]
    for line in lines:
        del line["checksum"]
    journal.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert trials(folder) == before
    number = next(i for i, line in enumerate(lines) if line["op_code"] == 5)
    lines[number]["op_codf"] = lines[number].pop("op_code")
    journal.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert cli.run(["search", "--resume", str(folder.path)]) == 2
    line = capsys.readouterr().err.splitlines()[-1]
    assert line.startswith(f"zoo: {journal}: line {number + 1} is damaged (KeyError: 'op_code'): ")


def test_a_search_without_its_report_is_gone_on_with(folder: Folder, tmp_path) -> None:
    """Killed between its last trial and best.json: the same command writes the report and trains nothing anew."""
    place = tmp_path / "search" / "digits_mlp"
    found = unfinished(place, EXPERIMENT, ABOUT, 4)
    assert found is not None
    assert found.path == folder.path
    report.write(found, report.summary(found, found.study()))
    assert unfinished(place, EXPERIMENT, ABOUT, 4) is None
    assert unfinished(place, EXPERIMENT, ABOUT, 5) is not None


def test_a_damaged_search_is_not_passed_over_in_silence(folder: Folder, tmp_path, capsys) -> None:
    journal = folder.path / "journal.log"
    journal.write_bytes(journal.read_bytes().replace(b'"trial_id":1', b'"trial_id":2', 1))
    assert unfinished(tmp_path / "search" / "digits_mlp", EXPERIMENT, ABOUT, 5) is None
    assert f"zoo: {journal}: line " in capsys.readouterr().err


def test_a_disk_without_room_for_the_journal_is_one_line(folder: Folder) -> None:
    """No file may grow any more, which the system reports like a full disk."""
    resource = pytest.importorskip("resource")
    study, before = folder.study(), resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, ((folder.path / "journal.log").stat().st_size, before[1]))
    try:
        with pytest.raises(UserError, match=r"cannot write .*journal\.log: File too large"):
            study.ask()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert len(trials(folder)) == 4


def test_a_journal_that_cannot_be_written_is_one_line(folder: Folder) -> None:
    (folder.path / "journal.log").unlink()
    (folder.path / "journal.log").mkdir()
    with pytest.raises(UserError, match=r"cannot read .*journal\.log: Is a directory"):
        folder.study()
    with pytest.raises(UserError, match="cannot write x: "), writing(Path("x")):
        raise PermissionError(13, "Permission denied")
