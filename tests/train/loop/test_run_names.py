"""A run with other data than its config's is named after model and data, and still knows its config."""

import dataclasses
import json
import os
from pathlib import Path

import pytest

import train.commands.train
import train.loop.run
from train import cli
from train.config import files, override
from train.data import kinds
from train.history.timeline import exhibits
from train.loop.run import name_of
from zoo.errors import UserError


def named(config: str, data: str, **changes: object) -> str:
    return name_of(config, override(files.load(config), {"data": {"name": data}, **changes}))


@pytest.mark.parametrize(
    ("data", "name"),
    [
        ("digits", "digits_lenet5"),
        ("mnist", "lenet5_on_mnist"),
        ("mnist:3.0.1", "lenet5_on_mnist"),
        ("emnist/balanced", "lenet5_on_emnist_balanced"),
        ("folder:/home/me/pets", "lenet5_on_pets"),
        ("folder:~/my pets (old) v1.2/", "lenet5_on_my-pets-old-v1.2"),
        ("folder:/", "lenet5_on_data"),
        ("npz:a/digits.v2.npz", "lenet5_on_digits.v2"),
        ("csv:table.csv.gz", "lenet5_on_table"),
        ("datasets:owner/cats", "lenet5_on_cats"),
    ],
)
def test_names(data: str, name: str) -> None:
    assert named("digits_lenet5", data) == name


def test_a_folder_that_is_this_one_has_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pets").mkdir()
    monkeypatch.chdir(tmp_path / "pets")
    assert named("digits_lenet5", "folder:.") == "lenet5_on_pets"


def test_what_is_no_other_data_keeps_the_name() -> None:
    assert named("digits_lenet5", "digits", steps=3, seed=4) == "digits_lenet5"
    own = files.load("multi30k_transformer").data.name
    assert named("multi30k_transformer", f"tsv:/home/me/{own.removeprefix('tsv:')}") == "multi30k_transformer"
    assert named("multi30k_transformer", "tsv:/home/me/mine") == "transformer_mini_on_mine"
    assert not kinds.same_set("folder:pets", "folder:cats")
    assert not kinds.same_set("folder:a/pets", "npz:a/pets")
    assert not kinds.same_set("folder:pets", "digits")


def test_the_run_is_found_by_its_name_and_says_how_to_repeat_it(tmp_path: Path, monkeypatch) -> None:
    rows = [f"{i % 2}," + ",".join([str(i % 2 * 200)] * 64) for i in range(60)]
    (tmp_path / "dots.csv").write_text("\n".join(rows) + "\n")
    monkeypatch.setenv("ZOO_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(train.commands.train, "_train", lambda *_: None)
    runs = tmp_path / "runs"
    command = f"train digits_mlp --workdir {runs} --data.name csv:{tmp_path / 'dots.csv'} --data.batch 8"
    assert cli.run(command.split()) == 0
    assert os.listdir(runs) == ["mlp_on_dots"]
    run = train.loop.run.load(runs / "mlp_on_dots")
    assert (run.name, run.config) == ("mlp_on_dots", "digits_mlp")
    (run.path / "summary.json").write_text(json.dumps({"name": run.name, "model": "mlp", "test": {"accuracy": 0.5}}))
    exhibit = exhibits.of_run(run.path)
    assert exhibit.command == f"zoo train digits_mlp --data.name csv:{tmp_path.name}/dots.csv --data.batch 8"
    assert exhibits.read(exhibits.write(exhibit, tmp_path / "exhibits")[-1]).command == exhibit.command
    again = train.loop.run.create(run.name, run.experiment, runs, config=run.config)  # as `zoo extract` does
    assert train.loop.run.load(again.path).config == "digits_mlp"
    usual = train.loop.run.create("digits_mlp", files.load("digits_mlp"), runs, config="digits_mlp")
    assert "config" not in json.loads((usual.path / "config.json").read_text())
    fields = json.loads((run.path / "config.json").read_text())
    (run.path / "config.json").write_text(json.dumps(fields | {"config": 3}))
    with pytest.raises(UserError, match=r"config.json cannot be read: config is no name$"):
        train.loop.run.load(run.path)


def test_what_a_resumed_run_changed_is_no_option_of_its_command(tmp_path: Path) -> None:
    run = tmp_path / "digits_mlp" / "now"
    run.mkdir(parents=True)
    change = {"field": "steps", "from": 10, "to": 20, "at_step": 10}
    fields = dataclasses.asdict(dataclasses.replace(files.load("digits_mlp"), steps=20))
    (run / "config.json").write_text(json.dumps(fields | {"changes": [change]}))
    (run / "summary.json").write_text(json.dumps({"name": "digits_mlp", "model": "mlp", "test": {"accuracy": 0.5}}))
    assert exhibits.of_run(run).command == "zoo train digits_mlp --steps 20"
