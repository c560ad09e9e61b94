"""Replicas shared out among the cores of a processor: each learns what it learns in one program for all."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen as nn

from train.core import PerReplica, ReplicaTasks, State, Task, machine, run_replicas
from train.core import cores as shares
from train.core.cores import compile_replicas
from train.data.inputs import images
from train.data.sources import Resident
from train.tasks.classify.task import classify

SHAPE = (4, 4, 1)
RATES = {"optim.lr": np.float32([0.1, 0.2, 0.3, 0.4, 0.5])}
KEYS = jax.random.split(jax.random.key(0), 5)
DATA = Resident(
    {
        "x": jax.random.randint(jax.random.key(1), (50, *SHAPE), 0, 256).astype(jnp.uint8),
        "y": jax.random.randint(jax.random.key(2), (50,), 0, 3),
    },
    8,
)


class Net(nn.Module):
    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        x = nn.BatchNorm(use_running_average=not train, name="norm")(x.reshape(len(x), -1))
        return nn.Dense(3, name="head")(x)


def build(setting: dict[str, Any]) -> Task:
    return classify(Net(), optax.sgd(setting["optim.lr"]), images(SHAPE, ("shift_1",)), classes=3)


def start() -> State:
    return jax.jit(jax.vmap(build({"optim.lr": 0.0}).init))(KEYS)


@pytest.fixture
def programs(monkeypatch) -> dict[int, int]:
    """What is compiled for shares: of so many replicas, a program that needs so many bytes."""
    found = {}

    def noted(cut, programs):
        found.update((count, one.memory_analysis().temp_size_in_bytes) for count, one in programs.items())
        return beside(cut, programs)

    beside = shares._side_by_side
    monkeypatch.setattr(shares, "_side_by_side", noted)
    return found


@pytest.mark.parametrize(
    ("how", "alike"),
    [
        ("map", False),
        *(pytest.param(*case, marks=pytest.mark.slow) for case in (("map", True), ("vmap", True), ("vmap", False))),
    ],
)
def test_shares_are_what_one_program_is(how, alike, programs, monkeypatch) -> None:
    """Where all replicas draw from all examples, and where each draws from its own and one is not active."""
    own = PerReplica(DATA, {"rows": jnp.stack([jax.random.permutation(key, 50)[:40] for key in KEYS])})
    data, active = (DATA, None) if alike else (own, jnp.array([True, True, True, False, True]))
    tasks = ReplicaTasks(build, how)
    whole = run_replicas(tasks, RATES, start(), data, KEYS, 3, active)
    monkeypatch.setattr(machine, "cores", lambda: 2)
    advance = compile_replicas(tasks, RATES, start(), data, KEYS, 3, active)
    parts = advance(RATES, start(), data, KEYS, active)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), whole, parts)
    assert set(programs) == {2, 3}


@pytest.mark.slow
def test_as_many_shares_as_cores_or_replicas_or_memory_allow(programs, monkeypatch) -> None:
    def compiled(cores: int, free: int = 1 << 30) -> dict[int, int]:
        monkeypatch.setattr(machine, "cores", lambda: cores)
        monkeypatch.setattr(machine, "memory_free", lambda: free)
        programs.clear()
        compile_replicas(ReplicaTasks(build, "map"), RATES, start(), DATA, KEYS, 2)
        return dict(programs)

    assert compiled(1) == {}  # one program
    assert set(compiled(4)) == {1, 2}
    assert set(compiled(9)) == {1}
    two = compiled(2)
    assert set(two) == {2, 3}
    assert compiled(5, free=2 * sum(two.values())) == two
    assert compiled(5, free=2 * sum(two.values()) - 1) == {}
    monkeypatch.setattr(shares, "LARGEST_CUT", 1_000)  # bytes, and the States are larger
    assert compiled(4) == {}


def test_the_states_that_go_in_are_given_up_and_what_all_share_is_not(monkeypatch) -> None:
    monkeypatch.setattr(machine, "cores", lambda: 2)
    states = start()
    advance = compile_replicas(ReplicaTasks(build, "map"), RATES, states, DATA, KEYS, 2)
    after, metrics = advance(RATES, states, DATA, KEYS, None)
    assert all(leaf.is_deleted() for leaf in jax.tree.leaves(states))
    assert not any(leaf.is_deleted() for leaf in jax.tree.leaves((DATA, KEYS)))
    assert metrics["loss"].shape == (5, 2)
    again, _ = advance(RATES, after, DATA, KEYS, None)
    np.testing.assert_array_equal(again.step, [4] * 5)


def test_what_fails_in_one_share_is_raised(monkeypatch) -> None:
    monkeypatch.setattr(machine, "cores", lambda: 2)
    states = start()
    advance = compile_replicas(ReplicaTasks(build, "map"), RATES, states, DATA, KEYS, 2)
    with pytest.raises(TypeError, match="compiled"):
        advance(RATES, states, Resident(DATA.examples, 4), KEYS, None)
