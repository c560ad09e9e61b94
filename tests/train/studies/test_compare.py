"""`zoo compare`: the figures and curves that runs left, what differs in their configs, and what cannot be compared."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import train.loop.run
import zoo
from train import cli
from train.config import Classify, Data, Experiment, Model, Optim, QLearning, Text, World
from train.config.replicas import members
from train.loop.run import Run
from train.loop.summary import Summary, replica_results, setting_results
from train.studies.compare import compare, differences
from zoo.errors import UserError

PLAIN = Experiment(Model("mlp", {"widths": (16,)}), Data("digits"), Optim("momentum", lr=0.1), steps=30)


def made(folder: Path, experiment: Experiment = PLAIN, *, finished: bool = True, **changes: Any) -> Run:
    """Write the folder of a run with three evaluations, in which replica r has an accuracy that is r/100 higher."""
    experiment = dataclasses.replace(experiment, **changes)
    run = train.loop.run.create("made", experiment, folder)
    replicas = members(experiment)
    lines = []
    for step, accuracy in ((10, 0.5), (20, 0.9), (30, 0.8)):
        for split in ("train", "validation"):
            each = {"accuracy": [accuracy + r / 100 for r in range(len(replicas))], "loss": [1.0] * len(replicas)}
            means = {name: sum(values) / len(values) for name, values in each.items()}
            more = {"replicas": each} if len(replicas) > 1 else {}
            lines.append({"step": step, "split": split, "seconds": 1.0, **means, **more})
    run.write_metrics(lines)
    if finished:
        results = [{"accuracy": 0.7 + r / 100, "loss": 1.0, "count": 10} for r in range(len(replicas))]
        found = replica_results(replicas, results, results, {}, [])
        settings = setting_results(found, lambda means: means["accuracy"])
        best = next(setting for setting in settings if setting.best)
        facts = {"model": experiment.model.name, "params": 1234, "seconds": 5.0, "device": "a device"}
        run.summarize(Summary(test=best.test, settings=settings, replicas=found, **facts))
    return run


def test_the_best_validation_is_that_of_its_step_and_of_the_best_setting(tmp_path: Path) -> None:
    plain = made(tmp_path)
    swept = made(tmp_path, seeds=2, sweep=("optim.lr=0.1,0.2",))
    found = compare([plain, swept])
    assert [entry.best for entry in found.entries] == [(20, 0.9), (20, pytest.approx(0.925))]
    value, spread = found.entries[1].on_test("accuracy")
    assert value == pytest.approx(0.725)
    assert spread is not None
    assert spread.deviation == pytest.approx(0.00707, abs=1e-5)
    assert found.differences == {"seeds": [1, 2], "sweep": [[], ["optim.lr=0.1,0.2"]]}


def test_a_constant_that_is_that_of_the_card_is_no_difference() -> None:
    same = dataclasses.replace(PLAIN, optim=dataclasses.replace(PLAIN.optim, momentum=0.9))
    other = dataclasses.replace(PLAIN, model=Model("lenet5"), optim=dataclasses.replace(PLAIN.optim, momentum=0.5))
    assert differences([PLAIN, same]) == {}
    found = differences([PLAIN, other])
    assert found["optim.momentum"] == [0.9, 0.5]
    assert found["model"] == ["mlp", "lenet5"]
    assert found["model.widths"] == [[16], "–"]


def test_the_config_of_every_model_can_be_compared() -> None:
    experiments = [dataclasses.replace(PLAIN, model=Model(name)) for name in zoo.CARDS]
    json.dumps(differences(experiments))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"data": Data("digits", split_seed=1)}, "different examples (data.split_seed): compare them on test"),
        ({"folds": 2}, "different examples (folds)"),
        ({"data": Data("digits", image_size=12)}, "measured on other examples or inputs (data.image_size)"),
        ({"task": Classify(loss="mse")}, "losses cannot be compared (task.loss)"),
        ({"task": Classify(label_smoothing=0.1)}, "losses of training cannot be compared (task.label_smoothing)"),
        ({"finished": False}, "not finished, so without test: made/"),
    ],
)
def test_what_cannot_be_compared_is_said(changes: dict[str, Any], said: str, tmp_path: Path) -> None:
    found = compare([made(tmp_path), made(tmp_path, **changes)])
    assert said in "; ".join(found.remarks)


def test_losses_of_other_tokens_are_told_apart(tmp_path: Path) -> None:
    plain = dataclasses.replace(PLAIN, model=Model("bert_tiny"), data=Text("python_docs/topic"))
    other = dataclasses.replace(plain, data=dataclasses.replace(plain.data, vocab=100))
    found = compare([made(tmp_path, plain), made(tmp_path, other)])
    assert "the tokens differ (data.vocab)" in found.remarks[0]


def test_agents_that_are_judged_otherwise_are_told_apart(tmp_path: Path) -> None:
    plain = dataclasses.replace(PLAIN, model=Model("dqn_mlp"), data=World("CartPole-v1"), task=QLearning())
    other = dataclasses.replace(plain, task=QLearning(eval_epsilon=0.5), data=World("CartPole-v1", time_limit=20))
    found = compare([made(tmp_path, plain), made(tmp_path, other)])
    assert "the runs are judged in other ways (task.eval_epsilon, data.time_limit)" in found.remarks


def test_other_data_other_tasks_and_one_run_alone_are_refused(tmp_path: Path) -> None:
    run = made(tmp_path)
    with pytest.raises(UserError, match="at least two runs"):
        compare([run])
    with pytest.raises(UserError, match="is given twice"):
        compare([run, train.loop.run.load(run.path)])
    with pytest.raises(UserError, match="its data are mnist, and those of the other digits"):
        compare([run, made(tmp_path, data=Data("mnist"))])
    contrast = train.config.Contrast()
    with pytest.raises(UserError, match="its task is contrast, and that of the other classify"):
        compare([run, made(tmp_path, task=contrast)])


def test_the_command_prints_draws_and_writes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = [str(made(tmp_path, seed=seed).path) for seed in (0, 1)]
    picture, out = tmp_path / "curves.png", tmp_path / "compared.json"
    assert cli.run(["compare", *runs, "--picture", str(picture), "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    for part in ("classify on digits", "1,234", "90.00 %", "70.00 %", "a device", "seed", f"written: {picture}"):
        assert part in printed
    with Image.open(picture) as image:
        assert image.width > 800
    assert cli.run(["compare", *runs, "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert content == json.loads(out.read_text(encoding="utf-8"))
    assert content["runs"][0]["best_validation"] == {"step": 20, "accuracy": 0.9}
    assert content["differences"] == {"seed": [0, 1]}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("--picture {tmp}/a.jpg", "--picture must end with .png, not 'a.jpg'"),
        ("--picture {tmp}/no/a.png", "no folder"),
        ("--out {tmp}", "is a folder"),
        ("nowhere", "no run folder at nowhere"),
    ],
)
def test_bad_input_is_one_line(options: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["compare", str(made(tmp_path).path), *options.format(tmp=tmp_path).split()]) == 2
    assert said in capsys.readouterr().err
