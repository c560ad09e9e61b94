"""The pure loop: a chunk is n steps, its cutting changes nothing, replicas equal runs alone."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from cases import slow_except
from flax import linen as nn

from train.core import ReplicaTasks, State, run_chunk, run_evaluate, run_replicas
from train.data.inputs import images
from train.data.sources import Resident, Stacked, padded
from train.tasks.classify.task import classify

KEY = jax.random.key(0)
SHAPE = (4, 4, 1)
EXAMPLES = {
    "x": jax.random.randint(jax.random.key(1), (50, 4, 4, 1), 0, 256).astype(jnp.uint8),
    "y": jax.random.randint(jax.random.key(2), (50,), 0, 3),
}


class Net(nn.Module):
    """Small, with batch statistics and dropout: everything a State has to carry."""

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        x = nn.relu(nn.Dense(8, name="hidden")(x.reshape(len(x), -1)))
        x = nn.BatchNorm(use_running_average=not train, name="norm")(x)
        return nn.Dense(3, name="head")(nn.Dropout(0.2, deterministic=not train)(x))


TASK = classify(Net(), optax.adam(1e-2), images(SHAPE, ("shift_1", "mixup_0.2")), classes=3)
DATA = Resident(EXAMPLES, 8)


def start(key: jax.Array = KEY) -> State:
    return jax.jit(TASK.init)(key)


def assert_equal(a: object, b: object) -> None:
    jax.tree.map(np.testing.assert_array_equal, a, b)


def test_cutting_a_run_into_chunks_changes_no_bit() -> None:
    whole, _ = run_chunk(TASK, start(), DATA, KEY, 12)
    state = start()
    for n in (4, 4, 4):
        state, _ = run_chunk(TASK, state, DATA, KEY, n)
    assert_equal(whole, state)
    assert int(state.step) == 12


def test_it_learns_a_fixed_batch() -> None:
    fixed = Resident({name: leaf[:8] for name, leaf in EXAMPLES.items()}, 8)
    task = classify(Net(), optax.adam(3e-2), images(SHAPE), classes=3)
    _, metrics = run_chunk(task, jax.jit(task.init)(KEY), fixed, KEY, 150)
    assert metrics["loss"][0] > 0.8
    assert metrics["loss"][-20:].mean() < 0.3


def nbytes(tree: object) -> int:
    return sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree))


@pytest.mark.parametrize("replicas", [1, pytest.param(3, marks=pytest.mark.slow)])
def test_the_new_state_takes_the_memory_of_the_old_one(replicas: int) -> None:
    if replicas == 1:
        state = start()
        program = run_chunk.lower(TASK, state, DATA, KEY, 12).compile()
        new, _ = run_chunk(TASK, state, DATA, KEY, 12)
    else:
        keys = jax.random.split(KEY, replicas)
        tasks, state = ReplicaTasks(lambda _: TASK, "map"), jax.jit(jax.vmap(TASK.init))(keys)
        program = run_replicas.lower(tasks, {}, state, DATA, keys, 12).compile()
        new, _ = run_replicas(tasks, {}, state, DATA, keys, 12)
    plan = program.memory_analysis()
    assert plan is not None
    assert plan.alias_size_in_bytes == nbytes(new)
    assert all(leaf.is_deleted() for leaf in jax.tree.leaves(state))


@pytest.mark.parametrize("how", slow_except(["vmap"], ["vmap", "map"]))
def test_a_replica_equals_the_same_seed_alone(how: str) -> None:
    keys = jax.random.split(KEY, 3)
    # Plain descent: Adam divides by gradients near zero, which makes rounding visible.
    task = classify(Net(), optax.sgd(1e-2), images(SHAPE, ("shift_1",)), classes=3)
    states = jax.jit(jax.vmap(task.init))(keys)
    states, metrics = run_replicas(ReplicaTasks(lambda _: task, how), {}, states, DATA, keys, 7)
    assert metrics["loss"].shape == (3, 7)
    alone, _ = run_chunk(task, jax.jit(task.init)(keys[1]), DATA, keys[1], 7)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a[1], b, rtol=2e-4, atol=2e-5), states.params, alone.params)


@pytest.mark.parametrize("how", slow_except(["map"], ["vmap", "map"]))
def test_a_replica_that_is_not_active_stands_still_and_the_others_do_not_notice(how: str) -> None:
    keys = jax.random.split(KEY, 3)
    task = classify(Net(), optax.sgd(1e-2), images(SHAPE), classes=3)
    states, again = (jax.jit(jax.vmap(task.init))(keys) for _ in range(2))
    before = jax.tree.map(lambda leaf: np.array(leaf[1]), states)
    active = jnp.array([True, False, True])
    tasks = ReplicaTasks(lambda _: task, how)
    some, metrics = run_replicas(tasks, {}, states, DATA, keys, 7, active)
    jax.tree.map(lambda leaf, old: np.testing.assert_array_equal(leaf[1], old), some, before)
    assert (metrics["loss"][1] == 0).all()
    whole, _ = run_replicas(tasks, {}, again, DATA, keys, 7)
    others = np.array([0, 2])
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a[others], b[others], rtol=2e-4, atol=2e-5), some.params, whole.params
    )
    np.testing.assert_array_equal(some.step, [7, 0, 7])


def test_an_epoch_shows_every_example_once_and_the_next_in_another_order() -> None:
    per_epoch = 50 // 8
    plan = np.asarray(DATA.plan(KEY, jnp.int32(0), 2 * per_epoch)["index"])
    first, second = plan[:per_epoch].ravel(), plan[per_epoch:].ravel()
    assert len(set(first)) == len(first) == 48
    assert len(set(second)) == 48
    assert not np.array_equal(first, second)


@pytest.mark.parametrize("start_step", [0, 3, 5, 6, 17])
def test_the_plan_depends_on_the_step_alone(start_step: int) -> None:
    whole = DATA.plan(KEY, jnp.int32(0), 40)["index"]
    part = DATA.plan(KEY, jnp.int32(start_step), 11)["index"]
    np.testing.assert_array_equal(part, whole[start_step : start_step + 11])


def test_sweep_counts_every_example_once() -> None:
    sums = run_evaluate(TASK, start(), DATA, DATA.sweep())
    assert float(sums["count"]) == 50
    other = Resident(EXAMPLES, 50)
    again = run_evaluate(TASK, start(), other, other.sweep())
    np.testing.assert_allclose(sums["loss"], again["loss"], rtol=1e-5)
    np.testing.assert_array_equal(sums["accuracy"], again["accuracy"])


def test_padding_of_a_stacked_batch_is_masked() -> None:
    three = {name: np.asarray(leaf[:3]) for name, leaf in EXAMPLES.items()}
    stacked = Stacked({name: jnp.asarray(leaf)[None] for name, leaf in padded(three, 8).items()})
    exact = Stacked({name: jnp.asarray(leaf)[None] for name, leaf in padded(three, 3).items()})
    state = start()
    for name, value in run_evaluate(TASK, state, stacked, stacked.batches).items():
        np.testing.assert_allclose(value, run_evaluate(TASK, state, exact, exact.batches)[name], rtol=1e-6)


def test_bfloat16_computes_low_and_keeps_parameters_high() -> None:
    task = classify(Net(), optax.adam(1e-2), images(SHAPE), classes=3, precision="bfloat16")
    state, metrics = run_chunk(task, jax.jit(task.init)(KEY), DATA, KEY, 3)
    assert {leaf.dtype for leaf in jax.tree.leaves((state.params, state.vars))} == {jnp.dtype("float32")}
    exact_task = classify(Net(), optax.adam(1e-2), images(SHAPE), classes=3)
    _, exact = run_chunk(exact_task, jax.jit(exact_task.init)(KEY), DATA, KEY, 3)
    assert not np.array_equal(metrics["loss"], exact["loss"])
    np.testing.assert_allclose(metrics["loss"], exact["loss"], rtol=0.1)


def test_evaluation_leaves_the_state_alone_and_training_moves_batch_statistics() -> None:
    before = start()
    kept = jax.tree.map(np.asarray, before)
    run_evaluate(TASK, before, DATA, DATA.sweep())
    assert_equal(kept, before)
    after, _ = run_chunk(TASK, before, DATA, KEY, 1)
    assert not np.array_equal(
        kept.vars["net"]["batch_stats"]["norm"]["mean"], after.vars["net"]["batch_stats"]["norm"]["mean"]
    )


def test_many_classes_report_the_five_likeliest_too() -> None:
    class Fixed(nn.Module):
        """Logits that fall with the class's number, whatever the image."""

        @nn.compact
        def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
            slope = self.param("slope", nn.initializers.ones, ())
            return jnp.broadcast_to(-slope * jnp.arange(100.0), (len(x), 100))

    task = classify(Fixed(), optax.sgd(0.1), images(SHAPE), classes=100)
    y = jnp.array([0, 4, 5, 99])
    data = Resident({"x": EXAMPLES["x"][:4], "y": y}, 4)
    sums = run_evaluate(task, jax.jit(task.init)(KEY), data, data.sweep())
    assert (float(sums["accuracy"]), float(sums["top5_accuracy"])) == (1, 2)
