"""The contracts of training: State holds the arrays, Task the pure functions, Source the batches.

A Task knows nothing of files, chunks, replicas or devices. `train.core.chunks` compiles its `step` into a program of
many steps, and `train.loop` drives that program.
"""

import functools
import operator
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol, TypeVar

import jax
import jax.numpy as jnp
import optax
from flax import struct
from jax import Array

T = TypeVar("T")


class Mean(struct.PyTreeNode):
    """A mean that is still a sum: `total` over `count` things. Sums of several batches are added, then divided once."""

    total: Array
    count: Array


Metrics = dict[str, Array | Mean]
"""Name -> a number (), or a Mean where the batch does not say how many things were counted."""


Loss = Array | tuple[Mean, ...]
"""What is minimized: a number (), or a sum of Means, whose totals and counts an accumulation adds separately."""


class BySums(optax.GradientTransformationExtraArgs):
    """An optimizer that accumulates the gradients of totals: `update` takes one for each total, and their `counts`."""

    inner: optax.GradientTransformation  # what it accumulates for


class State(struct.PyTreeNode):
    """Everything that changes during training. It holds only arrays, so a checkpoint of it is the whole run."""

    step: Array  # () int32; only `chunk` advances it
    params: dict[str, Any]  # parameters of each network: {"net": ...}, or {"gen": ..., "disc": ...}
    opt: dict[str, Any]  # optax state of each network that is trained
    vars: dict[str, Any]  # non-trained variables of each network, such as batch statistics
    aux: Any = ()  # private to the task: target network, replay buffer, environments


class Task(NamedTuple):
    """One way of learning, as pure functions. Build it once: jit takes it as a static argument and caches by it.

    init: returns the initial State for a key.
    step: takes (state, batch, key), returns (state, metrics). It does one update and leaves `state.step` alone.
        Metrics are numbers (), such as {"loss": ...}; a Mean where a step may have nothing to count.
    evaluate: takes (state, batch), where batch["mask"] is 1 for an example and 0 for padding, and returns sums over
        the examples: {"loss": total, "accuracy": total, "count": number of examples}. A metric that is counted in
        something else (tokens, episodes) is a Mean with a count of its own.
    predict: for a classifier only: takes (state, batch), returns logits (B, classes).
    confuse: for a classifier only: takes what `evaluate` takes, returns its sums together with the confusion matrix of
        the batch, int32 (classes, classes): row: the true class, column: the predicted one; padding is not counted.
    correct: for a classifier only: takes what `evaluate` takes, returns its sums together with which examples are
        right, (B,): 1 where one is, 0 where it is not and for padding.
    """

    init: Callable[[Array], State]
    step: Callable[[State, Any, Array], tuple[State, Metrics]]
    evaluate: Callable[[State, Any], Metrics]
    predict: Callable[[State, Any], Array] | None = None
    confuse: Callable[[State, Any], tuple[Metrics, Array]] | None = None
    correct: Callable[[State, Any], tuple[Metrics, Array]] | None = None


class Source(Protocol):
    """A pytree of arrays from which a compiled program makes its batches. See train.data.sources."""

    def plan(self, key: Array, step: Array, n: int) -> Any:
        """Return what `feed` needs for each of the n steps from `step` on, with leaves (n, ...)."""
        ...

    def feed(self, planned: Any, use: Callable[[Any], T]) -> T:
        """Return `use(batch)` for the batch of one planned step.

        Batches may differ in shape from step to step, so `use` is called here, once for each shape; what it returns
        must have one shape.
        """
        ...


def descend(
    state: State,
    name: str,
    tx: optax.GradientTransformation,
    loss_fn: Callable[[Any], tuple[Loss, tuple[Any, Metrics]]],
    *,
    gradient_norm: bool = False,
) -> tuple[State, Metrics]:
    """Update params[name] by one optimizer step and return (state, metrics); "loss" joins the metrics.

    loss_fn: takes the parameters, returns (loss, (variables, metrics)). A loss that divides by what only the batch
        says (real tokens) is a tuple of Means, so that accumulated batches weigh as one large batch would.
    gradient_norm: also return "gradient_norm", the global norm before any clipping.
    """
    # Only an average of the weights takes the variables: it averages them as well.
    tx = optax.with_extra_args_support(tx)
    if isinstance(tx, BySums):
        loss, (variables, metrics), grads, counts = _gradients_of_totals(loss_fn, state.params[name])
        updates, opt = tx.update(grads, state.opt[name], state.params[name], variables=variables, counts=counts)
    else:
        (loss, (variables, metrics)), grads = jax.value_and_grad(_number(loss_fn), has_aux=True)(state.params[name])
        updates, opt = tx.update(grads, state.opt[name], state.params[name], variables=variables)
    params = optax.apply_updates(state.params[name], updates)
    new = state.replace(
        params=state.params | {name: params},
        opt=state.opt | {name: opt},
        vars=state.vars | {name: variables},
    )
    norm = {"gradient_norm": optax.tree.norm(grads)} if gradient_norm else {}
    return new, {"loss": loss, **norm, **metrics}


def _number(loss_fn: Callable[[Any], tuple[Loss, T]]) -> Callable[[Any], tuple[Array, T]]:
    """Return `loss_fn` with a loss of Means divided and added up."""

    def number_of(params: Any) -> tuple[Array, T]:
        loss, aux = loss_fn(params)
        return _divided(loss) if isinstance(loss, tuple) else loss, aux

    return number_of


def _gradients_of_totals(
    loss_fn: Callable[[Any], tuple[Loss, T]], params: Any
) -> tuple[Array, T, tuple[Any, ...], tuple[Array, ...]]:
    """Return (loss, aux, the gradient of each total, the counts) of a loss of Means."""

    def totals_of(params: Any) -> tuple[tuple[Array, ...], tuple[tuple[Mean, ...], T]]:
        means, aux = loss_fn(params)
        assert isinstance(means, tuple), "an accumulation of sums needs a loss of Means"
        return tuple(mean.total for mean in means), (means, aux)

    totals, pull_back, (means, aux) = jax.vjp(totals_of, params, has_aux=True)
    gradients = []
    for own in range(len(totals)):
        (gradient,) = pull_back(tuple(jnp.full_like(total, i == own) for i, total in enumerate(totals)))
        gradients.append(gradient)
    return _divided(means), aux, tuple(gradients), tuple(mean.count for mean in means)


def _divided(means: tuple[Mean, ...]) -> Array:
    return functools.reduce(operator.add, (mean.total / mean.count for mean in means))
