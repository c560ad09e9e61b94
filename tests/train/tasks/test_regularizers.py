"""Every regularizer is a field that acts on the step of training and leaves evaluation alone."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tools_by_name
from cases import slow_except

import train.loop.run
from train.config import Data, Experiment, Model, Optim, override
from train.tasks.assemble import assemble
from train.tasks.check import check

MLP = Experiment(Model("mlp", {"widths": (8,)}), Data("digits", batch=16), Optim("sgd", lr=0.1))
RESNET = dataclasses.replace(MLP, model=Model("resnet20", {"depths": (1, 1), "widths": (4, 8)}))
REGULARIZERS = {
    "dropout": (MLP, {"model": {"fields": {"widths": (8,), "dropout": 0.5}}}),
    "stochastic depth": (RESNET, {"model": {"fields": {**RESNET.model.fields, "drop_path": 0.8}}}),
    "weight decay": (MLP, {"optim": {"weight_decay": 0.1}}),
    "decoupled weight decay": (override(MLP, {"optim": {"name": "adamw"}}), {"optim": {"weight_decay": 0.1}}),
    "label smoothing": (MLP, {"task": {"label_smoothing": 0.2}}),
    "mixup": (MLP, {"data": {"augment": ("mixup_1",)}}),
    "cutmix": (MLP, {"data": {"augment": ("cutmix_1",)}}),
    "augmentation": (MLP, {"data": {"augment": ("shift_2",)}}),
}


@pytest.mark.parametrize("name", slow_except(["dropout", "mixup"], REGULARIZERS))
def test_a_regularizer_changes_the_step_and_not_the_evaluation(name: str) -> None:
    without, change = REGULARIZERS[name]
    parts = [assemble(each) for each in (without, override(without, change))]
    assert parts[0].params == parts[1].params
    batch = {name: jnp.asarray(leaf) for name, leaf in parts[0].dataset.train.batch(np.arange(16)).items()}
    state = jax.jit(parts[0].task.init)(jax.random.key(0))
    (plain, _), (regular, _) = (jax.jit(each.task.step)(state, batch, jax.random.key(1)) for each in parts)
    moved = [float(jnp.abs(leaf).max()) for leaf in jax.tree.leaves(jax.tree.map(jnp.subtract, plain, regular).params)]
    assert max(moved) > 1e-4
    masked = batch | {"mask": jnp.ones(16)}
    sums = [jax.jit(each.task.evaluate)(state, masked) for each in parts]
    jax.tree.map(np.testing.assert_array_equal, *sums)


def test_batch_normalization_keeps_what_evaluation_normalizes_with() -> None:
    parts = assemble(override(MLP, {"model": {"fields": {"widths": (8,), "batch_norm": True}}}))
    batch = {name: jnp.asarray(leaf) for name, leaf in parts.dataset.train.batch(np.arange(16)).items()}
    state = jax.jit(parts.task.init)(jax.random.key(0))
    after, _ = jax.jit(parts.task.step)(state, batch, jax.random.key(1))
    before, mean = (each.vars["net"]["batch_stats"]["norm0"]["mean"] for each in (state, after))
    np.testing.assert_array_equal(before, np.zeros(8))
    assert (mean != 0).any()


@pytest.fixture(scope="module")
def tool():
    return tools_by_name.tool("regularizers")


def test_every_arm_of_the_table_is_sound_and_so_are_all_together(tool) -> None:
    config, arms = tool.loaded()
    for change in (*arms.values(), tool.together(arms)):
        check(override(config, change))
    whole = override(config, tool.together(arms))
    assert whole.data.augment == ("mixup_0.2", "cutmix_0.2", "shift_2")
    assert {"dropout", "batch_norm", "widths"} == whole.model.fields.keys()
    assert set(tool.STRENGTHS) - {"none"} == set(arms) - {"batch normalization"}
    for arm, tries in tool.STRENGTHS.items():
        assert arm == "none" or any(tool.changed(config, *one) == override(config, arms[arm]) for one in tries)


@pytest.mark.slow
def test_the_table_has_what_the_runs_came_to(tool, tmp_path, monkeypatch, capsys) -> None:
    base = dataclasses.replace(MLP, steps=20, eval_every_steps=10)
    arms = {"early stopping": {"patience": 1}}
    monkeypatch.setattr(tool, "loaded", lambda: (base, arms))
    tool.table(tool.Options(seeds=2, workdir=tmp_path))
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in capsys.readouterr().out.splitlines()[2:]]
    rows = [row for row in rows if len(row) == 7]
    assert [row[0] for row in rows] == ["none", "ensemble of these 2", *arms, "all together"]
    for row in rows[2:]:
        folder = next((tmp_path / "regularizers" / row[0].replace(" ", "_")).iterdir())
        accuracies = [100 * one.test["accuracy"] for one in train.loop.run.read_summary(folder).replicas]
        test, on_train, gap = (float(cell.split(" ")[0]) for cell in row[1:4])
        assert test == pytest.approx(np.mean(accuracies), abs=0.006)
        assert gap == pytest.approx(on_train - test, abs=0.02)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("summary.json")}
    tool.table(tool.Options(seeds=2, workdir=tmp_path))  # trains nothing again
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("summary.json")} == before
