"""Optimizers by name, built with optax: the update rule, its schedule, and the regularizers that act on updates.

Every step number in `Optim` counts steps of the loop, that is batches. With accumulate=k, k steps make one update, with
the learning rate that the schedule has at the first of them.
"""

import itertools
import math
from fnmatch import fnmatchcase
from typing import Any, get_args, get_type_hints

import jax
import jax.numpy as jnp
import numpy as np
import optax
import optax.contrib
from jax import Array
from jax.core import Tracer
from jax.typing import ArrayLike

from train.algorithms.accumulate import MultiSteps
from train.algorithms.averages import _average_weights
from train.algorithms.cards import ALGORITHMS
from train.algorithms.freezing import Freezing
from train.algorithms.parameters import hidden_matrices, matrices, path_of
from train.config import Optim
from zoo.errors import Errors, UserError, unknown

_NAMES = get_args(get_type_hints(Optim)["name"])
_SCHEDULES = get_args(get_type_hints(Optim)["schedule"])
DECOUPLED = ("adamw", "lamb", "lion", "muon")
"""Rules with decoupled weight decay: it acts on the weights and not through the gradient."""
_WHOLE = (int,)
_REAL = (int, float)

CONSTANTS = ("momentum", "b1", "b2", "decay", "eps", "accumulator", "trust")
"""Fields of `Optim` that only some rules have; the card of a rule says which."""

# field -> types, test, the words for what is allowed
_NUMBERS = {
    "lr": (_REAL, lambda v: 0 < v < math.inf, "a number above 0"),
    "momentum": (_REAL, lambda v: 0 <= v < 1, "from 0 to below 1"),
    "trust": (_REAL, lambda v: 0 < v < math.inf, "a number above 0"),
    "b1": (_REAL, lambda v: 0 <= v < 1, "from 0 to below 1"),
    "b2": (_REAL, lambda v: 0 <= v < 1, "from 0 to below 1"),
    "decay": (_REAL, lambda v: 0 <= v < 1, "from 0 to below 1"),
    "eps": (_REAL, lambda v: 0 < v < math.inf, "a number above 0"),
    "accumulator": (_REAL, lambda v: 0 <= v < math.inf, "a number from 0 up"),
    "weight_decay": (_REAL, lambda v: 0 <= v < math.inf, "a number from 0 up"),
    "warmup_steps": (_WHOLE, lambda v: v >= 0, "a whole number from 0 up"),
    "decay_factor": (_REAL, lambda v: 0 < v < 1, "between 0 and 1"),
    "accumulate": (_WHOLE, lambda v: v >= 1, "a whole number from 1 up"),
    "ema": (_REAL, lambda v: 0 <= v < 1, "from 0 to below 1"),
}


def validate(optim: Optim, steps: int) -> None:
    """Raise UserError naming all fields whose value cannot work in a run of `steps` steps."""
    validate_fields(optim)
    errors = Errors()
    for of_some in (_validate_steps, _validate_final_lr, _validate_decay_at):
        with errors.kept():
            of_some(optim, steps)
    errors.report()


def holds(optim: Optim) -> bool:
    """Return whether all fields are possible by themselves."""
    try:
        validate_fields(optim)
    except UserError:
        return False
    return True


def validate_fields(optim: Optim) -> None:
    """Raise UserError naming all fields whose value is impossible in a run of any length."""
    errors = Errors()
    with errors.kept():
        if optim.name not in _NAMES:
            raise unknown("optim.name", optim.name, _NAMES)
    with errors.kept():
        if optim.schedule not in _SCHEDULES:
            raise unknown("optim.schedule", optim.schedule, _SCHEDULES)
    for field in _NUMBERS:
        with errors.kept():
            _validate_number(optim, field)
    with errors.kept():
        if optim.clip_norm is not None and not (_is_real(optim.clip_norm) and 0 < optim.clip_norm < math.inf):
            most = "a number above 0, or None for no clipping"
            raise UserError(f"optim.clip_norm must be {most}, not {optim.clip_norm!r}")
    with errors.kept():
        if not optim.eps_in_root and optim.name != "rmsprop_graves":
            raise UserError(f"optim.eps_in_root means nothing to the rule {optim.name!r}: only rmsprop_graves has it")
    for rate in optim.rates:
        with errors.kept():
            _factor(rate)
    errors.report()


def _validate_number(optim: Optim, field: str) -> None:
    types, test, allowed = _NUMBERS[field]
    value = getattr(optim, field)
    if field in CONSTANTS:
        if value is None or optim.name not in _NAMES:
            return
        taken = ALGORITHMS[optim.name].constants
        if field not in taken:
            own = f"; its constants: {', '.join(taken)}" if taken else ", which has no constants"
            raise UserError(f"optim.{field} means nothing to the rule {optim.name!r}{own}")
    if isinstance(value, bool) or not isinstance(value, types) or not test(value):
        raise UserError(f"optim.{field} must be {allowed}, not {value!r}")


def _validate_steps(optim: Optim, steps: int) -> None:
    if optim.warmup_steps >= steps:
        raise UserError(f"optim.warmup_steps must be below the {steps} steps of the run, not {optim.warmup_steps}")
    if optim.accumulate > steps:
        raise UserError(f"optim.accumulate must be at most the {steps} steps of the run, not {optim.accumulate}")
    if optim.schedule == "one_cycle" and optim.warmup_steps:
        own = "optim.schedule=one_cycle, which begins with its own rise"
        raise UserError(f"optim.warmup_steps must be 0 with {own}, not {optim.warmup_steps}")


def _validate_final_lr(optim: Optim, steps: int) -> None:
    del steps
    if optim.schedule == "exponential":
        if not (_is_real(optim.final_lr) and 0 < optim.final_lr < math.inf):
            raise UserError(
                "optim.schedule=exponential needs optim.final_lr, the rate at the last step, a number above 0, not "
                f"{optim.final_lr}"
            )
    elif not (_is_real(optim.final_lr) and 0 <= optim.final_lr <= optim.lr):
        raise UserError(f"optim.final_lr must be from 0 to optim.lr {optim.lr}, not {optim.final_lr}")
    if optim.final_lr and optim.schedule not in ("linear", "cosine", "exponential"):
        those = "optim.schedule=linear, cosine or exponential"
        raise UserError(f"optim.final_lr {optim.final_lr} needs {those}, not {optim.schedule}")


def _validate_decay_at(optim: Optim, steps: int) -> None:
    if optim.decay_at and optim.schedule != "steps":
        raise UserError(f"optim.decay_at {optim.decay_at} needs optim.schedule=steps, not {optim.schedule}")
    if optim.schedule == "steps" and not optim.decay_at:
        raise UserError("optim.schedule=steps needs optim.decay_at, the steps at which the rate falls")
    bounds = (optim.warmup_steps, *optim.decay_at, steps)
    if optim.decay_at and any(a >= b for a, b in itertools.pairwise(bounds)):
        between = f"between the {optim.warmup_steps} steps of warm-up and the {steps} of the run"
        raise UserError(f"optim.decay_at must rise and lie {between}, not {optim.decay_at}")


def _is_real(value: Any) -> bool:
    return isinstance(value, _REAL) and not isinstance(value, bool)


def remarks(optim: Optim, steps: int) -> tuple[str, ...]:
    """What the user should know of an optimizer that `validate` accepts."""
    left = steps % optim.accumulate
    if not left:
        return ()
    last = "step makes" if left == 1 else f"{left} steps make"
    return (f"the last {last} no update: optim.accumulate={optim.accumulate} does not divide the {steps:,} steps",)


def make_schedule(optim: Optim, steps: int) -> optax.Schedule:
    """Return the schedule of the learning rate: step of the loop, 0 to `steps`, -> rate.

    During warm-up it is lr · step / warmup_steps (Goyal et al. 2017, arXiv 1706.02677, section 2.2). After it, with t
    the steps since the end of warm-up and T the steps that remain then, it is for each name:
    constant      lr
    steps         lr · decay_factor ** (milestones of `decay_at` reached)
    linear        lr + (final_lr - lr) · t / T (Devlin et al. 2018, arXiv 1810.04805, appendix A.2, to 0)
    cosine        final_lr + (lr - final_lr) · ½(1 + cos(π t / T)) (Loshchilov and Hutter 2016, arXiv 1608.03983, eq. 5)
    exponential   lr · (final_lr / lr) ** (t / T), which may rise, as in a range test (Smith 2015, arXiv 1506.01186)
    one_cycle     straight lines from lr/25 to lr at 30 % of `steps`, back at 85 %, down to lr/250,000 at the
                  end (Smith and Topin 2017, arXiv 1708.07120, with the defaults of optax's linear one-cycle)
    inverse_sqrt  lr · √(w / (w + t)), w = warmup_steps or 1 (Vaswani et al. 2017, section 5.3)
    """
    warmup, remaining = optim.warmup_steps, steps - optim.warmup_steps
    match optim.schedule:
        case "constant":
            after = optax.constant_schedule(optim.lr)
        case "steps":
            scales = {at - warmup: optim.decay_factor for at in optim.decay_at}
            after = optax.piecewise_constant_schedule(optim.lr, scales)
        case "linear":
            after = optax.linear_schedule(optim.lr, optim.final_lr, remaining)
        case "cosine":
            after = optax.cosine_decay_schedule(optim.lr, remaining, optim.final_lr / optim.lr)
        case "exponential":
            after = _exponential(optim.lr, optim.final_lr, remaining)
        case "one_cycle":
            after = _one_cycle(optim.lr, steps)
        case "inverse_sqrt":
            after = _inverse_sqrt(optim.lr, max(warmup, 1))
    if not warmup:
        return after
    return optax.join_schedules([optax.linear_schedule(0.0, optim.lr, warmup), after], [warmup])


def _exponential(lr: float, final_lr: float, steps: int) -> optax.Schedule:
    return lambda step: lr * jnp.power(final_lr / lr, step / steps)


def _one_cycle(lr: float, steps: int) -> optax.Schedule:
    # The one of optax rounds the corners down to whole steps, so a run of a few steps never reaches the peak.
    corners = np.array([0, 0.3, 0.85, 1]) * steps
    shares = np.array([1, 25, 1, 1e-4]) / 25
    return lambda step: lr * jnp.interp(step, corners, shares)


def _inverse_sqrt(lr: float, width: int) -> optax.Schedule:
    # join_schedules also evaluates this before its turn, at negative steps.
    return lambda step: lr * jnp.sqrt(width / (width + jnp.maximum(step, 0)))


def make_optimizer(optim: Optim, steps: int) -> optax.GradientTransformation:
    """Return the whole update: freeze, clip, L2 decay, rule with schedule, average; with accumulation around it.

    Weight decay acts on all matrices, embeddings and position tables among them: not on biases, on the scales and
    shifts of normalization layers, or on class tokens (see `parameters.is_matrix`).

    Call `validate` first; values are not checked here. Every leaf of the state is an array, so the state can be
    donated, scanned over and saved.
    """

    schedule = make_schedule(optim, steps)

    def rate(update: ArrayLike) -> ArrayLike:
        return schedule(update * optim.accumulate)

    parts = []
    if optim.clip_norm is not None:
        parts.append(optax.clip_by_global_norm(optim.clip_norm))
    # In a sweep the value is traced, and may be above 0 in some replicas.
    decays = isinstance(optim.weight_decay, Tracer) or optim.weight_decay > 0
    # Before the rule, which turns gradients into descent: decay that is added after it would make weights grow.
    if decays and optim.name not in DECOUPLED:
        parts.append(optax.add_decayed_weights(optim.weight_decay, mask=matrices))
    else:  # the same empty state, so that replicas with and without decay have States of one structure
        parts.append(optax.masked(optax.identity(), matrices))
    parts.append(_rule(optim, rate))
    if optim.rates or optim.freeze:
        parts.append(_own_rates(optim))
    average = _average_weights(optim.ema) if optim.ema else None
    if optim.freeze:
        transformation = Freezing(parts, optim.freeze, average)
    else:
        transformation = optax.chain(*parts, *([average] if average else []))
    if optim.accumulate > 1:
        return MultiSteps(transformation, optim.accumulate)
    return transformation


def constants(optim: Optim) -> dict[str, float]:
    """Return the constants of the rule by name: the value in `optim`, else that on the card of the rule."""
    card = ALGORITHMS[optim.name].constants
    return {name: value if (own := getattr(optim, name)) is None else own for name, value in card.items()}


def _rule(optim: Optim, rate: optax.Schedule) -> optax.GradientTransformation:
    own = constants(optim)
    decay = {"weight_decay": optim.weight_decay, "mask": matrices}
    match optim.name:
        case "sgd":
            return optax.sgd(rate)
        case "momentum" | "nesterov":
            return optax.sgd(rate, own["momentum"], nesterov=optim.name == "nesterov")
        case "adagrad":
            return optax.adagrad(rate, own["accumulator"], own["eps"])
        case "adadelta":
            return optax.adadelta(rate, own["decay"], own["eps"])
        case "rmsprop":
            return optax.rmsprop(rate, own["decay"], own["eps"])
        case "rmsprop_graves":
            return optax.rmsprop(
                rate,
                own["decay"],
                own["eps"],
                eps_in_sqrt=optim.eps_in_root,
                centered=True,
                momentum=own["momentum"],
            )
        case "adam":
            return optax.adam(rate, own["b1"], own["b2"], own["eps"])
        case "lars":  # weight decay was added to the gradient already, as in its paper
            return optax.lars(rate, trust_coefficient=own["trust"], trust_ratio_mask=matrices, momentum=own["momentum"])
        case "muon":
            # Optax would decay whatever its AdamW takes, biases too. So both rules come first, with a rate of 1 that
            # only turns their step around, then the decay of all matrices, then the rate.
            step = optax.contrib.muon(1.0, beta=own["momentum"], muon_weight_dimension_numbers=_as_matrices)
            decay = optax.add_decayed_weights(-optim.weight_decay, matrices)
            return optax.chain(step, decay, optax.scale_by_schedule(rate))
        case _:
            return {"adamw": optax.adamw, "lamb": optax.lamb, "lion": optax.lion}[optim.name](rate, **own, **decay)


def _own_rates(optim: Optim) -> optax.GradientTransformation:
    """Return a transformation that scales the updates of some parameters.

    It comes last, so that it acts on weight decay as well. A pattern is matched against the path of a parameter,
    "block0/attention/qkv/kernel". Raise UserError where a pattern, also one of `freeze`, matches no parameter.
    """
    factors = [_factor(rate) for rate in optim.rates]

    def init(params: Any) -> optax.EmptyState:
        paths = [path_of(path) for path, _ in jax.tree_util.tree_leaves_with_path(params)]
        for pattern in (*optim.freeze, *(pattern for pattern, _ in factors)):
            if not any(fnmatchcase(path, pattern) for path in paths):
                raise UserError(f"optim: no parameter is called {pattern!r}; there are {', '.join(paths[:4])} …")
        return optax.EmptyState()

    def update(updates: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        del params

        def scale(path: Any, leaf: Array) -> Array:
            # The first pattern that matches counts.
            return leaf * next((factor for pattern, factor in factors if fnmatchcase(path_of(path), pattern)), 1.0)

        return jax.tree_util.tree_map_with_path(scale, updates), state

    return optax.GradientTransformation(init, update)


def _factor(rate: str) -> tuple[str, float]:
    """Parse "PATTERN=FACTOR"."""
    pattern, _, factor = rate.rpartition("=")
    try:
        number = float(factor)
    except ValueError:
        number = math.nan
    if not pattern or not 0 <= number < math.inf:
        raise UserError(f"optim.rates must be PATTERN=FACTOR, the factor a number from 0 up, not {rate!r}")
    return pattern, number


def _as_matrices(params: Any) -> Any:
    """Say how Muon reads each hidden matrix (inputs, outputs); None for what it leaves to AdamW.

    The window of a convolution counts as inputs.
    """

    def axes_of(hidden: bool, leaf: Array) -> optax.contrib.MuonDimensionNumbers | None:
        axes = tuple(range(leaf.ndim))
        return optax.contrib.MuonDimensionNumbers(axes[:-1], axes[-1:]) if hidden else None

    return jax.tree.map(axes_of, hidden_matrices(params), params)
