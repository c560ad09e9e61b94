"""Random bits by the names of what they decide.

A step of the loop draws all its random bits at once. On a CPU each `jax.random.split` of a small key costs as much as a
layer of a small network.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array


class EnvNoise(NamedTuple):
    """Random bits of one step of N environments."""

    step_key: Array  # (N, 2) uint32: the key of the environment's own step
    reset_key: Array  # (N, 2) uint32: the key of the next episode, used where this one ends; (N, 0) without resets

    @property
    def emulator_seed(self) -> Array:
        """(N,) uint32: the only bits that emulators take, which draw their random numbers themselves."""
        return self.step_key[..., 0]


class StepNoise(NamedTuple):
    """Random bits of one step of an agent in N environments."""

    explore: Array  # (N,) uint32: whether the action is random
    action: Array  # (N,) uint32: which action that is
    env: EnvNoise


class FillNoise(NamedTuple):
    """Random bits of one step of purely random actions in N environments."""

    action: Array  # (N,) uint32
    env: EnvNoise


ENV_WORDS = 4  # uint32 that `env_noise` takes for each environment
FILL_WORDS = 1 + ENV_WORDS
STEP_WORDS = 2 + ENV_WORDS


def env_noise(bits: Array) -> EnvNoise:
    """Name the columns of `bits` (..., N, ENV_WORDS) uint32."""
    return EnvNoise(step_key=bits[..., :2], reset_key=bits[..., 2:])


def fill_noise(bits: Array) -> FillNoise:
    """Name the columns of `bits` (..., N, FILL_WORDS) uint32."""
    return FillNoise(action=bits[..., 0], env=env_noise(bits[..., 1:]))


def step_noise(bits: Array) -> StepNoise:
    """Name the columns of `bits` (..., N, STEP_WORDS) uint32; two fewer where no environment is ever reset."""
    return StepNoise(explore=bits[..., 0], action=bits[..., 1], env=env_noise(bits[..., 2:]))


def as_keys(bits: Array) -> Array:
    """Turn bits (..., 2) uint32 into keys (...)."""
    return jax.random.wrap_key_data(bits, impl="threefry2x32")


def uniform_float(bits: Array) -> Array:
    """Turn uint32 bits into float32 numbers in [0, 1), in steps of 2^-24."""
    return (bits >> 8).astype(jnp.float32) * 2**-24


def uniform_int(bits: Array, count: Array | int) -> Array:
    """Turn uint32 bits into int32 numbers from 0 to `count` - 1; `count` is at most 2^24.

    Some numbers are more likely than others, by a factor of at most 1 + count / 2^24.
    """
    # The product may round up to `count` itself.
    return jnp.minimum((uniform_float(bits) * count).astype(jnp.int32), count - 1)
