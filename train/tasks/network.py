"""Network: one model with its optimizer, as every task with a single network uses it."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import linen as nn
from jax import Array

from train.algorithms.averages import evaluation_variables, init_optimizer
from train.algorithms.freezing import patterns_of, still_statistics
from train.core import Loss, Metrics, State, descend
from train.tasks.initial import redrawn

ModelInputs = Mapping[str, Array]  # the arguments of the model, by name


@dataclasses.dataclass(frozen=True)
class Network:
    """`model` and the optimizer of its parameters, called "net" in a State.

    With precision "bfloat16" parameters and floating inputs are cast for the forward and backward pass; parameters,
    updates and batch statistics stay float32.
    """

    model: nn.Module
    tx: optax.GradientTransformation
    precision: str = "float32"
    initial: str = ""  # a rule of train.tasks.initial; "": the model's own initial values

    def init(self, key: Array, inputs: ModelInputs) -> State:
        """Return a fresh State; `inputs` only give shapes."""
        arguments: dict[str, Any] = dict(inputs)
        variables = dict(self.model.init(key, **arguments, train=False))
        params = redrawn(self.initial, variables.pop("params"), jax.random.fold_in(key, 1))
        opt = init_optimizer(self.tx, params, variables)
        return State(jnp.zeros((), jnp.int32), {"net": params}, {"net": opt}, {"net": variables})

    def descend(
        self, state: State, inputs: ModelInputs, key: Array, loss_fn: Callable[[Any], tuple[Loss, Metrics]]
    ) -> tuple[State, Metrics]:
        """Take one gradient step on `loss_fn(output of the model in training) -> (loss, metrics)`.

        `key` is that of dropout.
        """
        variables = state.vars["net"]

        def loss_of(params: Any) -> tuple[Loss, tuple[Any, Metrics]]:
            with still_statistics(patterns_of(self.tx), params):
                output, updated = self._apply(
                    params, variables, inputs, train=True, rngs={"dropout": key}, mutable=list(variables)
                )
            loss, metrics = loss_fn(output)
            return loss, (updated, metrics)

        return descend(state, "net", self.tx, loss_of)

    def evaluate(self, state: State, inputs: ModelInputs) -> Any:
        """Return the output of the model in evaluation mode."""
        variables = evaluation_variables(state)
        return self._apply(variables.pop("params"), variables, inputs, train=False)

    def _apply(self, params: Any, variables: Any, inputs: ModelInputs, **mode: Any) -> Any:
        def cast(leaf: Array) -> Array:
            return leaf.astype(self.precision) if jnp.issubdtype(leaf.dtype, jnp.floating) else leaf

        params, inputs = jax.tree.map(cast, (params, dict(inputs)))
        return self.model.apply({"params": params, **variables}, **inputs, **mode)
