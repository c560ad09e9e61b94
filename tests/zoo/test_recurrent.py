"""LSTM and GRU are their equations, whatever the mask and the direction."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from jax.test_util import check_grads

from zoo import recurrent
from zoo.measure import bodies

B, T, D, H = 3, 5, 4, 6
KEY = jax.random.key(0)
X = jax.random.normal(jax.random.key(1), (B, T, D))
MASK = jnp.asarray(np.arange(T) < np.array([5, 3, 1])[:, None])
LAYERS = {
    "lstm": recurrent.LSTM(H, recurrent.uniform(0.8)),
    "lstm_reverse": recurrent.LSTM(H, recurrent.uniform(0.8), reverse=True),
    "gru": recurrent.GRU(H, recurrent.uniform(0.8)),
    "gru_reverse": recurrent.GRU(H, recurrent.uniform(0.8), reverse=True),
}
each = pytest.mark.parametrize("name", LAYERS)


@functools.cache
def initial(name: str) -> dict:
    return jax.jit(LAYERS[name].init)(KEY, X)


def made(name: str) -> tuple[nn.Module, dict]:
    """A layer and its variables (dicts of its own), the bias made random where it starts at zero."""
    variables = jax.tree.map(lambda array: array, initial(name))
    bias = variables["params"]["input"]["bias"]
    variables["params"]["input"]["bias"] = jax.random.normal(KEY, bias.shape)
    return LAYERS[name], variables


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def by_hand(name: str, variables: dict, x: np.ndarray, state: Any) -> tuple[np.ndarray, Any]:
    """The equations of the papers, one example, one step and one gate at a time; x (T, D), float64."""
    params = jax.tree.map(lambda p: np.asarray(p, np.float64), variables["params"])
    w, u, bias = params["input"]["kernel"], params["recurrent"], params["input"]["bias"]
    gates = range(u.shape[1] // H)
    w, u, bias = ([a[..., g * H : (g + 1) * H] for g in gates] for a in (w, u, bias))
    outputs = np.zeros((len(x), H))
    for t in reversed(range(len(x))) if "reverse" in name else range(len(x)):
        if "lstm" in name:
            c, h = state
            i, f, o = (sigmoid(x[t] @ w[g] + h @ u[g] + bias[g]) for g in range(3))
            c = f * c + i * np.tanh(x[t] @ w[3] + h @ u[3] + bias[3])
            h = o * np.tanh(c)
            state = (c, h)
        else:
            r, z = (sigmoid(x[t] @ w[g] + state @ u[g] + bias[g]) for g in range(2))
            h = (1 - z) * state + z * np.tanh(x[t] @ w[2] + (r * state) @ u[2] + bias[2])
            state = h
        outputs[t] = h
    return outputs, state


def close(a: Any, b: Any, tolerance: float = 1e-5) -> None:
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance), a, b)


@each
def test_a_layer_is_its_equations_on_the_real_tokens(name: str) -> None:
    layer, variables = made(name)
    start = jax.random.normal(jax.random.key(2), (2, B, H))
    state = tuple(start) if "lstm" in name else start[0]
    outputs, final = jax.jit(layer.apply)(variables, X, state, MASK)
    for b, n in enumerate((5, 3, 1)):
        own = jax.tree.map(lambda a, b=b: np.asarray(a[b], np.float64), state)
        expected, last = by_hand(name, variables, np.asarray(X[b, :n], np.float64), own)
        close(outputs[b, :n], expected)
        close(jax.tree.map(lambda a, b=b: a[b], final), last)
        assert not outputs[b, n:].any()


@each
def test_padding_moves_nothing_and_gets_no_gradient(name: str) -> None:
    layer, variables = made(name)

    @jax.jit
    def run(x: jax.Array) -> tuple[Any, jax.Array]:
        def total(x: jax.Array) -> tuple[jax.Array, Any]:
            result = layer.apply(variables, x, mask=MASK)
            return sum(jnp.sum(a) for a in jax.tree.leaves(result)), result

        gradient, result = jax.grad(total, has_aux=True)(x)
        return result, gradient

    result, gradient = run(X)
    other, _ = run(jnp.where(MASK[..., None], X, 7.0))
    jax.tree.map(np.testing.assert_array_equal, result, other)
    np.testing.assert_array_equal((gradient != 0).all(axis=-1), MASK)


@each
def test_gradients_are_those_of_finite_differences(name: str) -> None:
    layer, variables = made(name)
    apply = jax.jit(lambda v, x: layer.apply(v, x, mask=MASK))
    check_grads(apply, (variables, X), order=1, modes=["fwd", "rev"], atol=2e-2, rtol=2e-2, eps=1e-2)


@pytest.mark.parametrize("name", ["lstm", "gru_reverse"])
def test_the_late_gradient_of_kernels_is_that_of_a_scan(name: str) -> None:
    """The kernel's gradient is multiplied once, after the scan, under every transformation that a plain scan has."""
    layer, variables = made(name)
    step = recurrent.lstm_step if name == "lstm" else recurrent.gru_step
    split = [] if name == "lstm" else [2 * H]
    kernels = tuple(jnp.split(variables["params"]["recurrent"], split, axis=1))
    gates = jax.random.normal(KEY, (B, T, kernels[0].shape[1] + (0 if name == "lstm" else H)))
    state = (X[:, 0, :1] * jnp.ones((B, H)),) * 2 if name == "lstm" else X[:, 0, :1] * jnp.ones((B, H))

    def plain(kernels: tuple, state: Any, gates: jax.Array) -> Any:
        return recurrent.over_time(lambda s, g: step(kernels, s, g)[:2], state, gates, MASK, layer.reverse)

    def late(kernels: tuple, state: Any, gates: jax.Array) -> Any:
        return recurrent.recur(step, layer.reverse, kernels, state, gates, MASK)

    def everything(f: Any) -> Any:
        args = (kernels, state, gates)
        loss = lambda *args: sum(jnp.sum(jnp.sin(a)) for a in jax.tree.leaves(f(*args)))  # noqa: E731
        gradient = jax.grad(loss, (0, 1, 2))
        forward = jax.jvp(f, args, args)[1]
        curvature = jax.jvp(gradient, args, args)[1], jax.grad(lambda *a: sum(map(jnp.sum, gradient(*a)[0])))(*args)
        seeds = jax.vmap(gradient)(*jax.tree.map(lambda a: jnp.stack([a, 2 * a]), args))
        return gradient(*args), forward, curvature, seeds

    close(jax.jit(everything, static_argnums=0)(late), jax.jit(everything, static_argnums=0)(plain), 1e-5)


def test_no_step_of_the_scan_multiplies_for_the_gradient_of_a_kernel() -> None:
    """It would read and write an array of the kernel's size in each step."""
    layer, variables = made("lstm")
    gradient = jax.make_jaxpr(jax.grad(lambda v: layer.apply(v, X)[0].sum()))(variables)
    scans = [body for eqn in gradient.jaxpr.eqns if eqn.primitive.name == "scan" for body in bodies(eqn)]
    products = [eqn.outvars[0].aval.shape for scan in scans for eqn in scan.eqns if eqn.primitive.name == "dot_general"]
    assert products == [(B, 4 * H), (B, H)]  # forward, and the gradient of the hidden state


def test_lstm_is_that_of_flax() -> None:
    layer, variables = made("lstm")
    params = variables["params"]
    kernels, recurrents, biases = (
        jnp.split(a, 4, axis=-1) for a in (params["input"]["kernel"], params["recurrent"], params["input"]["bias"])
    )
    cell: dict[str, dict] = {}
    for gate, kernel, kernel_h, bias in zip("ifog", kernels, recurrents, biases, strict=True):
        cell |= {f"i{gate}": {"kernel": kernel}, f"h{gate}": {"kernel": kernel_h, "bias": bias}}
    theirs = nn.RNN(nn.OptimizedLSTMCell(H), return_carry=True)
    (c, h), outputs = jax.jit(theirs.apply)({"params": {"cell": cell}}, X)
    close(jax.jit(layer.apply)(variables, X), (outputs, (c, h)))


def test_gru_is_that_of_flax_where_both_resets_agree() -> None:
    """Flax resets after the product with the recurrent kernel; for a diagonal kernel that is the same."""
    layer, variables = made("gru")
    params = variables["params"]
    diagonal = jnp.diag(jax.random.normal(KEY, (H,)))
    params["recurrent"] = params["recurrent"].at[:, 2 * H :].set(diagonal)
    kernels, recurrents, biases = (
        jnp.split(a, 3, axis=-1) for a in (params["input"]["kernel"], params["recurrent"], params["input"]["bias"])
    )
    cell: dict[str, dict] = {}
    # Flax's update gate says how much stays, ours (as in the paper) how much is new: sigmoid(-x) = 1 - sigmoid(x).
    for gate, sign, kernel, kernel_h, bias in zip("rzn", (1, -1, 1), kernels, recurrents, biases, strict=True):
        cell |= {f"i{gate}": {"kernel": sign * kernel, "bias": sign * bias}, f"h{gate}": {"kernel": sign * kernel_h}}
    cell["hn"]["bias"] = jnp.zeros(H)
    theirs = nn.RNN(nn.GRUCell(H), return_carry=True)
    final, outputs = jax.jit(theirs.apply)({"params": {"cell": cell}}, X)
    close(jax.jit(layer.apply)(variables, X), (outputs, final))


def test_recurrent_kernels_start_as_their_papers_say() -> None:
    _, variables = made("gru")
    for block in jnp.split(variables["params"]["recurrent"], 3, axis=1):
        close(block @ block.T, np.eye(H))
    first, second, _ = jnp.split(variables["params"]["recurrent"], 3, axis=1)
    assert not np.allclose(first, second)
    draws = jax.jit(lambda: recurrent.uniform(0.1)(KEY, (1000, 10)))()
    assert -0.1 <= draws.min() < -0.0999 < 0.0999 < draws.max() <= 0.1
    assert abs(draws.mean()) < 0.003


def test_a_stack_drops_the_input_of_each_layer_and_no_state() -> None:
    stack = recurrent.LSTMStack(H, 2, 0.5, recurrent.uniform(0.8))
    variables = jax.jit(lambda: stack.init(KEY, X, train=False))()

    @jax.jit
    def noted(x: jax.Array) -> Any:
        rngs = {"dropout": jax.random.key(5)}
        return stack.apply(variables, x, train=True, rngs=rngs, capture_intermediates=True, mutable=["intermediates"])

    (outputs, states), notes = noted(jnp.ones((B, T, D)))
    notes = notes["intermediates"]
    for i in range(2):
        dropped = notes[f"dropout{i}"]["__call__"][0]
        assert 0.2 < (dropped == 0).mean() < 0.8
    close(states[0][1], notes["layer0"]["__call__"][0][0][:, -1])
    np.testing.assert_array_equal(states[1][1], outputs[:, -1])
    assert outputs.all()  # what leaves the last layer is whole
