"""`task.initial`: kernels drawn by another rule than the network's own."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from train.config import Classify, Data, Experiment, Model
from train.tasks import initial
from train.tasks.assemble import assemble
from train.tasks.check import check
from zoo.errors import UserError

PARAMS = {
    "conv": {"kernel": jnp.zeros((3, 3, 64, 128)), "bias": jnp.full(128, 7.0)},
    "head": {"kernel": jnp.zeros((256, 100))},
    "norm": {"scale": jnp.ones(128), "kernel": jnp.ones(5)},
    "words": {"embedding": jnp.ones((9, 4))},
}


@pytest.mark.parametrize(
    ("rule", "conv", "head"),
    [
        ("lecun", (9 * 64) ** -0.5, 256**-0.5),
        ("he", (2 / (9 * 64)) ** 0.5, (2 / 256) ** 0.5),
        ("glorot", (2 / (9 * 192)) ** 0.5, (2 / 356) ** 0.5),
        ("normal_0.01", 0.01, 0.01),
        ("uniform_0.3", 0.3 / 3**0.5, 0.3 / 3**0.5),
    ],
)
def test_kernels_have_the_deviation_of_the_rule_and_nothing_else_changes(rule: str, conv: float, head: float) -> None:
    found = initial.redrawn(rule, PARAMS, jax.random.key(0))
    np.testing.assert_allclose(found["conv"]["kernel"].std(), conv, rtol=0.02)
    np.testing.assert_allclose(found["head"]["kernel"].std(), head, rtol=0.02)
    np.testing.assert_allclose(found["head"]["kernel"].mean(), 0, atol=0.05 * head)
    for layer, name in (("conv", "bias"), ("norm", "scale"), ("norm", "kernel"), ("words", "embedding")):
        np.testing.assert_array_equal(found[layer][name], PARAMS[layer][name])


def test_without_a_rule_the_values_are_the_networks_own() -> None:
    assert initial.redrawn("", PARAMS, jax.random.key(0)) is PARAMS


def test_two_kernels_of_one_shape_differ() -> None:
    twins = {name: {"kernel": jnp.zeros((4, 4))} for name in "ab"}
    found = initial.redrawn("he", twins, jax.random.key(0))
    assert not np.array_equal(found["a"]["kernel"], found["b"]["kernel"])


def test_a_run_starts_so() -> None:
    experiment = Experiment(Model("perceptron"), Data("digits", batch=8), steps=1, task=Classify(initial="uniform_0.3"))
    kernel = assemble(experiment).task.init(jax.random.key(0)).params["net"]["head"]["kernel"]
    assert 0.25 < np.abs(kernel).max() <= 0.3


@pytest.mark.parametrize(
    ("rule", "line"),
    [
        ("hee", "unknown task.initial 'hee'"),
        ("uniform", "task.initial 'uniform': uniform needs a number above 0, such as 'uniform_0.1'"),
        ("normal_-1", "task.initial 'normal_-1': normal needs a number above 0"),
        ("normal_nan", "task.initial 'normal_nan': normal needs a number above 0"),
    ],
)
def test_an_unknown_rule_is_one_line(rule: str, line: str) -> None:
    with pytest.raises(UserError) as raised:
        check(Experiment(Model("perceptron"), Data("digits"), task=Classify(initial=rule)))
    assert str(raised.value).startswith(line)
