"""Recurrent layers: LSTM (Hochreiter & Schmidhuber 1997) and GRU (Cho et al. 2014, arXiv:1406.1078).

x (B, T, D) -> outputs (B, T, units) and the state after the last step. All gates come from one product, and the
product of the inputs is made for all steps at once, before the scan; inside, time is the first axis. A mask (B, T)
lets the state stand still where it is False, so that padding cannot change an answer.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import Array, lax
from jax.nn.initializers import Initializer

from zoo.layers import Dense

LSTMState = tuple[Array, Array]  # (c, h), each (B, units): the memory of the cells, and what they show of it


def uniform(spread: float) -> Initializer:
    """Uniform between -spread and spread, for kernels and biases alike."""
    return lambda key, shape, dtype=jnp.float32: jax.random.uniform(key, shape, dtype, -spread, spread)


def orthogonal(key: Array, shape: tuple[int, int], dtype: Any = jnp.float32) -> Array:
    """(units, n * units): a random orthogonal matrix for each of n gates."""
    units, columns = shape
    draw = nn.initializers.orthogonal()
    return jnp.concatenate([draw(k, (units, units), dtype) for k in jax.random.split(key, columns // units)], axis=1)


def over_time(
    step: Callable[[Any, Any], tuple[Any, Any]],
    state: Any,
    inputs: Any,
    mask: Array | None = None,
    reverse: bool = False,
) -> tuple[Any, Any]:
    """(outputs, final state) of step(state, input of one step) -> (state, output), inputs and outputs (B, T, ...).

    Where mask (B, T) is False the state stays as it is and the output is 0. `reverse` runs from the last step to the
    first.
    """

    def turn(tree: Any) -> Any:
        return jax.tree.map(lambda a: a.swapaxes(0, 1), tree)

    def masked(state: Any, now: tuple[Any, Array | None]) -> tuple[Any, Any]:
        inputs, real = now
        new, output = step(state, inputs)
        if real is not None:
            new = jax.tree.map(lambda new, old: jnp.where(real[:, None], new, old), new, state)
            output = jax.tree.map(lambda y: jnp.where(real[:, None], y, 0), output)
        return new, output

    state, outputs = lax.scan(masked, state, turn((inputs, mask)), reverse=reverse)
    return turn(outputs), state


def lstm_step(kernel: Array, state: LSTMState, gates: Array) -> tuple[LSTMState, Array]:
    """One step with kernel (H, 4H) and the inputs' share of the gates (B, 4H): input, forget, output, candidate."""
    c, h = lstm_cell(state[0], gates + state[1] @ kernel)
    return (c, h), h


@jax.checkpoint  # for the gradient, to make the gates again costs less than to store and load them
def lstm_cell(c: Array, gates: Array) -> LSTMState:
    """The new (c, h) of a step."""
    i, f, o = jnp.split(nn.sigmoid(gates[:, : 3 * c.shape[1]]), 3, axis=1)
    c = f * c + i * nn.tanh(gates[:, 3 * c.shape[1] :])
    return c, o * nn.tanh(c)


def gru_step(kernels: tuple[Array, Array], h: Array, gates: Array) -> tuple[Array, Array]:
    """One step with kernels (H, 2H) and (H, H), and the inputs' share of the gates (B, 3H): reset, update, candidate.

    The candidate reads reset * h, as the paper has it; `gru_step_after` resets after the product instead.
    """
    cut = 2 * h.shape[1]
    r, z = jnp.split(nn.sigmoid(gates[:, :cut] + h @ kernels[0]), 2, axis=1)
    new = nn.tanh(gates[:, cut:] + (r * h) @ kernels[1])
    h = (1 - z) * h + z * new
    return h, h


def gru_step_after(kernel: Array, bias: Array, h: Array, gates: Array) -> tuple[Array, Array]:
    """`gru_step` as cuDNN, PyTorch and Keras have it: kernel (H, 3H) and bias (3H,) first, then the reset."""
    width = h.shape[1]
    read = h @ kernel + bias[None]
    r, z = jnp.split(nn.sigmoid(gates[:, : 2 * width] + read[:, : 2 * width]), 2, axis=1)
    new = nn.tanh(gates[:, 2 * width :] + r * read[:, 2 * width :])
    h = (1 - z) * h + z * new
    return h, h


class LSTM(nn.Module):
    """x (B, T, D) -> (outputs (B, T, units), final state (c, h)), from `state` or from zero.

    With the forget gate of Gers et al. 2000 (DOI 10.1162/089976600300015015) and no peepholes. Parameters: `input`
    (D, 4 * units) with the one bias, `recurrent` (units, 4 * units).
    """

    units: int
    initializer: Initializer  # of kernels and bias
    reverse: bool = False

    @nn.compact
    def __call__(self, x: Array, state: LSTMState | None = None, mask: Array | None = None) -> tuple[Array, LSTMState]:
        dense = Dense(4 * self.units, kernel_init=self.initializer, bias_init=self.initializer, name="input")
        gates = dense(x)  # (B, T, 4 * units)
        kernel = self.param("recurrent", self.initializer, (self.units, 4 * self.units)).astype(gates.dtype)
        if state is None:
            state = (jnp.zeros((x.shape[0], self.units), gates.dtype),) * 2
        return over_time(partial(lstm_step, kernel), state, gates, mask, self.reverse)


class GRU(nn.Module):
    """x (B, T, D) -> (outputs (B, T, units), final state (B, units)), from `state` or from zero.

    Parameters: `input` (D, 3 * units) with bias, `recurrent` (units, 3 * units), orthogonal at first; with
    `reset_after` also `recurrent_bias` (3 * units,).
    """

    units: int
    initializer: Initializer  # of the input's kernel; the bias starts at 0
    reverse: bool = False
    reset_after: bool = False

    @nn.compact
    def __call__(self, x: Array, state: Array | None = None, mask: Array | None = None) -> tuple[Array, Array]:
        gates = Dense(3 * self.units, kernel_init=self.initializer, name="input")(x)  # (B, T, 3 * units)
        kernel = self.param("recurrent", orthogonal, (self.units, 3 * self.units)).astype(gates.dtype)
        if self.reset_after:
            bias = self.param("recurrent_bias", nn.initializers.zeros_init(), (3 * self.units,)).astype(gates.dtype)
            step = partial(gru_step_after, kernel, bias)
        else:
            step = partial(gru_step, jnp.split(kernel, [2 * self.units], axis=1))
        if state is None:
            state = jnp.zeros((x.shape[0], self.units), gates.dtype)
        return over_time(step, state, gates, mask, self.reverse)


class LSTMStack(nn.Module):
    """`depth` layers of LSTM: x (B, T, D) -> (outputs (B, T, units), the final (c, h) of every layer).

    Dropout acts on the input of each layer, never from one step to the next (Zaremba et al. 2014, equation 7).
    """

    units: int
    depth: int
    dropout: float
    initializer: Initializer

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
            x, state = LSTM(self.units, self.initializer, name=f"layer{i}")(x, state, mask)
            final.append(state)
        return x, tuple(final)
