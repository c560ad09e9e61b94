"""A linear unit cannot compute XOR, one hidden layer can; and a stack of linear layers is one linear map.

Paper:   Minsky and Papert 1969, Perceptrons (parity needs a unit that sees all its inputs at once; XOR is its smallest
         case), and Rumelhart, Hinton and Williams 1986, in Parallel Distributed Processing, vol. 1, ch. 8: hidden units
         solve it
Run:     zoo claim xor
Here:    the four points of XOR and 10 starts of each net, trained by gradient descent on all four points. What a net
         can do is shown by the best of its starts: one that has all four points right proves it. What no
         training could do is computed: of all labellings that a linear unit can give, the best has three points right.
         A stack of three linear layers is multiplied out after training; the product, one linear map, gives the
         stack's outputs, and cannot do what the same stack with tanh between its layers does.
Departs: a theorem and an existence proof: this checks the code and not the paper. The book proves and
         trains nothing; the descent is Adam's on cross entropy, not the perceptron's rule.
"""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import optax

from train.history.claims import Claim, Effect, FunctionArm, Metric, Plot

X = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float32)
Y = np.array([0, 1, 1, 0])
STEPS = 1_000
STARTS = 10
Layers = list[tuple[jax.Array, jax.Array]]


def outputs(layers: Layers, x: jax.Array, act: Callable[[jax.Array], jax.Array]) -> jax.Array:
    """x (N, 2) -> (N,), positive for "true"; `act` between the layers."""
    for i, (kernel, bias) in enumerate(layers):
        x = x @ kernel + bias[None]
        x = act(x) if i < len(layers) - 1 else x
    return x[:, 0]


def trained(seed: int, widths: tuple[int, ...], act: Callable[[jax.Array], jax.Array]) -> Layers:
    """A net with hidden layers of `widths` units after STEPS updates."""
    sizes = (2, *widths, 1)
    keys = jax.random.split(jax.random.key(seed), len(sizes) - 1)
    kernels = [jax.random.normal(k, (i, o)) / i**0.5 for k, i, o in zip(keys, sizes[:-1], sizes[1:], strict=True)]
    layers = [(kernel, jnp.zeros(kernel.shape[1])) for kernel in kernels]
    return descended(layers, act)


@functools.partial(jax.jit, static_argnames="act")
def descended(layers: Layers, act: Callable[[jax.Array], jax.Array]) -> Layers:
    descent = optax.adam(0.03)

    def loss(layers: Layers) -> jax.Array:
        return optax.sigmoid_binary_cross_entropy(outputs(layers, X, act), jnp.float32(Y)).mean()

    def step(carry, _):
        layers, opt = carry
        updates, opt = descent.update(jax.grad(loss)(layers), opt)
        return (optax.apply_updates(layers, updates), opt), None

    return jax.lax.scan(step, (layers, descent.init(layers)), None, STEPS)[0][0]


def right(found: jax.Array) -> float:
    """Share of the four points on the right side."""
    return float(np.mean((np.asarray(found) > 0) == Y))


def net(*widths: int) -> Callable[[int], float]:
    return lambda seed: right(outputs(trained(seed, widths, jnp.tanh), X, jnp.tanh))


def best(value: Callable[[int], float]) -> Callable[[int], float]:
    """The best of all starts. A claim of existence needs no more than one."""

    def of_all(seed: int) -> float:
        del seed  # it is of every seed
        return max(map(value, range(STARTS)))

    return of_all


def nothing(x: jax.Array) -> jax.Array:
    return x


def multiplied_out(seed: int) -> float:
    """The stack 2-8-8-1 without anything between its layers, as the one linear map that it is."""
    layers = trained(seed, (8, 8), nothing)
    kernel, bias = jnp.eye(2), jnp.zeros(2)
    for own, shift in layers:
        kernel, bias = kernel @ own, bias @ own + shift
    found = outputs([(kernel, bias)], X, jnp.tanh)
    np.testing.assert_allclose(found, outputs(layers, X, nothing), atol=1e-4)
    return right(found)


def best_linear(seed: int) -> float:
    """The most points that any linear unit gets right: every way to cut the four points by a line is tried.

    Turning the line through all directions and moving it between the projections reaches every cut.
    """
    del seed
    best = 0.0
    for angle in np.linspace(0, 2 * np.pi, 360, endpoint=False):
        height = X @ np.array([np.cos(angle), np.sin(angle)])
        for cut in (*np.sort(height) - 1e-3, height.max() + 1e-3):
            best = max(best, right(height - cut))
    return best


CLAIM = Claim(
    year=1969,
    paper="Minsky and Papert 1969, Perceptrons",
    link="https://mitpress.mit.edu/9780262630221/perceptrons/",
    says="A linear unit cannot compute exclusive or; one hidden layer can, and a stack of linear layers is no help.",
    models=("perceptron", "mlp"),
    metric=Metric("accuracy on the four points", "share", "higher"),
    arms={
        "linear_bound": FunctionArm("the best of all linear units, by trying every cut", best_linear, exact=True),
        "linear_unit": FunctionArm("2-1, trained", net()),
        "linear_stack": FunctionArm("2-8-8-1, nothing between the layers, multiplied out to one map", multiplied_out),
        "tanh_stack": FunctionArm("2-8-8-1, tanh between the layers", net(8, 8)),
        "hidden_layer": FunctionArm("2-4-1, one hidden layer of tanh units", net(4)),
        "best_linear_stack": FunctionArm("the best start of 2-8-8-1 without", best(multiplied_out), exact=True),
        "best_tanh_stack": FunctionArm("the best start of 2-8-8-1 with tanh", best(net(8, 8)), exact=True),
        "best_hidden_layer": FunctionArm("the best start of 2-4-1", best(net(4)), exact=True),
    },
    effects=(
        # Half of a point of the four: four are right with a hidden layer, three at most without.
        Effect(
            "best_hidden_layer", "linear_bound", "higher", "a hidden layer does what no linear unit could", margin=0.125
        ),
        Effect(
            "best_tanh_stack",
            "best_linear_stack",
            "higher",
            "depth helps only with something between the layers",
            margin=0.125,
        ),
    ),
    seeds=STARTS,
    seconds=15,
    varies=("initial weights",),
    budget="1,000 updates on all four points",
    plot=Plot(
        "bars",
        y="accuracy on the four points",
        arms=("linear_bound", "linear_unit", "linear_stack", "tanh_stack", "hidden_layer"),
    ),
)
