"""Freezing: a frozen part has no gradient, no update and no new statistics, and the rest learns as if alone."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import zoo
from train.algorithms.accumulate import by_sums
from train.algorithms.averages import ema_params, init_optimizer
from train.algorithms.freezing import is_layer_frozen, patterns_of
from train.algorithms.optimizers import make_optimizer
from train.config import Optim
from train.data.inputs import images
from train.tasks.adversarial.task import NETWORKS, Player
from train.tasks.classify.task import classify

PARAMS = {"body": {"kernel": jnp.full((2, 2), 3.0)}, "head": {"kernel": jnp.ones((2, 2))}}
GRADIENTS = {"body": {"kernel": jnp.full((2, 2), 200.0)}, "head": {"kernel": jnp.full((2, 2), 0.5)}}
HEAD = {"head": PARAMS["head"]}


def step(optim: Optim, gradients, params=PARAMS):
    tx = make_optimizer(optim, 10)
    updates, state = tx.update(gradients, tx.init(params), params)
    return optax.apply_updates(params, updates), state


@pytest.mark.parametrize("name", ["sgd", "adamw", "lamb"])
def test_the_rest_learns_as_if_the_frozen_part_were_not_there(name: str) -> None:
    """Its gradients counted in the norm by which all are clipped: a hundredth of the step was left."""
    optim = Optim(name, lr=0.1, clip_norm=0.5, weight_decay=0.01, freeze=("body/*",))
    new, _ = step(optim, GRADIENTS)
    alone, _ = step(Optim(name, lr=0.1, clip_norm=0.5, weight_decay=0.01), {"head": GRADIENTS["head"]}, HEAD)
    np.testing.assert_allclose(new["head"]["kernel"], alone["head"]["kernel"], rtol=1e-6)
    np.testing.assert_array_equal(new["body"]["kernel"], PARAMS["body"]["kernel"])


@pytest.mark.parametrize("optim", [Optim("adam", clip_norm=1.0, ema=0.5), Optim("momentum", accumulate=2)])
def test_gradients_that_are_not_finite_harm_no_frozen_part(optim: Optim) -> None:
    frozen = Optim(**{**vars(optim), "freeze": ("body/*",)})
    broken = GRADIENTS | {"body": {"kernel": jnp.full((2, 2), jnp.nan)}}
    params, tx = PARAMS, make_optimizer(frozen, 10)
    state = tx.init(params)
    for _ in range(4):
        updates, state = tx.update(broken, state, params)
        params = optax.apply_updates(params, updates)
    np.testing.assert_array_equal(params["body"]["kernel"], PARAMS["body"]["kernel"])
    assert np.isfinite(params["head"]["kernel"]).all()
    assert np.any(params["head"]["kernel"] != PARAMS["head"]["kernel"])
    if optim.ema:
        assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(ema_params(state)))


def nbytes(tree) -> int:
    return sum(leaf.nbytes for leaf in jax.tree.leaves(tree))


@pytest.mark.parametrize(
    ("name", "moments"),
    [("adamw", 2), ("lamb", 2), ("lion", 1), ("momentum", 1), ("adadelta", 2), ("rmsprop_graves", 3), ("muon", 1)],
)
def test_a_frozen_part_has_no_moments(name: str, moments: int) -> None:
    """Of two equal halves one moves: an array of moments of the other takes 4 bytes, and took 65,536."""
    halves = {half: {"kernel": jnp.ones((128, 128))} for half in ("body", "middle")}
    whole, half = (
        make_optimizer(Optim(name, lr=0.1, **freeze), 10).init(halves) for freeze in ({}, {"freeze": ("body/*",)})
    )
    assert moments * 2 * 65_536 <= nbytes(whole) < moments * 2 * 65_536 + 100  # and what counts steps
    assert moments * 65_536 <= nbytes(half) < moments * 65_536 + 100
    params, tx = halves, make_optimizer(Optim(name, lr=0.1, freeze=("body/*",)), 10)
    state = tx.init(params)
    for _ in range(2):
        updates, state = tx.update(jax.tree.map(jnp.ones_like, halves), state, params)
        params = optax.apply_updates(params, updates)
    np.testing.assert_array_equal(params["body"]["kernel"], halves["body"]["kernel"])
    assert np.isfinite(params["middle"]["kernel"]).all()
    assert np.any(params["middle"]["kernel"] != 1)


def test_the_state_has_the_structure_that_it_had() -> None:
    """A run of before resumes: see also `test_moments_of_frozen_parameters_that_older_versions_kept`."""
    for optim in (Optim("adam", ema=0.5, clip_norm=1.0), Optim("adam", accumulate=2)):
        own = make_optimizer(Optim(**{**vars(optim), "rates": ("body/*=0",)}), 10).init(PARAMS)
        frozen = make_optimizer(Optim(**{**vars(optim), "freeze": ("body/*",)}), 10).init(PARAMS)
        assert jax.tree.structure(own) == jax.tree.structure(frozen)


@pytest.mark.parametrize("accumulate", [1, 2])
def test_the_patterns_are_found_through_an_accumulation(accumulate: int) -> None:
    tx = make_optimizer(Optim(freeze=("body/*",), accumulate=accumulate), 10)
    assert patterns_of(tx) == ("body/*",)
    assert patterns_of(by_sums(tx, 1)) == ("body/*",)
    assert patterns_of(make_optimizer(Optim(accumulate=accumulate), 10)) == ()


def test_a_layer_is_frozen_with_all_of_its_parameters() -> None:
    params = {"a": {"norm": {"scale": 1.0, "bias": 0.0}}, "b": {"norm": {"scale": 1.0}}}
    assert is_layer_frozen(("a/*",), params, "a/norm")
    assert not is_layer_frozen(("*/scale",), params, "a/norm")
    assert is_layer_frozen(("*/scale",), params, "b/norm")
    assert not is_layer_frozen(("b/*",), params, "a/norm")
    assert is_layer_frozen(("c/*",), params, "c/norm")  # without parameters: by the name of its mean


@pytest.mark.parametrize("accumulate", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_a_frozen_layer_normalizes_by_its_averages_and_keeps_them(accumulate: int) -> None:
    """With everything frozen a network in training is the one that is evaluated, and stays so."""
    model = zoo.create("mlp", widths=(8, 8), classes=3, batch_norm=True)
    inputs = images((2, 2, 1), ())

    def made(*freeze: str):
        return classify(
            model, make_optimizer(Optim("sgd", freeze=freeze, accumulate=accumulate), 10), inputs, classes=3
        )

    state = made("*").init(jax.random.key(0))
    state = state.replace(vars=jax.tree.map(lambda leaf: leaf + 5.0, state.vars))
    x = jax.random.randint(jax.random.key(1), (6, 2, 2, 1), 0, 255).astype(jnp.uint8)
    batch = {"x": x, "y": jnp.arange(6) % 3}
    still, metrics = jax.jit(made("*").step)(state, batch, jax.random.key(2))
    jax.tree.map(np.testing.assert_array_equal, (still.params, still.vars), (state.params, state.vars))
    sums = made("*").evaluate(state, batch | {"mask": jnp.ones(6)})
    np.testing.assert_allclose(metrics["loss"], sums["loss"] / 6, rtol=1e-6)

    half, _ = jax.jit(made("hidden0/*", "norm0/*").step)(state, batch, jax.random.key(2))
    moved = jax.tree.map(
        lambda a, b: bool(np.any(a != b)), half.vars["net"]["batch_stats"], state.vars["net"]["batch_stats"]
    )
    assert moved == {"norm0": {"mean": False, "var": False}, "norm1": {"mean": True, "var": True}}


def test_a_frozen_network_of_a_pair_keeps_its_statistics() -> None:
    model = zoo.create("dcgan", channels=1, latent=4, base=2, widths=(4, 4))
    z = model.prior(jax.random.key(0), 4)
    variables = model.init(jax.random.key(1), z, None, train=False)
    params = variables["params"][NETWORKS["gen"]]
    rest = {"batch_stats": variables["batch_stats"][NETWORKS["gen"]]}
    for frozen, moves in ((("*",), False), ((), True)):
        _, after = Player(model, "gen", frozen=frozen).train(params, rest, z, None, jax.random.key(2))
        changed = jax.tree.map(lambda a, b: bool(np.any(a != b)), after, rest)
        assert any(jax.tree.leaves(changed)) == moves


def test_an_average_of_bfloat16_weights_does_not_stall() -> None:
    """A thousandth of a small difference is less than bfloat16 can tell apart from 1."""
    tx = make_optimizer(Optim("sgd", lr=1.0, ema=0.999), 1000)
    params = {"w": jnp.ones(3, jnp.bfloat16)}
    state = init_optimizer(tx, params, {})
    _, state = tx.update({"w": jnp.zeros(3, jnp.bfloat16)}, state, params)
    for _ in range(300):
        _, state = tx.update({"w": jnp.full(3, -0.5, jnp.bfloat16)}, state, params)
    assert ema_params(state)["w"].dtype == jnp.float32
    assert float(ema_params(state)["w"][0]) > 1.4
