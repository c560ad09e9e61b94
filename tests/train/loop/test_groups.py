"""Examples in groups: a run on scenes counts the right scenes of each digit, and its intervals are over digits."""

import io
import json
from pathlib import Path

import jax
import numpy as np
import pytest
from rich.console import Console
from rich.table import Table

import train.loop.run
import zoo
from train import cli
from train.commands.extract import extract
from train.commands.tables import comparison
from train.config import Data, Experiment, Model, Optim, Scenes
from train.data.scenes import sets
from train.data.scenes.export import export
from train.history.timeline import cells, exhibits, rows, words
from train.history.timeline.comparison import compare
from train.loop.fit import fit
from train.loop.groups import Groups
from train.loop.run import Run
from train.loop.summary import Summary
from train.metrics.evaluation import Measure
from train.metrics.statistics import grouped_interval, wilson
from train.tasks.assemble import assemble
from zoo.files import parse_json, with_checksum

DATA = Scenes(images=64, batch=32)
EXPERIMENT = Experiment(Model("perceptron"), DATA, Optim("sgd", lr=0.1), steps=4, eval_every_steps=4, seeds=2)


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run of two seeds."""
    run = train.loop.run.create("scenes", EXPERIMENT, tmp_path_factory.mktemp("two"))
    fit(run, assemble(EXPERIMENT), Console(quiet=True))
    return run


@pytest.fixture(scope="module")
def one(two: Run, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Its second seed, as a run of its own."""
    return extract(two, 1, tmp_path_factory.mktemp("one"))


def without_counts(run: Run, folder: Path) -> Path:
    """Copy a run as it was before its summary had counts."""
    path = folder / "scenes" / run.path.name
    path.mkdir(parents=True)
    content = parse_json((run.path / "summary.json").read_bytes())
    del content["test_groups"], content["checksum"]
    (path / "summary.json").write_text(json.dumps(with_checksum(content)))
    (path / "config.json").write_bytes((run.path / "config.json").read_bytes())
    return path


def test_the_counts_of_all_digits_add_up_to_the_accuracy(two: Run, one: Run) -> None:
    summary, alone = train.loop.run.read_summary(two.path), train.loop.run.read_summary(one.path)
    assert summary
    assert summary.groups
    assert alone
    assert alone.groups
    _, sizes = np.unique(sets.shown(DATA, "test"), return_counts=True)
    assert summary.groups.examples == tuple(sizes) == (14,) * 359
    for replica, right in zip(summary.replicas, summary.groups.right, strict=True):
        assert sum(right) / 5026 == pytest.approx(replica.test["accuracy"], abs=1e-9)
    assert alone.groups.right == (summary.groups.right[1],)
    found, own = summary.interval(), alone.interval()
    assert found
    assert own
    assert found[:2] == grouped_interval(summary.groups.right, summary.groups.examples)
    assert (found.over, own.over) == ("359 digits and 2 seeds", "359 digits")
    low, high = wilson(alone.test["accuracy"], 5026)
    assert own.high - own.low > 1.2 * (high - low)


def test_validation_of_several_replicas_has_an_interval_over_digits_too(two: Run, one: Run) -> None:
    summary, alone = train.loop.run.read_summary(two.path), train.loop.run.read_summary(one.path)
    assert summary
    assert summary.validation_groups
    assert alone
    assert alone.validation_groups is None  # no interval of it is shown
    assert summary.validation_groups.examples == (14,) * 143
    for replica, right in zip(summary.replicas, summary.validation_groups.right, strict=True):
        assert sum(right) / 2002 == pytest.approx(replica.validation["accuracy"], abs=1e-9)
    found = summary.interval(split="validation")
    assert found
    assert found.over == "143 digits and 2 seeds"
    assert found[:2] == grouped_interval(summary.validation_groups.right, summary.validation_groups.examples)


def test_the_table_of_several_seeds_says_what_both_intervals_are_over(two: Run) -> None:
    summary = train.loop.run.read_summary(two.path)
    assert summary
    intervals = {split: [summary.interval(split=split)] for split in ("validation", "test")}
    require_both_intervals(summary, text_of(comparison(summary.settings, "examples", intervals=intervals)))


def test_eval_of_several_seeds_counts_both_splits_again(
    two: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    summary = train.loop.run.read_summary(two.path)
    assert summary
    assert cli.run(["eval", str(two.path), "--out", str(tmp_path)]) == 0
    require_both_intervals(summary, capsys.readouterr().out)


def text_of(table: Table) -> str:
    console = Console(file=io.StringIO(), width=120)
    console.print(table)
    return console.file.getvalue()  # pyright: ignore[reportAttributeAccessIssue]


def require_both_intervals(summary: Summary, text: str) -> None:
    text = " ".join(text.split())
    assert "validation accuracy: 95 % interval over 143 digits and 2 seeds (bootstrap)" in text
    assert "test accuracy: 95 % interval over 359 digits and 2 seeds (bootstrap)" in text
    for split in ("validation", "test"):
        found = summary.interval(split=split)
        assert found
        assert f"{100 * found.low:.2f} % to {100 * found.high:.2f} %" in text


def test_the_counts_are_those_of_each_digit_however_the_split_is_read(two: Run) -> None:
    """In batches from memory or from a reader, with the last one padded; against the predictions of each scene."""
    setup = assemble(EXPERIMENT)
    state = setup.task.init(jax.random.key(0))
    scene = sets.composed(DATA, "test")
    assert setup.task.predict
    logits = setup.task.predict(state, {"x": scene.image, "y": scene.label})
    right = np.asarray(logits).argmax(-1) == scene.label
    wanted = [int(right[scene.glyph == glyph].sum()) for glyph in np.unique(scene.glyph)]
    for placement in ("device", "stream"):
        data = Scenes(images=64, batch=32, placement=placement)
        measure = assemble(Experiment(EXPERIMENT.model, data, EXPERIMENT.optim, steps=4)).evaluator("test", None)
        means, counts = measure.by_group(state)
        assert counts.tolist() == wanted
        assert means["accuracy"] == pytest.approx(right.mean())


def test_exported_scenes_have_the_interval_of_those_that_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ZOO_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(sets, "SHOWN_EACH", 2)  # fewer files
    export(Scenes(images=64), tmp_path / "scenes")
    counted = []
    for data in (DATA, Data(f"folder:{tmp_path / 'scenes'}", batch=32)):
        setup = assemble(Experiment(EXPERIMENT.model, data, EXPERIMENT.optim, steps=4))
        measure = setup.evaluator("test", None)
        assert isinstance(measure, Measure)
        assert measure.by_group
        _, right = measure.by_group(setup.task.init(jax.random.key(0)))
        counted.append(Groups("", measure.group_sizes, (tuple(right.tolist()),)).interval([0]))
    ours, theirs = counted
    assert ours == theirs
    assert ours.groups == 359


def test_a_run_on_a_users_own_groups_names_groups_and_not_digits_or_wilson(two: Run, tmp_path: Path) -> None:
    path = tmp_path / "own" / two.path.name
    path.mkdir(parents=True)
    content = parse_json((two.path / "summary.json").read_bytes())
    del content["checksum"]
    content |= {"dataset": "folder:own/patients"}
    content["test_groups"]["of"] = "groups"
    (path / "summary.json").write_text(json.dumps(with_checksum(content)))
    (path / "config.json").write_bytes((two.path / "config.json").read_bytes())
    (row,) = rows.gather([path])
    exhibit = exhibits.of_run(path)
    exhibits.write(exhibit, tmp_path)
    exhibit = exhibits.read(tmp_path / "scenes.json")
    assert (row.low, row.high) == (exhibit.grouped["low"], exhibit.grouped["high"])
    assert rows.interval_note([row]) == "Interval: bootstrap, 95 %, over 359 groups and 2 seeds."
    facts = cells.exhibit_facts(exhibit, words.load("en"))[0].facts
    accuracy = next(fact.value for fact in facts if fact.what == "Accuracy")
    assert accuracy.endswith("over 359 groups and 2 seeds)")
    (compared,) = compare([exhibit, exhibit], zoo.CARDS)
    assert [(entry.low, entry.high) for entry in compared.entries] == [(row.low, row.high)] * 2
    note = cells.comparison_note(compared, words.load("en"))
    assert "over 359 groups and 2 seeds. Examples of one group are right or wrong together" in note
    assert "digit" not in note


def test_summary_json_has_a_line_for_each_list_of_counts(two: Run) -> None:
    text = (two.path / "summary.json").read_text()
    assert len(text.splitlines()) < 200


def test_timeline_page_and_text_name_the_digits_and_not_wilson(two: Run, one: Run) -> None:
    found = rows.gather([two.path, one.path])
    for row, run in zip(found, (two, one), strict=True):
        summary = train.loop.run.read_summary(run.path)
        assert summary
        assert (row.low, row.high) == summary.interval()[:2]
    assert rows.interval_note(found) == "Interval: bootstrap, 95 %, over 359 digits and 2 seeds or 359 digits."
    assert rows.interval_note(found[1:]).endswith("359 digits. Each run has one seed: the interval excludes the "
                                                  "spread over seeds.")  # fmt: skip
    shown = [exhibits.of_run(run.path) for run in (two, one)]
    (compared,) = compare(shown, zoo.CARDS)
    assert [(entry.low, entry.high) for entry in compared.entries] == [(row.low, row.high) for row in found]
    for language in words.languages():
        note = cells.comparison_note(compared, words.load(language))
        assert "359" in note
        assert "5,026" not in note
    facts = cells.exhibit_facts(shown[0], words.load("en"))[0].facts
    accuracy = next(fact.value for fact in facts if fact.what == "Accuracy")
    assert accuracy.endswith("over 359 digits and 2 seeds)")


def test_an_exhibit_keeps_the_interval(two: Run, tmp_path: Path) -> None:
    exhibit = exhibits.of_run(two.path)
    exhibits.write(exhibit, tmp_path)
    assert exhibits.read(tmp_path / "scenes.json").grouped == exhibit.grouped
    assert set(exhibit.grouped) == {"low", "high", "groups", "seeds"}


def test_a_run_on_scenes_without_counts_has_no_interval(two: Run, one: Run, tmp_path: Path) -> None:
    paths = [without_counts(run, tmp_path / str(number)) for number, run in enumerate((two, one))]
    found = rows.gather(paths)
    assert [(row.low, row.high) for row in found] == [(None, None)] * 2
    assert all(row.accuracy is not None for row in found)
    assert rows.interval_note(found) == ""
    shown = [exhibits.of_run(path) for path in paths]
    (compared,) = compare(shown, zoo.CARDS)
    assert [(entry.low, entry.high) for entry in compared.entries] == [(None, None)] * 2
    said = [cells.exhibit_facts(exhibit, words.load("en"))[0].facts[0].value for exhibit in shown]
    assert not [value for value in said if "interval" in value]
    assert "ntervals" not in cells.comparison_note(compared, words.load("en"))


def test_eval_and_compare_say_what_the_interval_is_over(
    two: Run, one: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(["eval", str(one.path), "--out", str(tmp_path)]) == 0
    summary = train.loop.run.read_summary(one.path)
    assert summary
    interval = summary.interval()
    assert interval
    said = f"{100 * interval.low:.2f} % to {100 * interval.high:.2f} %"
    printed = " ".join(capsys.readouterr().out.split())
    assert said in printed
    assert "95 % interval over 359 digits (bootstrap)" in printed
    assert cli.run(["compare", str(two.path), str(one.path)]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert said in printed
    assert "over 359 digits and 2 seeds or 359 digits (bootstrap)" in printed
    assert cli.run(["compare", str(two.path), str(one.path), "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert content["runs"][1]["test_interval"]["accuracy"]["low"] == interval.low


@pytest.mark.parametrize(
    "change",
    [
        {"right": [[1, 2]]},
        {"right": [[1, 2, 15]]},
        {"right": [[1, 2, -1]]},
        {"right": [[1, 2, True]]},
        {"right": [[1, 2, 3]] * 2},
        {"right": "1 2 3"},
        {"examples": [14, 14, 0]},
        {"examples": []},
        {"of": 3},
    ],
)
def test_damaged_counts_are_none(change: dict[str, object]) -> None:
    sound = {"of": "digits", "examples": [14, 14, 14], "right": [[1, 2, 3]]}
    assert Groups.from_json(sound, 1) == Groups("digits", (14, 14, 14), ((1, 2, 3),))
    assert Groups.from_json(sound | change, 1) is None
    assert Groups.from_json(None, 1) is None
