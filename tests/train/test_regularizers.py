"""Every regularizer is a field that acts on the step of training and leaves evaluation alone."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from train.arguments import override
from train.assemble import assemble
from train.config import Data, Experiment, Model, Optim

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


@pytest.mark.parametrize("name", REGULARIZERS)
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
