"""Batch normalization takes fewer steps, and stands a wider range of learning rates.

Paper:   Ioffe and Szegedy 2015, Fig. 1a (784-100-100-100-10 sigmoid units on binary MNIST, minibatches of 60, "small
         random Gaussian" initial weights) and section 4.2.1, Fig. 2 and 3 (BN-x5 and BN-x30: 5 and 30 times the rate)
Run:     zoo claim batch_normalization    (MNIST in TFDS_DATA_DIR: zoo data prepare mnist)
Here:    the net of Fig. 1a, its minibatches and binary images, plain SGD, 10,000 steps at most. Each of the two nets
         has the best of 40 settings, five deviations of the initial weights from 0.01 to 1 and eight rates from 0.03 to
         100, by the step at which the last of 3 seeds that are not compared is at the goal; the deviation is kept for
         all else. The base rate is the best one of the net without normalization; with it the base rate is multiplied
         by 5 and 30 as well. Compared is the number of steps until 95 % of the training images of the last 25 steps
         were right, and the range of rates, in powers of ten, at which a net needs at most twice the steps that it
         needs at its best one. A run ends where nothing more is asked of it. Where a seed never gets there, 10,000
         steps are a lower bound. Seeds 20 to 25, which no earlier design had.
Departs: 10,000 steps for the paper's 50,000, at most; it gives no deviation of the Gaussian. BN-x5 and BN-x30 are of
         section 4.2.2, of an Inception net, in which dropout, weight decay, the decay of the rate and the order of
         images were changed too: here the rate alone is. Fig. 1a shows test accuracy; here it is that of the training
         minibatches before each step, normalized by their own statistics.
"""

import functools
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import linen as nn
from jax import Array

import zoo
from train.config import Data
from train.data.images.catalog import load
from train.history.claims import Claim, Effect, FunctionArm, Metric, Outcome, Plot
from train.history.claims.arms import TUNING_SEED

DATA = Data("mnist", validation=0.0)
RATES = tuple(0.1 * 10 ** (power / 2) for power in range(-1, 7))  # 0.03, 0.1, 0.3, ... 100
DEVIATIONS = (0.01, 0.03, 0.1, 0.3, 1.0)
TIMES = (1, 5, 30)
NETS = {"plain": "without batch normalization", "bn": "with batch normalization"}
WIDTHS, BATCH, WINDOW, CHUNK = (100, 100, 100), 60, 25, 250
GOAL = 0.95
TUNED_BY = 3  # seeds
FIRST = 20  # seed that is compared


class Size(NamedTuple):
    """How much is trained: all of it, or little for the tests."""

    data: str
    steps: int  # at most
    chunk: int  # steps after which it is looked whether any more are needed


WHOLE, LITTLE = Size("mnist", 40 * CHUNK, CHUNK), Size("digits", 2 * WINDOW, WINDOW)


class Setting(NamedTuple):
    """The deviation of the initial weights, and the learning rate."""

    deviation: float
    rate: float


class Best(NamedTuple):
    """The setting of a net that reaches the goal first, and why no effect of it can be decided, "" if it can."""

    setting: Setting
    doubt: str


@functools.cache
def images(name: str) -> tuple[Array, Array]:
    """Binary images (N, pixels) and labels (N,) of the training split."""
    held = load(Data(name, validation=0.0)).train.arrays()
    return jnp.asarray(held["x"].reshape(len(held["x"]), -1) > 127), jnp.asarray(held["y"])


def model_of(net: str) -> nn.Module:
    return zoo.create("mlp", widths=WIDTHS, activation="sigmoid", batch_norm=net == "bn", deviation=DEVIATIONS[0])


@functools.partial(jax.jit, static_argnames="net")
def advance(net: str, params: dict, stats: dict, rates: Array, batches: Array, x: Array, y: Array) -> tuple:
    """Take a step of plain SGD on each of `batches` (steps, B): parameters, share of each batch right before it."""

    def forward(own: dict, batch: Array) -> Array:
        variables = {**stats, "params": own}
        return model_of(net).apply(variables, batch.astype(jnp.float32), train=True, mutable=["batch_stats"])[0]

    def step(params: dict, chosen: Array) -> tuple[dict, Array]:
        def cost(params: dict) -> tuple[Array, Array]:  # (settings,) nets at once; the sum keeps their gradients apart
            logits = jax.vmap(lambda own: forward(own, x[chosen]))(params)
            labels = jnp.broadcast_to(y[chosen], logits.shape[:-1])
            losses = optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean(-1)
            return losses.sum(), (logits.argmax(-1) == labels).mean(-1)

        gradients, right = jax.grad(cost, has_aux=True)(params)
        return jax.tree.map(lambda p, g: p - g * rates.reshape(-1, *[1] * (g.ndim - 1)), params, gradients), right

    return jax.lax.scan(step, params, batches)


def chunks(net: str, size: Size, settings: Sequence[Setting], seed: int) -> Iterator[np.ndarray]:
    """Train a net of each setting, and yield what share of each minibatch was right, (settings, steps of a chunk)."""
    x, y = images(size.data)
    start, order = jax.random.split(jax.random.key(seed))
    epochs = -(-size.steps * BATCH // len(x))
    chosen = jax.vmap(lambda key: jax.random.permutation(key, len(x)))(jax.random.split(order, epochs))
    batches = chosen.reshape(-1)[: size.steps * BATCH].reshape(-1, size.chunk, BATCH)
    stats = dict(model_of(net).init(start, jnp.zeros((1, x.shape[1])), train=False))
    deviations, rates = (jnp.asarray(column) for column in zip(*settings, strict=True))

    def spread(path: tuple, leaf: Array) -> Array:  # kernels were drawn with the first deviation
        by = deviations / DEVIATIONS[0] if path[-1].key == "kernel" else jnp.ones(len(settings))
        return leaf[None] * by.reshape(-1, *[1] * leaf.ndim)

    params = jax.tree_util.tree_map_with_path(spread, stats.pop("params"))
    for batch in batches:
        params, right = advance(net, params, stats, rates, batch, x, y)
        yield np.asarray(right.T, np.float64)


def steps_to_goal(right: np.ndarray) -> np.ndarray:
    """The first step (...,) at which WINDOW steps had GOAL of their images right, of (..., steps); inf: none."""
    total = np.cumsum(right, axis=-1)
    total = np.concatenate([np.zeros((*total.shape[:-1], 1)), total], axis=-1)
    there = (total[..., WINDOW:] - total[..., :-WINDOW]) / WINDOW >= GOAL
    return np.where(there.any(-1), there.argmax(-1) + WINDOW, np.inf)


def first_steps(
    net: str, size: Size, settings: Sequence[Setting], seeds: Sequence[int], enough: Callable[[np.ndarray, int], bool]
) -> np.ndarray:
    """The steps to the goal (seeds, settings), inf where it was not reached in the steps that were `enough`."""
    running = zip(*(chunks(net, size, settings, seed) for seed in seeds), strict=True)
    right = np.zeros((len(seeds), len(settings), 0))
    for chunk in running:
        right = np.concatenate([right, np.stack(chunk)], axis=-1)
        found = steps_to_goal(right)
        if enough(found, right.shape[-1]):
            break
    return steps_to_goal(right)


@functools.cache
def best(net: str, size: Size) -> Best:
    """The setting that has TUNED_BY seeds, none of which is compared, at the goal first."""
    settings = [Setting(deviation, rate) for deviation in DEVIATIONS for rate in RATES]
    seeds = range(TUNING_SEED, TUNING_SEED + TUNED_BY)
    last = first_steps(net, size, settings, seeds, lambda found, _: bool(np.isfinite(found).all(0).any())).max(0)
    chosen = settings[int(last.argmin())]
    if not np.isfinite(last.min()):
        return Best(chosen, "no setting has every seed of tuning at the goal")
    # With normalization a deviation below the grid could only make the net better: its lower end is against the claim.
    ends = {
        "rate": chosen.rate in (RATES[0], RATES[-1]),
        "deviation": chosen.deviation == DEVIATIONS[-1] or (net == "plain" and chosen.deviation == DEVIATIONS[0]),
    }
    return Best(
        chosen, "; ".join(f"its best {field} is an end of the grid" for field, is_end in ends.items() if is_end)
    )


def at_rate(net: str, times: int | None) -> FunctionArm:
    """The arm of a multiple of the base rate, or of the net's own best rate."""

    def value(seed: int, size: Size = WHOLE) -> Outcome:
        own, base = best(net, size), best("plain", size)
        setting = own.setting if times is None else own.setting._replace(rate=times * base.setting.rate)
        # Its own rate may be an end of the grid where it is not the rate that is used.
        doubts = dict.fromkeys([base.doubt] if times else [own.doubt])
        seeds = [FIRST + seed]
        steps = float(first_steps(net, size, [setting], seeds, lambda found, _: bool(np.isfinite(found).all()))[0, 0])
        never = not np.isfinite(steps)
        return Outcome(size.steps if never else steps, at_least=never, doubt="; ".join(filter(None, doubts)))

    says = "its own best rate" if times is None else f"{times} times the base rate"
    return FunctionArm(f"{NETS[net]}, {says}", value, functools.partial(value, size=LITTLE))


def width(net: str) -> FunctionArm:
    """The arm of the range of rates at which a net needs at most twice the steps of its best one."""

    def value(seed: int, size: Size = WHOLE) -> Outcome:
        settings = [Setting(best(net, size).setting.deviation, rate) for rate in RATES]
        found = first_steps(net, size, settings, [FIRST + seed], lambda found, done: done >= 2 * found.min())[0]
        within = found <= 2 * found.min()
        inside = 2 * found.min() <= size.steps
        doubt = "" if inside else "twice the steps of its best rate are more than a run has"
        # The grid ends, and not the range, where the first or the last rate is still one of it.
        return Outcome(0.5 * within.sum() if inside else 0.0, at_least=bool(within[0] or within[-1]), doubt=doubt)

    says = f"{NETS[net]}: the range of its rates"
    return FunctionArm(says, value, functools.partial(value, size=LITTLE), unit="powers of ten")


def chosen(net: str, field: str) -> FunctionArm:
    def value(seed: int, size: Size = WHOLE) -> float:
        del seed  # it is of the seeds of tuning
        return getattr(best(net, size).setting, field)

    says = {"rate": "best learning rate", "deviation": "best deviation of initial weights"}[field]
    return FunctionArm(f"{NETS[net]}: its {says}", value, functools.partial(value, size=LITTLE), exact=True, unit="")


AT_RATES = {f"{net}_best": at_rate(net, None) for net in NETS} | {
    f"bn_x{times}": at_rate("bn", times) for times in TIMES
}
CLAIM = Claim(
    year=2015,
    paper="Ioffe and Szegedy 2015, Fig. 1a, 2 and 3",
    link="https://arxiv.org/abs/1502.03167",
    says="With batch normalization a net learns in fewer steps, and stands learning rates many times higher.",
    models=("mlp",),
    metric=Metric(f"steps to {100 * GOAL:.0f} % training accuracy", "steps", "lower"),
    arms=AT_RATES
    | {f"{net}_range": width(net) for net in NETS}
    | {f"{net}_{field}": chosen(net, field) for field in Setting._fields for net in NETS},
    effects=(
        # The square root of the ratio in Fig. 2 and 3, from memory: 72.2 % takes 31.0 million steps without it and 13.3
        # with it, where nothing else is changed. 2.1 million at 5 times and 2.7 at 30 times the rate carry the other
        # changes of section 4.2.1 too, and so no more is asked of these rates. Of the range half of what the paper
        # raises the rate by, 30 times, on a logarithmic scale.
        Effect("plain_best", "bn_best", "higher", "fewer steps, each at its own best rate", kind="ratio", margin=1.5),
        Effect("plain_best", "bn_x1", "higher", "fewer steps at the base rate", kind="ratio", margin=1.5),
        Effect("plain_best", "bn_x5", "higher", "fewer steps at 5 times the base rate", kind="ratio", margin=1.5),
        Effect("plain_best", "bn_x30", "higher", "fewer steps at 30 times the base rate", kind="ratio", margin=1.5),
        Effect("bn_range", "plain_range", "higher", "a wider range of rates", margin=0.74),
    ),
    seeds=6,
    seconds=900,
    varies=("initial weights", "order of batches"),
    smaller="10,000 steps for 50,000, at most",
    reason="the paper multiplies the rate that was chosen for a net without normalization, and does not look for the "
    "best one of this net, nor for the best initial weights, with which it needs few more steps",
    pilots="earlier designs had seeds 0 to 10, goals of 90 and 95 % and a deviation of 0.01 in both nets, with which "
    "the net without normalization reached the goal in few seeds: so it is chosen here, and the runs are longer",
    budget=f"{WHOLE.steps:,} steps of {BATCH} images at most",
    plot=Plot("bars", y=f"steps to {100 * GOAL:.0f} % training accuracy", arms=tuple(AT_RATES)),
)
