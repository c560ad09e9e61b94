"""Replicas: many seeds and settings in one run, each what it would be alone, and one taken out as an ordinary run."""

import dataclasses
import json
import math
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import jax
import numpy as np
import pytest
from interruption import Interruption
from rich.console import Console

import train.config.schema
import train.loop.run
from train import cli
from train.commands.extract import _score, extract
from train.config import Data, Experiment, Model, Optim, Text, Translate
from train.core.signals import Stopped
from train.loop import replicas
from train.loop import summary as summary_module
from train.loop.checkpoints import Checkpoints
from train.loop.fit import fit
from train.loop.replicas import make_replica_set
from train.loop.restore import assemble_run, restore, restore_replicas
from train.loop.run import Run
from train.loop.start import initialize
from train.tasks.assemble import assemble
from train.tasks.check import check
from zoo.errors import UserError

QUIET = Console(quiet=True)
SWEEP = ("optim.lr=0.01,0.1", "optim.weight_decay=0,0.01")
ALONE = Experiment(
    model=Model("mlp", {"widths": (8,), "dropout": 0.1}),
    data=Data("digits", batch=32, augment=("shift_1",)),
    optim=Optim("momentum", lr=0.01),
    steps=12,
    eval_every_steps=6,
)
TOGETHER = dataclasses.replace(ALONE, seed=3, seeds=2, sweep=SWEEP)


def trained(experiment: Experiment, folder: Path) -> Run:
    run = train.loop.run.create("digits", experiment, folder)
    fit(run, assemble(experiment), QUIET)
    return run


@pytest.fixture(scope="module")
def together(tmp_path_factory) -> Run:
    return trained(TOGETHER, tmp_path_factory.mktemp("together"))


def assert_close(a, b) -> None:
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, rtol=1e-3, atol=1e-5), a, b)


def test_a_replica_taken_out_is_the_run_of_its_seed_and_setting_alone(together: Run, tmp_path) -> None:
    number = 5  # seeds 3 and 4 under the third of the four settings
    taken = extract(together, number, tmp_path)
    optim = dataclasses.replace(ALONE.optim, lr=0.1, weight_decay=0.0)
    assert taken.experiment == dataclasses.replace(ALONE, seed=4, optim=optim)
    alone = trained(taken.experiment, tmp_path / "alone")
    assert_close(restore(taken)[1].params, restore(alone)[1].params)
    mine, theirs = train.loop.run.read_summary(taken.path), train.loop.run.read_summary(alone.path)
    assert mine.to_json().keys() == theirs.to_json().keys()
    assert mine.test["loss"] == pytest.approx(theirs.test["loss"], rel=1e-3)
    lines = [train.loop.run.read_metrics(run.path) for run in (taken, alone)]
    assert [line.keys() for line in lines[0]] == [line.keys() for line in lines[1]]
    assert [line["loss"] for line in lines[0]] == pytest.approx([line["loss"] for line in lines[1]], rel=1e-3)


def test_the_summary_compares_settings_and_chooses_on_validation(together: Run) -> None:
    summary = train.loop.run.read_summary(together.path)
    assert [row.setting for row in summary.settings] == [
        {"optim.lr": lr, "optim.weight_decay": decay} for lr in (0.01, 0.1) for decay in (0, 0.01)
    ]
    best = max(summary.settings, key=lambda row: row.validation["accuracy"])
    assert [row.best for row in summary.settings] == [row is best for row in summary.settings]
    assert summary.test == best.test
    own = [each for each in summary.replicas if each.setting == best.setting]
    assert [each.seed for each in own] == [3, 4]
    assert best.test["accuracy"] == pytest.approx(sum(each.test["accuracy"] for each in own) / 2)


def test_weight_decay_acts_in_its_own_replicas_only(together: Run) -> None:
    _, team, state = restore_replicas(together)
    norms = [
        sum(float((leaf**2).sum()) for leaf in jax.tree.leaves(one.params["net"]) if leaf.ndim == 2)
        for one in team.each(state)
    ]
    assert norms[4] > norms[6]
    assert norms[5] > norms[7]


@pytest.mark.slow
def test_an_interrupted_run_of_replicas_resumes_to_the_same_bits(tmp_path, monkeypatch) -> None:
    experiment = dataclasses.replace(ALONE, seeds=2)
    whole, cut = trained(experiment, tmp_path), train.loop.run.create("cut", experiment, tmp_path)

    with monkeypatch.context() as patch:
        patch.setattr("train.loop.fit.Watch", Interruption)
        with pytest.raises(Stopped, match="stopped at step 6"):
            fit(cut, assemble(experiment), QUIET)
    fit(cut, assemble(experiment), QUIET, resume=True)
    jax.tree.map(np.testing.assert_array_equal, restore_replicas(whole)[2], restore_replicas(cut)[2])


def test_a_replica_that_diverges_stops_no_other(tmp_path, capsys) -> None:
    experiment = dataclasses.replace(ALONE, optim=Optim("sgd"), sweep=("optim.lr=0.1,1e30",))
    summary = train.loop.run.read_summary(trained(experiment, tmp_path).path)
    fine, gone = summary.replicas
    assert fine.diverged_at_step is None
    assert 0 < gone.diverged_at_step < 12
    assert summary.settings[0].best
    assert math.isfinite(summary.test["loss"])
    hopeless = dataclasses.replace(experiment, sweep=("optim.lr=1e30,1e31",))
    with pytest.raises(Stopped, match="the loss is not finite at step"):
        trained(hopeless, tmp_path)


def test_metrics_hold_every_replica_and_their_mean(together: Run) -> None:
    for line in train.loop.run.read_metrics(together.path):
        assert len(line["replicas"]["loss"]) == 8
        assert line["loss"] == pytest.approx(np.mean(line["replicas"]["loss"]))


def test_spread_is_that_of_a_sample_and_its_interval_students() -> None:
    found = summary_module.spread([{"loss": value, "count": 5} for value in (1.0, 2.0, 3.0, float("nan"))])
    half = 4.302653 / math.sqrt(3)
    assert found == {"loss": pytest.approx((1.0, 2 - half, 2 + half))}
    assert summary_module.mean([{"loss": 1.0, "count": 5}, {"loss": 2.0, "count": 5}]) == {"loss": 1.5, "count": 5}
    assert summary_module.spread([{"loss": 0.1}] * 3)["loss"].deviation == 0  # their rounded mean is not quite 0.1


@pytest.mark.parametrize(
    ("sweep", "line"),
    [
        (("optim.lx=1,2",), "unknown sweep field 'optim.lx': did you mean optim.lr"),
        (("optim.lr=",), "sweep must be FIELD=VALUE,VALUE,… with numbers, not 'optim.lr='"),
        (("optim.lr=1,2", "optim.lr=3"), "sweep: optim.lr is given twice"),
        (("optim.lr=1,-2",), "optim.lr must be a number above 0, not -2.0"),
        (("model.widths=8,16",), "sweep: model.widths shapes the arrays or the program"),
        (("data.batch=8,16",), "sweep: data.batch shapes the arrays or the program"),
    ],
)
def test_a_sweep_that_cannot_be_is_one_line(sweep: tuple[str, ...], line: str) -> None:
    with pytest.raises(UserError) as error:
        check(dataclasses.replace(ALONE, sweep=sweep))
    assert str(error.value).startswith(line)


def test_a_task_without_the_field_cannot_sweep_it() -> None:
    language = dataclasses.replace(
        ALONE, data=Text("python_docs"), task=train.config.schema.Language(), sweep=("task.label_smoothing=0,0.1",)
    )
    with pytest.raises(UserError, match="the task 'language' has no label_smoothing"):
        check(language)


def test_commands_ask_for_one_replica_and_name_those_that_are_there(together: Run, tmp_path, capsys) -> None:
    assert cli.run(["extract", str(together.path), "8"]) == 2
    assert "holds the replicas 0 to 7, not 8" in capsys.readouterr().err
    single = train.loop.run.create("digits", ALONE, tmp_path)
    assert cli.run(["extract", str(single.path), "0"]) == 2
    assert "holds one replica only" in capsys.readouterr().err
    assert cli.run(["train", "digits_mlp", "--init-from", str(together.path), "--workdir", str(tmp_path / "x")]) == 2
    assert f"take one out with zoo extract {together.path} NUMBER" in capsys.readouterr().err
    assert not (tmp_path / "x").exists()
    assert cli.run(["extract", str(together.path), "2", "--workdir", str(tmp_path)]) == 0
    path = capsys.readouterr().out.partition(": ")[2].strip()
    assert json.loads((Path(path) / "config.json").read_text())["sweep"] == []
    assert Checkpoints(Path(path) / "checkpoints", read_only=True).steps() == [12]


def test_several_seeds_start_from_the_same_seeds_of_another_run(tmp_path) -> None:
    """`--init-from` took a run of one replica only, so that all seeds began with one pre-training."""
    source = trained(dataclasses.replace(ALONE, seed=3, seeds=3, steps=1, eval_every_steps=1), tmp_path)
    kept = dataclasses.replace(ALONE, seed=4, seeds=2, init_from=str(source.path), sweep=("optim.lr=0.01,0.1",))
    setup = assemble_run(kept)
    team = make_replica_set(kept, setup.task, setup.build)
    begun = initialize(kept, team, None).state.params
    theirs = restore_replicas(source)[2].params
    for i, number in enumerate((1, 2, 1, 2)):  # seeds 4 and 5 of 3, 4 and 5, under each of two settings
        jax.tree.map(lambda a, b, i=i, n=number: np.testing.assert_array_equal(a[i], b[n]), begun, theirs)
    for wrong, line in (
        ({"seed": 5}, "has the seeds 3 to 5, and not 6: of a run of several seeds each seed takes the one of its own"),
        ({"seeds": 1, "sweep": ()}, "holds several replicas: take one out with zoo extract"),
    ):
        with pytest.raises(UserError, match=f"^init_from: .* {line}"):
            assemble_run(dataclasses.replace(kept, **wrong))


def test_the_last_seed_of_several_has_32_bits_too() -> None:
    check(dataclasses.replace(ALONE, seed=2**32 - 2, seeds=2))
    with pytest.raises(UserError, match="seed 4294967295 and seeds 2: the last seed must be below 2"):
        check(dataclasses.replace(ALONE, seed=2**32 - 1, seeds=2))


def test_streamed_sets_have_one_order_and_so_no_replicas(tmp_path) -> None:
    data = dataclasses.replace(ALONE.data, placement="stream", workers=0)
    with pytest.raises(UserError, match="one order for all replicas"):
        trained(dataclasses.replace(ALONE, data=data, seeds=2), tmp_path)


@pytest.mark.slow
def test_no_decomposition_is_made_of_several_replicas_at_once_on_a_cpu() -> None:
    """Two batches of them wait for each other for ever on two cores (jaxlib 0.10): orthogonal kernels of a GRU."""
    gru = Experiment(
        model=Model("seq2seq_attention_mini", {"embed": 4, "width": 4, "align": 4, "maxout": 4}),
        task=Translate(),
        data=Text("dates/en-ko", tokenizer="char", length=8),
        seeds=2,
    )
    parts = assemble(gru)
    team = replicas.make_replica_set(gru, parts.task, parts.build)
    shapes = list(_decomposed(jax.make_jaxpr(team.init)(team.key).jaxpr))
    assert len(shapes) == 9  # three gates each of encoder, its way back and decoder
    assert {len(shape) for shape in shapes} == {2}


def _decomposed(program) -> Iterator[tuple[int, ...]]:
    """Shapes of all matrices of which a program takes a QR decomposition."""
    for line in program.eqns:
        if line.primitive.name == "qr":
            yield line.invars[0].aval.shape
        for inner in jax.tree.leaves(list(line.params.values()), is_leaf=lambda value: hasattr(value, "jaxpr")):
            if hasattr(inner, "jaxpr"):
                yield from _decomposed(inner.jaxpr)


def test_a_replica_taken_out_has_the_score_of_its_own_evaluation() -> None:
    setup = SimpleNamespace(best="loss", score=lambda own: -own["loss"])
    assert _score(setup, {"loss": 2.0}, {}) == -2.0
    assert _score(setup, {}, {"validation": {"loss": 3.0}, "train": {"loss": 1.0}}) == -3.0
    assert math.isnan(_score(setup, {}, {"validation": {"loss": None}}))  # it has diverged
    assert _score(setup, {}, {"train": {"step": 8, "loss": 1.0}}) == -1.0
    assert _score(setup, {}, {"train": {"step": 8, "disc_loss": 1.0}}) == 8


@pytest.mark.slow
def test_a_replica_taken_out_between_two_evaluations_has_no_score(tmp_path, monkeypatch) -> None:
    """It was 0, which no negative loss and no negative return ever beats."""
    monkeypatch.setattr("train.loop.schedule.LONGEST_CHUNK", 2)
    monkeypatch.setattr("train.loop.fit.Watch", lambda: Interruption(3))
    experiment = dataclasses.replace(ALONE, seeds=2)
    with pytest.raises(Stopped, match="stopped at step 8"):
        trained(experiment, tmp_path)
    [path] = (tmp_path / "digits").iterdir()
    taken = extract(train.loop.run.load(path), 1, tmp_path / "out")
    assert Checkpoints(taken.checkpoints, read_only=True).restore(restore(taken)[0].abstract)[1].score is None
