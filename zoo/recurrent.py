"""Recurrent layers: LSTM (Hochreiter & Schmidhuber 1997) and GRU (Cho et al. 2014, arXiv:1406.1078),
whose update gate has the sign of Bahdanau et al. 2014 (see `gru_step`).

x (B, T, D) -> outputs (B, T, units) and the state after the last step. The kernels of all gates are side by side in
one matrix. The inputs of all steps are multiplied at once, before the scan over time; only the recurrent multiplication
happens inside. Where a mask (B, T) is False the state does not change, so padding has no effect on a result.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import Array, lax
from jax.nn.initializers import Initializer

from zoo.layers import Dense, single_matmul

LSTMState = tuple[Array, Array]  # (c, h), each (B, units): the cell state and the hidden state


def uniform(spread: float) -> Initializer:
    """Return an initializer, uniform between -spread and spread, for kernels and biases."""

    def init(key: Array, shape: Any, dtype: Any = jnp.float32, out_sharding: Any = None) -> Array:
        return jax.random.uniform(key, shape, dtype, -spread, spread)

    return init


def orthogonal(key: Array, shape: tuple[int, int], dtype: Any = jnp.float32) -> Array:
    """Initialize a kernel (units, gates * units) with a random orthogonal matrix for each gate."""
    units, columns = shape
    square = nn.initializers.orthogonal()
    keys = jax.random.split(key, columns // units)
    return jnp.concatenate([square(k, (units, units), dtype) for k in keys], axis=1)


def over_time(
    step: Callable[[Any, Any], tuple[Any, Any]],
    state: Any,
    inputs: Any,
    mask: Array | None = None,
    reverse: bool = False,
) -> tuple[Any, Any]:
    """Scan `step` over time: like `lax.scan`, but inputs and outputs are (B, T, ...). Return (final state, outputs).

    `step` maps (state, input of one step) to (state, output). Where mask (B, T) is False the state does not change and
    the output is 0. `reverse` scans from the last step to the first.
    """

    def swap_batch_and_time(tree: Any) -> Any:
        return jax.tree.map(lambda a: a.swapaxes(0, 1), tree)

    def masked_step(state: Any, input_and_mask: tuple[Any, Array | None]) -> tuple[Any, Any]:
        step_input, is_real = input_and_mask  # is_real: (B,) bool, None without a mask
        new_state, output = step(state, step_input)
        if is_real is not None:
            new_state = jax.tree.map(lambda new, old: jnp.where(is_real[:, None], new, old), new_state, state)
            output = jax.tree.map(lambda y: jnp.where(is_real[:, None], y, jnp.zeros_like(y)), output)
        return new_state, output

    state, outputs = lax.scan(masked_step, state, swap_batch_and_time((inputs, mask)), reverse=reverse)
    return state, swap_batch_and_time(outputs)


Step = Callable[[Any, Any, Array], tuple[Any, Array, tuple[Array, ...]]]
"""(kernels, state, gates of one step (B, G)) -> (new state, output, the factor (B, units) of each kernel's product).

The products with the kernels, side by side, are added to the gates.
"""


@partial(jax.custom_jvp, nondiff_argnums=(0, 1))
def recur(
    step: Step, reverse: bool, kernels: tuple[Array, ...], state: Any, gates: Array, mask: Array | None
) -> tuple[Any, Array]:
    """Scan a recurrent layer over gates (B, T, G) -> (final state, outputs (B, T, units)); see `over_time`.

    The gradient of a kernel is one multiplication over all steps, after the scan. JAX's own would multiply once in each
    step and add up the results, which are as large as the kernel.
    """
    final, (outputs, _) = _scan(step, reverse, kernels, state, gates, mask)
    return final, outputs


def _scan(step: Step, reverse: bool, kernels: Any, state: Any, gates: Array, mask: Array | None) -> tuple[Any, Any]:
    def advance(state: Any, gates: Array) -> tuple[Any, tuple[Array, tuple[Array, ...]]]:
        state, output, factors = step(kernels, state, gates)
        return state, (output, factors)

    return over_time(advance, state, gates, mask, reverse)


@recur.defjvp
def _recur_tangent(step: Step, reverse: bool, primals: tuple, tangents: tuple) -> tuple[Any, Any]:
    """Return the outputs and their tangents: a change of a kernel acts as the change of the gates that it makes."""
    (kernels, state, gates, mask), (dkernels, dstate, dgates, _) = primals, tangents

    def scan(state: Any, gates: Array) -> tuple[Any, Any]:
        final, (outputs, factors) = _scan(step, reverse, kernels, state, gates, mask)
        return (final, outputs), factors

    primal, linear, factors = jax.linearize(scan, state, gates, has_aux=True)
    changes = [single_matmul(factor, dkernel) for factor, dkernel in zip(factors, dkernels, strict=True)]
    return primal, linear(dstate, dgates + jnp.concatenate(changes, -1))


def lstm_step(kernels: tuple[Array], state: LSTMState, gates: Array) -> tuple[LSTMState, Array, tuple[Array]]:
    """Advance an LSTM by one step: a `Step` with one kernel (units, 4 * units).

    `gates` (B, 4 * units) is the contribution of the input to the gates: input, forget, output, candidate.
    """
    c, h = state
    # Without the barrier XLA:CPU computes the product's slices and their activations in one slow loop.
    i, f, o, candidate = lax.optimization_barrier(tuple(jnp.split(gates + h @ kernels[0], 4, axis=1)))
    c = nn.sigmoid(f) * c + nn.sigmoid(i) * nn.tanh(candidate)
    new_h = nn.sigmoid(o) * nn.tanh(c)
    return (c, new_h), new_h, (h,)


def gru_step(kernels: tuple[Array, Array], h: Array, gates: Array) -> tuple[Array, Array, tuple[Array, Array]]:
    """Advance a GRU by one step: a `Step` whose state is its output.

    `gates` (B, 3 * units) is the contribution of the input: reset, update, candidate. `kernels` are (units, 2 * units)
    for reset and update, and (units, units) for the candidate, which is multiplied by reset * h, as in the paper.
    The update gate z is the share of the candidate (Bahdanau et al. 2014, arXiv:1409.0473, appendix A.1.1); Cho et al.
    and most libraries call 1 - z the update gate.
    """
    r_and_z, candidate = jnp.split(gates, [2 * h.shape[1]], axis=1)
    r, z = jnp.split(nn.sigmoid(r_and_z + h @ kernels[0]), 2, axis=1)
    reset = r * h
    candidate = nn.tanh(candidate + reset @ kernels[1])
    new_h = (1 - z) * h + z * candidate
    return new_h, new_h, (h, reset)


def gru_step_reset_after(kernel: Array, bias: Array, h: Array, gates: Array) -> tuple[Array, Array]:
    """Advance a GRU whose reset gate acts after the multiplication by the kernel, as in cuDNN, PyTorch and Keras.

    kernel (units, 3 * units) and bias (3 * units,) belong to the hidden state; `gates` and the meaning of the update
    gate are as in `gru_step`, so weights of these libraries need the opposite sign there (see zoo.weights.recurrent).
    """
    units = h.shape[1]
    recurrent = h @ kernel + bias[None]
    r, z = jnp.split(nn.sigmoid(gates[:, : 2 * units] + recurrent[:, : 2 * units]), 2, axis=1)
    candidate = nn.tanh(gates[:, 2 * units :] + r * recurrent[:, 2 * units :])
    h = (1 - z) * h + z * candidate
    return h, h


class LSTM(nn.Module):
    """x (B, T, D) -> (outputs (B, T, units), final state (c, h)); the initial state is `state` or zero.

    It has the forget gate of Gers et al. 2000 (DOI 10.1162/089976600300015015) and no peepholes. Parameters: `input`, a
    kernel (D, 4 * units) and a bias, and `recurrent` (units, 4 * units); with `two_biases` also `recurrent_bias`
    (4 * units,), which is added to the other bias.
    """

    units: int
    initializer: Initializer  # of kernels and biases
    reverse: bool = False
    two_biases: bool = False

    @nn.compact
    def __call__(self, x: Array, state: LSTMState | None = None, mask: Array | None = None) -> tuple[Array, LSTMState]:
        dense = Dense(4 * self.units, kernel_init=self.initializer, bias_init=self.initializer, name="input")
        gates = dense(x)  # (B, T, 4 * units)
        kernel = self.param("recurrent", self.initializer, (self.units, 4 * self.units), jnp.float32).astype(
            gates.dtype
        )
        if self.two_biases:
            bias = self.param("recurrent_bias", self.initializer, (4 * self.units,), jnp.float32)
            gates = gates + bias.astype(gates.dtype)[None, None]
        if state is None:
            zero = jnp.zeros((x.shape[0], self.units), gates.dtype)
            state = (zero, zero)
        final, outputs = recur(lstm_step, self.reverse, (kernel,), state, gates, mask)
        return outputs, final


class GRU(nn.Module):
    """x (B, T, D) -> (outputs (B, T, units), final state (B, units)); the initial state is `state` or zero.

    Parameters: `input`, a kernel (D, 3 * units) and a bias, and `recurrent` (units, 3 * units), initially orthogonal;
    with `reset_after` also `recurrent_bias` (3 * units,).
    """

    units: int
    initializer: Initializer  # of the input kernel; the bias starts at 0
    reverse: bool = False
    reset_after: bool = False

    @nn.compact
    def __call__(self, x: Array, state: Array | None = None, mask: Array | None = None) -> tuple[Array, Array]:
        gates = Dense(3 * self.units, kernel_init=self.initializer, name="input")(x)  # (B, T, 3 * units)
        kernel = self.param("recurrent", orthogonal, (self.units, 3 * self.units), jnp.float32).astype(gates.dtype)
        if state is None:
            state = jnp.zeros((x.shape[0], self.units), gates.dtype)
        if self.reset_after:
            bias = self.param("recurrent_bias", nn.initializers.zeros_init(), (3 * self.units,), jnp.float32).astype(
                gates.dtype
            )
            final, outputs = over_time(partial(gru_step_reset_after, kernel, bias), state, gates, mask, self.reverse)
        else:
            kernels = tuple(jnp.split(kernel, [2 * self.units], axis=1))  # of reset and update; of the candidate
            final, outputs = recur(gru_step, self.reverse, kernels, state, gates, mask)
        return outputs, final


class LSTMStack(nn.Module):
    """`depth` LSTM layers: x (B, T, D) -> (outputs (B, T, units), the final (c, h) of every layer).

    Dropout applies to the input of each layer, never to the recurrent connection (Zaremba et al. 2014, equation 7).
    """

    units: int
    depth: int
    dropout: float
    initializer: Initializer
    two_biases: bool = False

    @nn.compact
    def __call__(
        self,
        x: Array,
        states: tuple[LSTMState, ...] | None = None,
        mask: Array | None = None,
        *,
        train: bool,
    ) -> tuple[Array, tuple[LSTMState, ...]]:
        final = []
        for i in range(self.depth):
            x = nn.Dropout(self.dropout, deterministic=not train, name=f"dropout{i}")(x)
            state = None if states is None else states[i]
            x, state = LSTM(self.units, self.initializer, two_biases=self.two_biases, name=f"layer{i}")(x, state, mask)
            final.append(state)
        return x, tuple(final)
