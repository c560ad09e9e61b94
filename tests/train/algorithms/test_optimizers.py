import math
from dataclasses import replace
from typing import get_args, get_type_hints

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from cases import slow_except

from train.algorithms import cards, optimizers
from train.algorithms.averages import ema_params
from train.algorithms.optimizers import make_optimizer, make_schedule, validate
from train.config import Optim
from zoo.errors import UserError

RNG = np.random.default_rng(0)
PARAMS = {
    "dense": {"kernel": RNG.normal(size=(3, 2)), "bias": RNG.normal(size=2)},
    "norm": {"scale": RNG.normal(size=2)},
    "position": RNG.normal(size=(1, 4, 2)),
    "token": RNG.normal(size=(1, 1, 2)),
}
PARAMS = jax.tree.map(lambda a: a.astype(np.float32), PARAMS)
GRADS = [jax.tree.map(lambda a: RNG.normal(size=a.shape).astype(np.float32), PARAMS) for _ in range(6)]
ZEROS = jax.tree.map(np.zeros_like, PARAMS)
LR = 0.1


def train(optim, grads, params=PARAMS, steps=100):
    """Weights after each gradient, and the last state: one donated scan, as in the loop."""
    tx = make_optimizer(optim, steps)

    @jax.jit
    def start(params):
        return params, tx.init(params)

    def body(carry, grads):
        params, state = carry
        updates, state = tx.update(grads, state, params)
        params = optax.apply_updates(params, updates)
        return (params, state), params

    run = jax.jit(lambda carry, grads: jax.lax.scan(body, carry, grads), donate_argnums=0)
    (_, state), path = run(start(jax.tree.map(jnp.array, params)), jax.tree.map(lambda *g: jnp.stack(g), *grads))
    return path, state


def last(path):
    return jax.tree.map(lambda a: a[-1], path)


def close(a, b):
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, rtol=2e-5, atol=1e-6), a, b)


def sgd(g, s, t):
    return g


def momentum(g, s, t):
    s["m"] = g + 0.9 * s.get("m", 0)
    return s["m"]


def nesterov(g, s, t):
    s["m"] = g + 0.9 * s.get("m", 0)
    return g + 0.9 * s["m"]


def adagrad(g, s, t):
    s["v"] = s.get("v", 0) + g**2
    return g / np.sqrt(s["v"] + 1e-7)


def adadelta(g, s, t):
    s["v"] = 0.95 * s.get("v", 0) + 0.05 * g**2
    step = np.sqrt((s.get("u", 0) + 1e-6) / (s["v"] + 1e-6)) * g
    s["u"] = 0.95 * s.get("u", 0) + 0.05 * step**2
    return step


def rmsprop_graves(g, s, t):
    s["m"] = 0.95 * s.get("m", 0) + 0.05 * g
    s["v"] = 0.95 * s.get("v", 0) + 0.05 * g**2
    s["d"] = 0.9 * s.get("d", 0) + g / np.sqrt(s["v"] - s["m"] ** 2 + 1e-4)
    return s["d"]


def rmsprop(g, s, t):
    s["v"] = 0.9 * s.get("v", 0) + 0.1 * g**2
    return g / np.sqrt(s["v"] + 1e-8)


def adam(g, s, t):
    s["m"] = 0.9 * s.get("m", 0) + 0.1 * g
    s["v"] = 0.999 * s.get("v", 0) + 0.001 * g**2
    return s["m"] / (1 - 0.9**t) / (np.sqrt(s["v"] / (1 - 0.999**t)) + 1e-8)


def lion(g, s, t):
    c = 0.9 * s.get("m", 0) + 0.1 * g
    s["m"] = 0.99 * s.get("m", 0) + 0.01 * g
    return np.sign(c)


def muon(g, s, t):
    s["v"] = 0.95 * s.get("v", 0) + 0.05 * g
    x = (0.95 * s["v"] / (1 - 0.95 ** (t + 1)) + 0.05 * g / (1 - 0.95**t)).T  # (outputs, inputs)
    x = x / norm(x)
    for _ in range(5):
        a = x @ x.T
        x = 3.4445 * x + (-4.7750 * a + 2.0315 * a @ a) @ x
    return math.sqrt(max(1, x.shape[0] / x.shape[1])) * x.T


def norm(a):
    return math.sqrt(float((np.asarray(a, np.float64) ** 2).sum()))


COUPLED = (sgd, momentum, nesterov, adagrad, adadelta, rmsprop, rmsprop_graves, adam)
RULES = {rule.__name__: rule for rule in (*COUPLED, lion, muon)} | {"adamw": adam}


@pytest.mark.parametrize("decay", slow_except([0.3], [0.0, 0.3]))
@pytest.mark.parametrize("name", RULES)
def test_rule_is_its_formula(name, decay):
    rule = RULES[name]
    kernel, s = PARAMS["dense"]["kernel"].astype(np.float64), {}
    expected = []
    for t, grads in enumerate(GRADS, start=1):
        g = grads["dense"]["kernel"].astype(np.float64)
        if rule not in COUPLED or name == "adamw":
            kernel = kernel - LR * (rule(g, s, t) + decay * kernel)
        else:
            kernel = kernel - LR * rule(g + decay * kernel, s, t)
        expected.append(kernel)
    path, _ = train(Optim(name, lr=LR, weight_decay=decay), GRADS)
    np.testing.assert_allclose(path["dense"]["kernel"], expected, rtol=1e-4, atol=1e-5)


def test_muon_leaves_what_is_no_hidden_matrix_to_adam_and_takes_a_convolution_as_one_matrix():
    adam, params = optax.adam(LR, nesterov=True), PARAMS
    state = adam.init(params)
    for grads in GRADS:
        updates, state = adam.update(grads, state)
        params = optax.apply_updates(params, updates)
    end = last(train(Optim("muon", lr=LR), GRADS)[0])
    for tree in (end, params):
        del tree["dense"]["kernel"]
    close(end, params)
    flat = RNG.normal(size=(12, 5)).astype(np.float32)
    window = jax.tree.map(lambda a: a.reshape(2, 2, 3, 5), flat)
    ends = [last(train(Optim("muon", lr=LR), [{"kernel": g}], {"kernel": g})[0])["kernel"] for g in (flat, window)]
    np.testing.assert_allclose(ends[0], ends[1].reshape(12, 5), rtol=1e-5)


@pytest.mark.parametrize("shape", [(3, 12), (12, 3)])  # with more outputs than inputs, and the other way round
def test_muon_scales_its_step_by_the_shape(shape: tuple[int, int]) -> None:
    """By the root of outputs over inputs, where that is above 1 (Jordan et al. 2024)."""
    gradients = [RNG.normal(size=shape).astype(np.float32) for _ in range(2)]
    start, state = np.ones(shape, np.float32), {}
    expected = start - LR * sum(muon(g.astype(np.float64), state, t) for t, g in enumerate(gradients, start=1))
    found = last(train(Optim("muon", lr=LR), [{"kernel": g} for g in gradients], {"kernel": start})[0])["kernel"]
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    moved = np.linalg.norm(start - found) / LR / 2  # a step of 3 orthogonal directions, each of length 1 or 2
    assert moved == pytest.approx(math.sqrt(3) * (2 if shape == (3, 12) else 1), rel=0.4)


NAMES = get_args(get_type_hints(Optim)["name"])


def test_every_rule_has_a_card_whose_constants_the_user_may_change():
    assert [card.name for card in cards.OPTIMIZERS if card.name not in NAMES] == []
    for name in NAMES:
        card = cards.ALGORITHMS[name]
        assert optimizers.constants(Optim(name)) == card.constants
        for constant in card.constants:
            changed = replace(Optim(name, lr=LR, weight_decay=0.1), **{constant: 0.5})
            validate(changed, 10)
            assert optimizers.constants(changed)[constant] == 0.5


@pytest.mark.parametrize("name", slow_except(["adam"], NAMES))
def test_every_constant_of_a_rule_changes_its_steps(name):
    plain = Optim(name, lr=LR, weight_decay=0.1)
    before = last(train(plain, GRADS)[0])
    for constant in cards.ALGORITHMS[name].constants:
        after = last(train(replace(plain, **{constant: 0.5}), GRADS)[0])
        assert not np.allclose(before["dense"]["kernel"], after["dense"]["kernel"], rtol=1e-6), constant


@pytest.mark.parametrize("scale", [1.0, 1e-2])
def test_the_first_step_of_adagrad_has_the_size_of_the_rate_whatever_the_size_of_the_gradient(scale):
    """Duchi et al. 2011: the divisor of the first step is the gradient itself (up to eps). Optax's own start is 0.1."""
    grads = [jax.tree.map(lambda g: scale * np.sign(g) * np.maximum(np.abs(g), 0.1), GRADS[0])]
    expected = jax.tree.map(lambda p, g: p - LR * np.sign(g), PARAMS, grads[0])
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=0, atol=0.06 * LR),
        last(train(Optim("adagrad", lr=LR), grads)[0]),
        expected,
    )
    slow = last(train(Optim("adagrad", lr=LR, accumulator=0.1), grads)[0])["position"] - PARAMS["position"]
    g = grads[0]["position"]
    np.testing.assert_allclose(slow, -LR * g / np.sqrt(0.1 + g**2 + 1e-7), rtol=1e-4)


def test_adagrad_stays_where_the_gradient_is_zero():
    jax.tree.map(np.testing.assert_array_equal, last(train(Optim("adagrad", lr=LR), [ZEROS])[0]), PARAMS)


def test_lars_is_its_formula():
    """You et al. 2017, Algorithm 1, with the settings of SimCLR: biases and scales neither adapted nor decayed."""
    trust, decay = 0.02, 0.3
    kernel, bias = (PARAMS["dense"][name].astype(np.float64) for name in ("kernel", "bias"))
    m, n, kernels, biases = 0, 0, [], []
    for grads in GRADS:
        g = grads["dense"]["kernel"] + decay * kernel
        m = 0.9 * m + LR * trust * norm(kernel) / norm(g) * g
        n = 0.9 * n + LR * grads["dense"]["bias"]
        kernel, bias = kernel - m, bias - n
        kernels.append(kernel)
        biases.append(bias)
    path, _ = train(Optim("lars", lr=LR, trust=trust, weight_decay=decay), GRADS)
    np.testing.assert_allclose(path["dense"]["kernel"], kernels, rtol=1e-5)
    np.testing.assert_allclose(path["dense"]["bias"], biases, rtol=1e-5)


def test_lars_takes_the_paper_s_trust_and_does_not_see_the_size_of_gradients():
    large = jax.tree.map(lambda g: 1000 * g, GRADS[0])
    small, same = (last(train(Optim("lars", lr=LR), [g])[0])["dense"]["kernel"] for g in (GRADS[0], large))
    np.testing.assert_allclose(small, same, rtol=1e-6)
    np.testing.assert_allclose(
        norm(small - PARAMS["dense"]["kernel"]), LR * 1e-3 * norm(PARAMS["dense"]["kernel"]), 1e-3
    )


def test_lamb_is_its_formula():
    """You et al. 2019, Algorithm 2."""
    kernel, s, expected = PARAMS["dense"]["kernel"].astype(np.float64), {}, []
    for t, grads in enumerate(GRADS, start=1):
        update = adam(grads["dense"]["kernel"].astype(np.float64), s, t) + 0.3 * kernel
        kernel = kernel - LR * norm(kernel) / norm(update) * update
        expected.append(kernel)
    path, _ = train(Optim("lamb", lr=LR, weight_decay=0.3), GRADS)
    np.testing.assert_allclose(path["dense"]["kernel"], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", [*RULES, "lars", "lamb"])
def test_decay_shrinks_matrices_and_nothing_else(name):
    end = last(train(Optim(name, lr=1e-3, weight_decay=0.1), [ZEROS])[0])
    for after, before in ((end["dense"], PARAMS["dense"]), (end, PARAMS)):
        matrix = "kernel" if "kernel" in before else "position"
        assert np.all(np.abs(after[matrix]) < np.abs(before[matrix]))
        after[matrix] = before[matrix]
    jax.tree.map(np.testing.assert_array_equal, end, PARAMS)


def test_clipping_rescales_to_the_global_norm_and_spares_what_is_below():
    norm = float(optax.tree.norm(GRADS[0]))
    for limit, share in ((norm / 4, 0.25), (norm * 2, 1.0)):
        end = last(train(Optim("sgd", lr=LR, clip_norm=limit), GRADS[:1])[0])
        close(end, jax.tree.map(lambda p, g, share=share: p - LR * share * g, PARAMS, GRADS[0]))


@pytest.mark.parametrize("name", ["sgd", "momentum", "adamw"])
def test_accumulating_halves_is_one_step_on_their_mean(name):
    optim = Optim(name, lr=LR, weight_decay=0.1, ema=0.5, clip_norm=1.0)
    halves, state = train(replace(optim, accumulate=2), GRADS[:4])
    means = [jax.tree.map(lambda a, b: (a + b) / 2, *GRADS[i : i + 2]) for i in (0, 2)]
    whole, whole_state = train(optim, means)
    close(jax.tree.map(lambda a: a[1::2], halves), whole)
    close(jax.tree.map(lambda a: a[0], halves), PARAMS)
    close(ema_params(state), ema_params(whole_state))


def test_accumulation_counts_the_schedule_in_steps_of_the_loop():
    optim = Optim("sgd", lr=1.0, schedule="steps", decay_at=(4,), accumulate=2)
    ones = jax.tree.map(np.ones_like, PARAMS)
    path, _ = train(optim, [ones] * 6)
    np.testing.assert_allclose(PARAMS["position"] - path["position"][1], 1.0, rtol=1e-5)
    np.testing.assert_allclose(path["position"][3] - path["position"][5], 0.1, rtol=1e-4)


def test_average_weighs_visited_weights_exponentially():
    decay = 0.8
    path, state = train(Optim("momentum", lr=LR, ema=decay), GRADS)
    weights = decay ** np.arange(len(GRADS))[::-1]
    close(ema_params(state), jax.tree.map(lambda a: np.average(a, axis=0, weights=weights), path))


def test_average_starts_at_the_weights_and_is_none_unless_asked_for():
    start = make_optimizer(Optim(ema=0.9), 10).init(PARAMS)
    jax.tree.map(np.testing.assert_array_equal, ema_params(start), PARAMS)
    path, state = train(Optim(ema=0.999), GRADS[:1])
    close(ema_params(state), last(path))
    assert ema_params(make_optimizer(Optim(), 10).init(PARAMS)) is None


def test_state_is_arrays_only():
    optim = Optim("adamw", weight_decay=0.1, clip_norm=1.0, accumulate=2, ema=0.9, schedule="cosine", warmup_steps=2)
    leaves = jax.tree.leaves(make_optimizer(optim, 10).init(jax.tree.map(jnp.array, PARAMS)))
    assert leaves
    assert all(isinstance(leaf, jax.Array) for leaf in leaves)


def test_rates_may_differ_between_replicas():
    def end(lr):
        tx = make_optimizer(Optim("sgd", lr=lr, schedule="one_cycle"), 10)
        return tx.update(GRADS[0], tx.init(PARAMS), PARAMS)[0]["position"]

    rates = jnp.array([1.0, 3.0])
    np.testing.assert_allclose(jax.jit(jax.vmap(end))(rates), jnp.stack([end(1.0), end(3.0)]), rtol=1e-6)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, {0: 2, 100: 2}),
        ({"warmup_steps": 10}, {0: 0, 5: 1, 10: 2, 100: 2}),
        ({"schedule": "steps", "decay_at": (30, 60)}, {0: 2, 29: 2, 30: 0.2, 59: 0.2, 60: 0.02, 100: 0.02}),
        ({"schedule": "steps", "decay_at": (30,), "warmup_steps": 10}, {5: 1, 10: 2, 29: 2, 30: 0.2}),
        ({"schedule": "steps", "decay_at": (30,), "decay_factor": 0.5}, {29: 2, 30: 1}),
        ({"schedule": "linear"}, {0: 2, 25: 1.5, 50: 1, 100: 0}),
        ({"schedule": "linear", "warmup_steps": 20}, {0: 0, 10: 1, 20: 2, 60: 1, 100: 0}),
        ({"schedule": "linear", "final_lr": 0.4}, {0: 2, 50: 1.2, 100: 0.4}),
        ({"schedule": "cosine"}, {0: 2, 25: 1 + math.sqrt(0.5), 50: 1, 100: 0}),
        ({"schedule": "cosine", "warmup_steps": 20}, {0: 0, 10: 1, 20: 2, 60: 1, 100: 0}),
        ({"schedule": "one_cycle"}, {0: 0.08, 15: 1.04, 30: 2, 85: 0.08, 100: 8e-6}),
        ({"schedule": "inverse_sqrt"}, {0: 2, 3: 1, 99: 0.2}),
        ({"schedule": "inverse_sqrt", "warmup_steps": 10}, {0: 0, 5: 1, 10: 2, 40: 1, 90: 2 / 3}),
    ],
)
def test_schedule_at_its_corners(changes, expected):
    schedule = make_schedule(Optim(lr=2.0, **changes), 100)
    rates = [float(schedule(jnp.int32(step))) for step in expected]
    np.testing.assert_allclose(rates, list(expected.values()), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("schedule", ["constant", "linear", "cosine", "one_cycle", "inverse_sqrt"])
def test_schedule_of_one_step_is_finite(schedule):
    validate(Optim(schedule=schedule), 1)
    assert 0 < float(make_schedule(Optim(schedule=schedule), 1)(jnp.int32(0))) <= 1.0001e-3


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"name": "adm"}, "unknown optim.name 'adm': did you mean adam or adamw or lamb?"),
        ({"schedule": "cosin"}, "unknown optim.schedule 'cosin': did you mean cosine?"),
        ({"lr": -0.1}, "optim.lr must be a number above 0, not -0.1"),
        ({"lr": 0}, "optim.lr must be a number above 0, not 0"),
        ({"lr": math.nan}, "optim.lr must be a number above 0, not nan"),
        ({"lr": "0.1"}, "optim.lr must be a number above 0, not '0.1'"),
        ({"name": "momentum", "momentum": 1.0}, "optim.momentum must be from 0 to below 1, not 1.0"),
        ({"name": "lars", "trust": 0.0}, "optim.trust must be a number above 0, not 0.0"),
        ({"b1": -0.1}, "optim.b1 must be from 0 to below 1, not -0.1"),
        ({"trust": 0.1}, "optim.trust means nothing to the rule 'adam'; its constants: b1, b2, eps"),
        ({"name": "sgd", "eps": 0.1}, "optim.eps means nothing to the rule 'sgd', which has no constants"),
        ({"b2": 1}, "optim.b2 must be from 0 to below 1, not 1"),
        ({"accumulator": 0.1}, "optim.accumulator means nothing to the rule 'adam'; its constants: b1, b2, eps"),
        ({"name": "adagrad", "accumulator": -0.1}, "optim.accumulator must be a number from 0 up, not -0.1"),
        ({"weight_decay": -1e-4}, "optim.weight_decay must be a number from 0 up, not -0.0001"),
        ({"warmup_steps": -1}, "optim.warmup_steps must be a whole number from 0 up, not -1"),
        ({"warmup_steps": 100}, "optim.warmup_steps must be below the 100 steps of the run, not 100"),
        ({"accumulate": 0}, "optim.accumulate must be a whole number from 1 up, not 0"),
        ({"accumulate": 1.5}, "optim.accumulate must be a whole number from 1 up, not 1.5"),
        ({"accumulate": 101}, "optim.accumulate must be at most the 100 steps of the run, not 101"),
        ({"ema": 1.0}, "optim.ema must be from 0 to below 1, not 1.0"),
        ({"clip_norm": 0.0}, "optim.clip_norm must be a number above 0, or None for no clipping, not 0.0"),
        ({"clip_norm": "1"}, "optim.clip_norm must be a number above 0, or None for no clipping, not '1'"),
        ({"schedule": "cosine", "final_lr": "0"}, "optim.final_lr must be from 0 to optim.lr 0.001, not 0"),
        ({"final_lr": 1e-4}, "optim.final_lr 0.0001 needs optim.schedule=linear, cosine or exponential, not constant"),
        ({"eps_in_root": False}, "optim.eps_in_root means nothing to the rule 'adam': only rmsprop_graves has it"),
        ({"decay_factor": 0.0}, "optim.decay_factor must be between 0 and 1, not 0.0"),
        ({"decay_at": (3,)}, "optim.decay_at (3,) needs optim.schedule=steps, not constant"),
        ({"schedule": "steps"}, "optim.schedule=steps needs optim.decay_at, the steps at which the rate falls"),
        (
            {"schedule": "steps", "decay_at": (50, 30)},
            "optim.decay_at must rise and lie between the 0 steps of warm-up and the 100 of the run, not (50, 30)",
        ),
        (
            {"schedule": "steps", "decay_at": (100,)},
            "optim.decay_at must rise and lie between the 0 steps of warm-up and the 100 of the run, not (100,)",
        ),
        (
            {"schedule": "one_cycle", "warmup_steps": 5},
            "optim.warmup_steps must be 0 with optim.schedule=one_cycle, which begins with its own rise, not 5",
        ),
    ],
)
def test_bad_value_is_one_line_naming_the_field(changes, line):
    with pytest.raises(UserError) as error:
        validate(Optim(**changes), 100)
    assert str(error.value) == line
