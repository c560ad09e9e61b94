"""Search: what a space may be, trials are what `zoo train` would give, a killed process loses no trial but its own."""

import dataclasses
import json
import os
import shlex
import signal
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

optuna = pytest.importorskip("optuna", reason="the extra `search` is not installed")

import train.loop.run  # noqa: E402
from train import cli  # noqa: E402
from train.commands.train import TrainOptions  # noqa: E402
from train.config import (  # noqa: E402
    Data,
    Experiment,
    Model,
    Optim,
    files,
)
from train.config.fields import changed  # noqa: E402
from train.config.parse import parse_experiment  # noqa: E402
from train.core.signals import Stopped, Watch  # noqa: E402
from train.loop.fit import fit  # noqa: E402
from train.loop.restore import assemble_run  # noqa: E402
from train.studies.search import folder as folders  # noqa: E402
from train.studies.search import picture, report  # noqa: E402
from train.studies.search.folder import About, Folder, Worker, counts  # noqa: E402
from train.studies.search.samplers import distribution, make_pruner, make_sampler  # noqa: E402
from train.studies.search.space import read, require_replicas  # noqa: E402
from train.studies.search.study import Search  # noqa: E402
from train.studies.search.trainer import Trainer  # noqa: E402
from train.tasks.assemble import assemble  # noqa: E402
from zoo.errors import UserError  # noqa: E402

SMALL = Experiment(
    model=Model("mlp", {"widths": (8,)}),
    data=Data("digits", batch=32),
    optim=Optim("momentum", lr=0.01),
    steps=12,
    eval_every_steps=4,
)
LINE = ["digits_mlp", "--model.widths", "8", "--steps", "12", "--eval-every-steps", "4", "--optim.warmup-steps", "1"]
RATES = ("optim.lr=log:1e-3..1e-1",)


def begun(path, space=RATES, experiment=SMALL, trials=4, batch=1, **about) -> Folder:
    about = About("digits_mlp", space, **({"sampler": "random", "pruner": "none"} | about))
    made = Folder(train.loop.run.create("digits_mlp", experiment, path), about, trials, batch, "accuracy")
    made.write()
    return made


def searched(folder: Folder) -> optuna.Study:
    return Search(folder, lambda study, now: None).run()


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--trials", "0"], "--trials must be at least 1, not 0"),
        (["--batch", "0"], "--batch must be at least 1, not 0"),
        (["--sweep", "optim.lr=1,2"], "--sweep: a search chooses its settings itself"),
        (["--folds", "2"], "--folds: a search scores its trials on one validation split"),
        (["--data.validation", "0"], "a search scores trials on validation"),
        (["--data.placement", "stream", "--batch", "2"], "a streamed data set has one order of examples"),
    ],
)
def test_a_search_that_cannot_be_is_one_line_and_exit_code_2(words, line, tmp_path, capsys) -> None:
    assert cli.run(["search", *LINE, "--workdir", str(tmp_path), "--space", *RATES, *words]) == 2
    assert line in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_what_shapes_arrays_cannot_be_a_batch_and_halfway_scores_need_one_length(tmp_path, capsys) -> None:
    with pytest.raises(
        UserError, match=r"--batch: data.batch changes the arrays or the program, so trials that differ"
    ):
        require_replicas(read(SMALL, ("optim.lr=0.1|0.2", "data.batch=16|32")))
    require_replicas(read(SMALL, ("optim.lr=0.1|0.2", "optim.momentum=0..0.9")))
    assert cli.run(["search", *LINE, "--workdir", str(tmp_path), "--space", "steps=int:4..12"]) == 2
    assert "cannot be compared halfway: --pruner none" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_gaussian_processes_say_what_they_need(monkeypatch, tmp_path, capsys) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert cli.run(["search", *LINE, "--workdir", str(tmp_path), "--space", *RATES, "--sampler", "gp"]) == 2
    assert "needs PyTorch, which is not installed: pip install torch" in capsys.readouterr().err


def test_the_best_trial_is_what_its_command_gives_and_test_is_not_touched(tmp_path, capsys, monkeypatch) -> None:
    def without_test(experiment, folder=None):
        parts = assemble_run(experiment, folder)

        def evaluator(split, mesh):
            assert split == "validation"
            return parts.evaluator(split, mesh)

        return dataclasses.replace(parts, evaluator=evaluator)

    monkeypatch.setattr("train.studies.search.study.assemble_run", without_test)
    words = ["--workdir", str(tmp_path), "--trials", "5", "--batch", "3", "--pruner", "none", "--seeds", "2"]
    space = ["--space", *RATES, "optim.weight_decay=0..0.1"]
    assert cli.run(["search", *LINE, *words, *space]) == 0
    said = capsys.readouterr().out
    (path,) = (tmp_path / "search" / "digits_mlp").iterdir()
    best = json.loads((path / "best.json").read_text())["best"]
    assert best["command"] in said
    assert {name for name in ("history.png", "importance.png") if (path / name).read_bytes()[:4] == b"\x89PNG"} == {
        "history.png",
        "importance.png",
    }
    line = shlex.split(best["command"])
    assert line[:3] == ["zoo", "train", "digits_mlp"]
    assert cli.run([*line[1:], "--workdir", str(tmp_path / "again")]) == 0
    (again,) = (tmp_path / "again" / "digits_mlp").iterdir()
    assert train.loop.run.load(again).experiment.optim.lr == best["setting"]["optim.lr"]
    validation = train.loop.run.read_summary(again).validation
    assert validation["loss"] == pytest.approx(best["validation"]["loss"], rel=1e-3)
    assert validation["accuracy"] == pytest.approx(best["score"], abs=2e-3)
    trials = folders.load(path).study().get_trials()
    assert trials[0].params == {"optim.lr": 2e-3, "optim.weight_decay": 0}  # the config's own comes first
    assert best["score"] == max(trial.value for trial in trials)
    assert len(trials) == 5


@pytest.mark.slow
def test_a_search_goes_on_where_the_same_command_is_given_again(tmp_path, capsys) -> None:
    line = ["search", *LINE, "--workdir", str(tmp_path), "--pruner", "none", "--space", *RATES]
    assert cli.run([*line, "--trials", "1"]) == 0
    assert cli.run([*line, "--trials", "3"]) == 0
    (path,) = (tmp_path / "search" / "digits_mlp").iterdir()
    assert "1 of 3 trials are there" in capsys.readouterr().out
    assert cli.run(["search", "--resume", str(path), "--trials", "4"]) == 0
    assert folders.load(path).ended() == 4
    other = ["search", "digits_mlp", "--model.widths", "9", *LINE[3:], "--folder", str(path), "--space", *RATES]
    assert cli.run([*other, "--pruner", "none"]) == 2
    assert "is the search of another config: model.fields.widths is (8,) there, (9,) here" in capsys.readouterr().err
    assert cli.run(["search", *LINE, "--folder", str(path), "--space", *RATES]) == 2
    assert "pruner is none there, median here" in capsys.readouterr().err
    assert cli.run(["search", "--resume", str(tmp_path)]) == 2
    assert f"no search folder at {tmp_path}" in capsys.readouterr().err


def test_a_search_does_not_go_on_with_other_data(tmp_path, capsys) -> None:
    """Its scores would be of two data sets, and the best of them that of the easier one."""
    root, place = tmp_path / "images", tmp_path / "found"

    def fill(name: str, first: int) -> None:
        (root / name).mkdir(parents=True, exist_ok=True)
        for i in range(first, first + 24):
            pixels = np.random.default_rng(i).integers(0, 256, (8, 8), dtype=np.uint8)
            Image.fromarray(pixels).save(root / name / f"{i}.png")

    fill("apple", 0)
    fill("cherry", 100)
    data = ["--data.name", f"folder:{root}", "--data.batch", "8", "--folder", str(place)]
    line = ["search", *LINE, *data, "--pruner", "none", "--space", *RATES, "data.batch=4|8"]
    assert cli.run([*line, "--trials", "1"]) == 0
    assert cli.run([*line, "--trials", "2"]) == 0
    fill("apple", 50)
    capsys.readouterr()
    for again in ([*line, "--trials", "3"], ["search", "--resume", str(place), "--trials", "3"]):
        assert cli.run(again) == 2
        said = capsys.readouterr().err.strip().splitlines()[-1]
        assert f"{place} cannot go on: train has " in said
        assert said.endswith("or search it anew in another --folder")
    assert folders.load(place).ended() == 2
    (place / folders.DATA).unlink()  # a search of before kept none
    assert cli.run([*line, "--trials", "3"]) == 0
    assert (place / folders.DATA).is_file()


HOLDER = """
import sys, time
from pathlib import Path
from train.studies.search import folder as folders
from train.studies.search.samplers import distribution
from train.studies.search.space import read
there = folders.load(Path(sys.argv[1]))
space = {s.name: distribution(s) for s in read(there.experiment, there.about.space)}
with folders.Worker(there, there.study(), space, {}) as worker:
    print(len(worker.ask(2)), flush=True)
    time.sleep(600)
"""


def test_trials_of_a_killed_process_neither_count_nor_block(tmp_path) -> None:
    folder = begun(tmp_path, trials=3, batch=2)
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(folder.path)], stdout=subprocess.PIPE, env=os.environ)
    try:
        assert holder.stdout.readline() == b"2\n"
        with Worker(folder, folder.study(), _space(folder), {}) as worker:
            assert len(worker.ask(3)) == 1  # the other two are in living hands
    finally:
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        holder.stdout.close()
    study = searched(folder)
    states = [trial.state.name for trial in study.get_trials()]
    assert states[:3] == ["FAIL"] * 3
    assert states[3:] == ["COMPLETE"] * 3
    assert folder.ended() == 3
    assert not list((folder.path / "processes").iterdir())
    with open(folder.path / "journal.log", "a") as file:
        file.write('{"op_code": 4, "torn')
    assert folders.load(folder.path).ended() == 3


def _space(folder: Folder):
    return {space.name: distribution(space) for space in read(folder.experiment, folder.about.space)}


@pytest.mark.slow
def test_shapes_differ_one_after_the_other_and_an_impossible_trial_counts(tmp_path) -> None:
    space = ("model.widths=8|6,4", "data.batch=16|5000", "optim.lr=0.01|0.1")
    folder = begun(tmp_path, space, trials=6, sampler_seed=2)
    study = searched(folder)
    trials = study.get_trials()
    assert len(trials) == 6
    too_large = [trial for trial in trials if trial.params["data.batch"] == "5000"]
    assert 0 < len(too_large) < 6
    for trial in trials:
        if trial in too_large:
            assert "data.batch 5000 is larger than" in trial.user_attrs["impossible"]
        else:
            assert 0 < trial.value <= 1
    found = report.summary(folder, study)
    assert found["trials"] == {"complete": 6 - len(too_large), "pruned": 0, "diverged": 0, "impossible": len(too_large)}
    assert {trial.params["model.widths"] for trial in trials} == {"8", "6,4"}


def test_a_trial_given_up_or_diverged_changes_no_other() -> None:
    trainer = Trainer(SMALL, assemble(SMALL))
    rates = [{"optim.lr": lr} for lr in (0.01, 0.02, 1e30, 0.03)]
    seen = []

    def report(trial: int, step: int, score: float) -> bool:
        seen.append((trial, step))
        return trial in (0, 3)

    _, kept, gone, _ = outcomes = trainer.train(rates, report, Watch())
    assert [outcome.pruned for outcome in outcomes] == [4, None, None, 4]
    assert 0 < gone.diverged <= 4
    assert seen == [(0, 4), (1, 4), (3, 4), (1, 8), (1, 12)]
    (alone,) = trainer.train([rates[1]], lambda *_: False, Watch())
    assert alone.step == kept.step == 12
    assert alone.validation == pytest.approx(kept.validation, rel=1e-3)
    compiled = set(trainer.programs)
    trainer.train([rates[0]], lambda *_: False, Watch())
    assert set(trainer.programs) == compiled  # another setting compiles nothing


def test_pruners_give_up_what_lies_below_the_median() -> None:
    study = optuna.create_study(direction="maximize", pruner=make_pruner("median", SMALL))
    for _ in range(5):
        trial = study.ask()
        for step in (4, 8, 12):
            trial.report(0.5, step)
        study.tell(trial, 0.5)
    poor, good = study.ask(), study.ask()
    poor.report(0.4, 4)
    good.report(0.6, 4)
    assert (poor.should_prune(), good.should_prune()) == (True, False)
    halving = make_pruner("hyperband", SMALL)
    assert (halving._min_resource, halving._max_resource) == (4, 12)
    assert type(make_sampler("gp", 0)).__name__ == "GPSampler"


def test_ctrl_c_gives_trials_back(tmp_path, monkeypatch) -> None:
    folder = begun(tmp_path, trials=4)

    class Asked(Watch):
        """Asks to stop in the second trial."""

        looks = 0

        @property
        def received(self) -> int | None:
            Asked.looks += 1
            return 15 if Asked.looks > 4 else None

        @received.setter
        def received(self, value: int | None) -> None: ...

    with monkeypatch.context() as patch:
        patch.setattr("train.studies.search.study.Watch", Asked)
        with pytest.raises(Stopped, match="stopped after 1 of 4 trials; go on with: zoo search --resume") as stopped:
            searched(folder)
    assert stopped.value.code == 143
    study = folder.study()
    assert [trial.state.name for trial in study.get_trials()] == ["COMPLETE", "FAIL"]
    assert sum(map(counts, searched(folder).get_trials())) == 4


def test_the_pictures_show_every_trial(tmp_path) -> None:
    folder = begun(tmp_path, ("optim.lr=log:1e-3..1e-1", "optim.momentum=0..0.9"), trials=6, batch=6)
    study = searched(folder)
    (axes,) = picture.history(folder, study).axes
    drawn = {line.get_label(): line.get_ydata() for line in axes.lines}
    values = [trial.value for trial in study.get_trials()]
    np.testing.assert_allclose(drawn["complete"], values)
    np.testing.assert_allclose(drawn["best so far"], np.maximum.accumulate(values))
    bars, *slices = picture.fields(folder, study).axes
    assert sum(bar.get_width() for bar in bars.patches) == pytest.approx(1)
    assert {axes.get_xlabel() for axes in slices} == {"optim.lr", "optim.momentum"}


def test_the_command_names_all_that_differs_from_the_config(tmp_path) -> None:
    changed = files.load("digits_mlp")
    changed = dataclasses.replace(changed, steps=7, optim=dataclasses.replace(changed.optim, warmup_steps=0))
    folder = begun(tmp_path, ("model.widths=8|6,4",), changed)
    trial = optuna.trial.create_trial(
        params={"model.widths": "6,4"},
        distributions={"model.widths": optuna.distributions.CategoricalDistribution(("8", "6,4"))},
        value=1.0,
    )
    line = report.command(folder, trial)
    assert line == "zoo train digits_mlp --model.widths 6 4 --optim.warmup-steps 0 --steps 7"


@pytest.mark.parametrize("sampler", ["random", "tpe"])
def test_processes_that_share_a_search_draw_different_trials(tmp_path, sampler) -> None:
    """Each opens the search before any has asked, as processes do that start together."""
    folder = begun(tmp_path, trials=8, sampler=sampler)
    workers = [Worker(folders.load(folder.path), folder.study(), _space(folder), {}) for _ in range(4)]
    for worker in workers:
        worker.__enter__()
    drawn = [tuple(trial.params.values()) for _ in range(2) for worker in workers for trial in worker.ask(1)]
    assert len(set(drawn)) == len(drawn) == 8
    again = begun(tmp_path / "again", trials=8, sampler=sampler)
    with Worker(again, again.study(), _space(again), {}) as worker:
        alone = [tuple(trial.params.values()) for _ in range(8) for trial in worker.ask(1)]
    assert alone == drawn
    for worker in workers:
        worker.__exit__()


def test_a_trial_with_patience_is_what_its_command_keeps(tmp_path) -> None:
    """A trial was scored after its last step, where `zoo train` keeps the best State: 93.71 % there, 89.51 % by it."""
    impatient = dataclasses.replace(SMALL, steps=24, eval_every_steps=2, patience=2, seeds=2)
    steps: list[tuple[int, int]] = []
    outcomes = Trainer(impatient, assemble(impatient)).train(
        [{"optim.lr": lr} for lr in (0.3, 1e30, 0.5)],
        lambda trial, step, score: bool(steps.append((trial, step))),
        Watch(),
    )
    swept = dataclasses.replace(impatient, sweep=("optim.lr=0.3,0.5",))
    kept = fit(train.loop.run.create("swept", swept, tmp_path), assemble_run(swept), Console(quiet=True))
    stops = [replica.stopped_at_step for replica in kept.replicas]
    assert max(stops) < 24  # or the test sees nothing
    assert outcomes[1].diverged is not None
    for trial, setting, last in ((0, kept.settings[0], max(stops[:2])), (2, kept.settings[1], max(stops[2:]))):
        assert outcomes[trial].score == pytest.approx(setting.validation["accuracy"], abs=1e-6)
        assert max(step for number, step in steps if number == trial) == last


def test_a_search_over_folds_is_one_line() -> None:
    with pytest.raises(UserError, match="a search scores trials on one validation split, not on folds"):
        Trainer(dataclasses.replace(SMALL, folds=3), assemble(SMALL))


def test_the_command_of_another_model_has_its_fields() -> None:
    """`zoo train digits_vit --model.name mlp` trained another network than the trial's, which was 16 wide."""
    before = files.load("digits_vit")
    words = ["--model.name", "mlp", "--model.widths", "16", "--optim.clip-norm", "None"]
    after = dataclasses.replace(before, model=Model("mlp", {"widths": (16,)}))
    assert changed(before, after) == words[:4]
    before = dataclasses.replace(before, optim=dataclasses.replace(before.optim, clip_norm=1.0))
    assert changed(before, after) == words
    assert parse_experiment(words, prog="zoo train", default=before, options=TrainOptions)[0] == after
