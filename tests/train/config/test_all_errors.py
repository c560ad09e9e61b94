"""All that is wrong with one config is told in one message, a line for each field; a single error stays one line."""

import pytest

import zoo
from train import cli
from train.config import Adversarial, Data, Experiment, Model, Optim, Text, override
from train.tasks.check import check
from zoo.errors import Errors, UserError, UserErrors


def lines(command: str, capsys, tmp_path, monkeypatch) -> list[str]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "tfds"))
    assert cli.run(command.split()) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert not list(tmp_path.iterdir())
    return err.splitlines()


def test_unknown_options_and_words_that_are_no_numbers(capsys, tmp_path, monkeypatch) -> None:
    command = "train digits_mlp --steps ten --a wrong --optim.nam adam --data.batch 0 --data.name minst --seed 1"
    said = lines(command, capsys, tmp_path, monkeypatch)
    assert said[0] == "zoo: 5 errors:"
    assert said[1] == "  --steps must be a whole number, not 'ten'"
    assert said[2].startswith("  Unrecognized options: --a, wrong")
    assert said[3].startswith("  Unrecognized options: --optim.nam, adam: did you mean --optim.name")
    assert said[4] == "  data.batch must be at least 1, not 0"
    assert said[5].startswith("  unknown data set 'minst': did you mean mnist")
    assert len(said) == 6


def test_values_that_are_out_of_range(capsys, tmp_path, monkeypatch) -> None:
    command = (
        "train digits_mlp --steps 0 --seed -1 --optim.lr -1 --optim.momentum 3 --data.labels 2 "
        "--data.augment wobble flap --data.name folder:x --init-from nowhere --task.label-smoothing 1"
    )
    said = lines(command, capsys, tmp_path, monkeypatch)
    assert said[0] == "zoo: 10 errors:"
    fields = ("steps", "seed", "optim.lr", "optim.momentum", "data.labels=2.0", "task.label_smoothing", "init_from")
    for text in (*fields, "unknown data.augment 'wobble'", "unknown data.augment 'flap'", "folder:x: there is no such"):
        assert sum(line.startswith(f"  {text}") for line in said) == 1, text


def test_fields_of_a_model_are_judged_together_and_then_one_by_one(capsys, tmp_path, monkeypatch) -> None:
    said = lines("train digits_vit --model.depth -3 --model.patch a --steps x", capsys, tmp_path, monkeypatch)
    assert said[1:] == [
        "  --steps must be a whole number, not 'x'",
        "  vit: depth must be a positive integer, not -3",
        "  --model.patch must be a whole number, not 'a'",
    ]
    # 5 heads are only possible with this width: no error of the model.
    said = lines("train digits_vit --model.heads 5 --model.width 20 --steps x", capsys, tmp_path, monkeypatch)
    assert said == ["zoo: --steps must be a whole number, not 'x'"]
    said = lines("train digits_vit --model.heads 2 --model.width 5 --steps x", capsys, tmp_path, monkeypatch)
    assert len(said) == 3
    said = lines("train digits_mlp --model.name rsnet --model.depth 4 --steps x", capsys, tmp_path, monkeypatch)
    assert len(said) == 3
    assert said[1].startswith("  unknown model 'rsnet': did you mean resnet")


def test_what_contradicts_is_told_beside_what_is_impossible() -> None:
    experiment = Experiment(Model("mlp"), Data("digits", fold=(5, 2)), seed=-1, patience=3)
    experiment = override(experiment, {"data": {"batch": 0}, "optim": {"final_lr": 0.5}})
    with pytest.raises(UserErrors) as caught:
        check(experiment)
    assert [str(error).split()[0] for error in caught.value.errors] == [
        *("data.batch", "seed", "data.fold", "optim.final_lr"),
    ]


def test_nothing_is_told_that_only_follows_from_another_error() -> None:
    """With 0 steps every number of steps is too large, and no task can be posed on other data."""
    with pytest.raises(UserError, match=r"^steps must be at least 1, not 0$"):
        check(Experiment(Model("mlp"), Data("digits"), Optim(warmup_steps=5), steps=0))
    with pytest.raises(UserError, match=r"^the task 'adversarial' needs a set of images, and python_docs is text$"):
        check(Experiment(Model("gan"), Text("python_docs"), task=Adversarial()))


def test_settings_of_a_sweep() -> None:
    with pytest.raises(UserErrors, match=r"optim.lr must be a number above 0, not -1.0\n.*optim.b1 must be") as caught:
        check(Experiment(Model("mlp"), Data("digits"), sweep=("optim.lr=-1,0.1", "optim.b1=0.5,3")))
    assert len(caught.value.errors) == 2


def test_fields_from_json_and_from_python() -> None:
    with pytest.raises(UserErrors) as caught:
        override(Experiment(Model("mlp"), Data("digits")), {"stps": 3, "seed": "x", "optim": {"nam": 1, "lr": "y"}})
    assert [str(error).partition(":")[0] for error in caught.value.errors] == [
        *("unknown field 'stps'", "seed cannot be 'x'", "optim", "optim.lr cannot be 'y'"),
    ]
    with pytest.raises(UserErrors, match=r"2 errors:\n  mlp: widths must be .*\n  mlp: dropout must be"):
        zoo.create("mlp", widths=(-3,), dropout=2.0)
    with pytest.raises(UserErrors, match=r"unknown field 'width'.*\n.*unknown field 'drop'"):
        zoo.create("mlp", width=(3,), drop=2.0)


def test_one_error_stays_itself_and_a_bug_stays_a_bug() -> None:
    errors, only = Errors(), UserError("one")
    for _ in range(2):
        with errors.kept():
            raise only
    with errors.kept():
        raise KeyError("follows from it")
    with pytest.raises(UserError) as caught:
        errors.report()
    assert caught.value is only
    with pytest.raises(KeyError), Errors().kept():
        raise KeyError("a bug")
