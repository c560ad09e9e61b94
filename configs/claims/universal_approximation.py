"""One hidden layer of sigmoid units comes as close to a continuous function as its width allows.

Paper:   Cybenko 1989, theorem 2 (and Hornik et al. 1989, theorem 2.4): for every continuous function and every error
         there is such a net. The theorem says that it exists, not that training finds it.
Run:     zoo claim universal_approximation
Here:    f(x) = sin 2πx + sin(6πx) / 2 + sin(18πx) / 4 on [0, 1], nets with 4 to 256 sigmoid units, the largest error
         anywhere on 2,001 points. "Built" sets the weights by hand: n steep units, one at each of n levels of the
         function's variation, make a staircase that is off by half a step. "Trained" is the best of three learning
         rates (Adam, 10,000 updates, all points at once, mean squared error), from 5 starts.
Departs: the headline is computed from a construction and cannot fail; that training falls short is a fact of this
         budget and loss. The theorem is on the unit cube of any dimension; a largest error on a grid stands for
         the supremum.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax

from train.history.claims import Claim, Effect, FunctionArm, Metric, Plot

WIDTHS = (4, 16, 64, 256)
GRID = np.linspace(0, 1, 2_001)
RATES = (1e-3, 1e-2, 1e-1)
UPDATES = 10_000
LEARNED = 501  # of the grid's points, evenly: what training sees


def target(x: np.ndarray) -> np.ndarray:
    return np.sin(2 * np.pi * x) + np.sin(6 * np.pi * x) / 2 + np.sin(18 * np.pi * x) / 4


def built(width: int, seed: int) -> float:
    """Largest error of the staircase of `width` steep sigmoid units; the same for every seed.

    The variation V(x) of f from 0 to x is cut into width + 1 equal parts; a unit at each cut steps from the middle of
    the function's range in one part to that in the next. Within a part f moves by V(1) / (width + 1) at most.
    """
    del seed
    f = target(GRID)
    variation = np.concatenate([[0.0], np.cumsum(np.abs(np.diff(f)))])
    part = np.minimum((variation / variation[-1] * (width + 1)).astype(int), width)
    middles = np.array([(f[part == i].max() + f[part == i].min()) / 2 for i in range(width + 1)])
    cuts = np.array([GRID[part == i].min() for i in range(1, width + 1)]) - GRID[1] / 2
    slope = 40 / GRID[1]  # so steep that a unit is 0 or 1 at every point of the grid, to nine digits
    units = 1 / (1 + np.exp(-np.clip(slope * (GRID[:, None] - cuts[None]), -500, 500)))
    return float(np.abs(middles[0] + units @ np.diff(middles) - f).max())


@functools.partial(jax.jit, static_argnames=("width", "updates"))
def _trained(key: jax.Array, rate: jax.Array, width: int, updates: int) -> jax.Array:
    x, f = jnp.float32(GRID[:: len(GRID) // LEARNED + 1]), jnp.float32(target(GRID[:: len(GRID) // LEARNED + 1]))
    slope_key, cut_key, out_key = jax.random.split(key, 3)
    slope = 20 * jax.random.normal(slope_key, (width,))
    params = {
        "slope": slope,
        "shift": -slope * jax.random.uniform(cut_key, (width,)),  # each unit turns somewhere inside [0, 1]
        "out": jax.random.normal(out_key, (width,)) / width**0.5,
        "bias": jnp.zeros(()),
    }

    def net(params, x):
        units = jax.nn.sigmoid(x[:, None] * params["slope"][None] + params["shift"][None])
        return units @ params["out"] + params["bias"]

    descent = optax.adam(optax.cosine_decay_schedule(1.0, updates))

    def step(carry, _):
        params, opt = carry
        grads = jax.grad(lambda params: jnp.square(net(params, x) - f).mean())(params)
        steps, opt = descent.update(grads, opt)
        return (optax.apply_updates(params, jax.tree.map(lambda step: rate * step, steps)), opt), None

    (params, _), _ = jax.lax.scan(step, (params, descent.init(params)), None, updates)
    return jnp.abs(net(params, jnp.float32(GRID)) - jnp.float32(target(GRID))).max()


def trained(width: int, seed: int, updates: int = UPDATES) -> float:
    """Largest error of the best that training finds from one start."""
    key = jax.random.fold_in(jax.random.key(seed), width)
    return min(float(_trained(key, jnp.float32(rate), width, updates)) for rate in RATES)


CLAIM = Claim(
    year=1989,
    paper="Cybenko 1989, theorem 2; Hornik et al. 1989, theorem 2.4",
    link="https://doi.org/10.1007/BF02551274",
    says="Sums of sigmoid units come as close to any continuous function as one likes; that such a sum exists does not "
    "say that training finds it.",
    models=("mlp",),
    algorithms=("sigmoid",),
    metric=Metric("largest error", "", "lower"),
    arms={
        f"{kind}_{width}": FunctionArm(
            f"{width} units, {says}",
            functools.partial(function, width),
            None if function is built else functools.partial(function, width, updates=10),
            exact=function is built,
        )
        for kind, says, function in (
            ("built", "weights set by hand", built),
            ("trained", "the best of three rates", trained),
        )
        for width in WIDTHS
    },
    effects=(
        # A theorem has no size. The staircase of 64 times the units is 64 times as close: its square root. Of what
        # training finds the theorem says nothing: half of the error, and half as much again.
        Effect("built_4", "built_256", "higher", "what exists: 4 units are worse than 256", kind="ratio", margin=8),
        Effect(
            "trained_4", "trained_256", "higher", "what training finds: 4 units are worse than 256", "ratio", margin=2
        ),
        Effect(
            "trained_256", "built_256", "higher", "training 256 units falls short of what exists", "ratio", margin=1.5
        ),
    ),
    seconds=60,
    varies=("initial weights",),
    budget="10,000 updates on 501 points, three learning rates each",
    plot=Plot(
        "points",
        x="hidden units",
        y="largest error",
        log_x=True,
        log_y=True,
        at={kind: {f"{kind}_{width}": width for width in WIDTHS} for kind in ("built", "trained")},
    ),
)
