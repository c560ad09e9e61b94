"""`Scenes` as a kind of `Data`: the command line, config.json, the ways of learning, and what is said of two runs."""

import dataclasses
import json

import pytest

import train.data
from train.config import Adversarial, Contrast, Data, Experiment, Model, QLearning, Scenes, Text, World, override
from train.config.data import of_name
from train.config.fields import changed
from train.config.parse import parse_experiment
from train.config.ways import way_of
from train.data import record
from train.studies import compare
from train.studies.compare import differences
from train.studies.judge.classifier import experiment_for
from train.tasks.check import check
from zoo.errors import UserError

DIGITS = Experiment(Model("mlp"), Data("digits", batch=64, augment=("shift_1",)))


@dataclasses.dataclass(frozen=True)
class NoOptions:
    """A command without options of its own."""


def parsed(*words: str, default: Experiment = DIGITS) -> Data | Text | World:
    return parse_experiment(words, prog="zoo train CONFIG", default=default, options=NoOptions)[0].data


def test_a_name_on_the_command_line_brings_the_fields_of_its_kind() -> None:
    found = parsed("--data.name", "scenes", "--data.preset", "hard", "--data.images", "None", "--data.batch", "8")
    assert found == Scenes(batch=8, augment=("shift_1",), preset="hard", images=None)
    assert parsed("--data.name=scenes/classify") == Scenes(batch=64, augment=("shift_1",))
    scenes = dataclasses.replace(DIGITS, data=found)
    assert parsed("--data.size", "20", default=scenes) == dataclasses.replace(found, size=20)
    assert parsed("--data.name", "digits", default=scenes) == Data("digits", batch=8, augment=("shift_1",))
    with pytest.raises(UserError, match=r"unknown data\.preset 'hrd': did you mean hard"):
        parsed("--data.name", "scenes", "--data.preset", "hrd")
    with pytest.raises(UserError, match=r"Unrecognized options: --data\.preset"):
        parsed("--data.preset", "hard")


@pytest.mark.parametrize(
    ("words", "data", "said"),
    [
        (
            "--data.preset hard",
            Data("digits"),
            "only scenes have data.preset, and these are digits: --data.name scenes",
        ),
        (
            "--data.name mnist --data.images 5",
            Data("digits"),
            "only scenes have data.images, and these are mnist: --data.name scenes",
        ),
        ("--data.preset hard", Text("python_docs"), "data.preset is for a set of images, and python_docs is text"),
        ("--data.tokenizer char", Scenes(), "data.tokenizer is for text, and scenes is a set of images"),
        (
            "--data.time-limit 3",
            Data("digits"),
            "data.time_limit is for an environment, and digits is a set of images",
        ),
        ("--data.split-sed 3", Data("digits"), "did you mean --data.split-seed or --data.split-by?"),
    ],
)
def test_a_field_of_another_kind_of_data_is_said_to_be_one(words: str, data: Data, said: str) -> None:
    with pytest.raises(UserError) as error:
        parsed(*words.split(), default=dataclasses.replace(DIGITS, data=data))
    option, value = words.split()[-2:]
    assert str(error.value) == f"Unrecognized options: {option}, {value}: {said}"


def test_a_run_on_scenes_is_told_by_what_differs_from_the_defaults_of_scenes() -> None:
    on_scenes = dataclasses.replace(DIGITS, data=of_name(DIGITS.data, "scenes"))
    assert changed(DIGITS, on_scenes) == ["--data.name", "scenes"]
    hard = dataclasses.replace(on_scenes, data=dataclasses.replace(on_scenes.data, preset="hard", batch=8))
    assert changed(DIGITS, hard) == ["--data.name", "scenes", "--data.batch", "8", "--data.preset", "hard"]
    assert changed(on_scenes, hard) == ["--data.batch", "8", "--data.preset", "hard"]
    assert changed(hard, DIGITS) == ["--data.name", "digits", "--data.batch", "64"]
    assert parsed(*changed(DIGITS, hard)) == hard.data


def test_a_config_that_is_written_is_read_back() -> None:
    experiment = Experiment(Model("mlp"), Scenes(size=24, images=None, pieces=2))
    fields = json.loads(json.dumps(dataclasses.asdict(experiment)))["data"]
    assert override(Experiment(Model(""), Data("")), {"data": fields}).data == experiment.data
    assert override(DIGITS, {"data": {"name": "scenes"}}).data == of_name(DIGITS.data, "scenes")
    assert override(experiment, {"data": {"batch": 5}}).data == dataclasses.replace(experiment.data, batch=5)


def test_every_way_that_learns_from_images_learns_from_scenes() -> None:
    for task in (DIGITS.task, Contrast(), Adversarial()):
        way = way_of(task)
        assert way.setup_for(Scenes()) is way.setup_for(Data("digits"))
    with pytest.raises(UserError, match="needs an environment, and scenes is a set of images"):
        way_of(QLearning()).require(Scenes())


def test_what_cannot_be_is_said_before_anything_is_composed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("train.data.scenes.sets._blocks", None)
    for fields, said in {
        ("folds", 3): "folds would show a glyph on both sides; data.split_seed holds out other glyphs",
        ("data", Scenes(size=8)): "data.size must be at least 16 pixels, not 8",
        ("data", Scenes("scenes/boxes")): "unknown view of scenes 'boxes': choose from classify",
        ("data", Scenes(pieces=99)): "data.pieces must be from 0 to 5, not 99",
    }.items():
        experiment = Experiment(Model("mlp"), Scenes())
        with pytest.raises(UserError) as error:
            check(dataclasses.replace(experiment, **dict([fields])))
        assert str(error.value).startswith(said)
        assert "\n" not in str(error.value)


def test_the_record_of_a_run_names_generator_preset_size_and_split() -> None:
    known = record.of_images(train.data.load(Scenes(images=20, split_seed=3, preset="easy", pieces=1)))
    assert (known.name, known.version) == ("scenes", "1-easy-1pieces-16px-split3")
    assert known.splits["train"].examples == 20
    other = record.of_images(train.data.load(Scenes(images=20, split_seed=4, preset="easy", pieces=1)))
    assert other.splits["test"] == known.splits["test"]
    assert known.changed(other, "train", "validation") == ["train has other examples", "validation has other examples"]


def test_runs_on_other_scenes_differ_in_what_comparisons_warn_of() -> None:
    fields = differences([Experiment(Model("mlp"), data) for data in (Scenes(), Scenes(preset="hard", images=500))])
    assert set(fields) == {"data.preset", "data.images"}
    assert "data.preset" in compare.ON_TEST
    assert "data.images" in compare.SPLITTING


def test_the_judge_of_generated_scenes_is_trained_on_those_scenes() -> None:
    data = experiment_for(Scenes(size=20, preset="hard", pieces=2, images=None, split_seed=5)).data
    assert data == Scenes(size=20, preset="hard", pieces=2, batch=128, image_size=32, split_seed=5)
