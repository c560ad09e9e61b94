"""Atari games by the vector environment of ale-py, whose emulators are called from within the compiled program.

84 x 84 grey frames, four of them stacked, each the larger of the last two of four that an action is held for, up to 30
idle actions at the start, the last action repeated with a chance of 0.25 (Machado et al. 2018, arXiv:1709.06009).
Rewards are as the game gives them; `task.clip_rewards` cuts them for learning.

The emulators live outside of the program and of its State. So a run that is resumed goes on in episodes that begin
anew and is not the same to the bit, and seeds cannot be trained side by side.
"""

import importlib.util
import os
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from train.data.worlds.environment import Environment, NativeVectorEnv, Step
from zoo.errors import UserError, unknown

STICKY = 0.25
HELD = 4  # frames that an action is held for
LONGEST = 27_000  # actions: half an hour of play
PREFIX = "atari/"
_KEPT: list[Any] = []
"""All emulators, for as long as the process: compiled programs know them by address alone."""


def make(name: str, time_limit: int | None = None, sticky: float | None = None) -> Environment:
    """Observations are (84, 84, 4) uint8, the newest frame last."""
    missing = [module for module in ("ale_py", "chex") if importlib.util.find_spec(module) is None]
    if missing:
        raise UserError(f"{name} needs ale-py, the extra `atari`: pip install 'zoo-timeline[atari]'")
    if jax.default_backend() != "cpu":
        raise UserError(f"{name} runs on the CPU only: its emulators are there (JAX_PLATFORMS=cpu)")
    from ale_py import roms

    game = name.removeprefix(PREFIX)
    if game not in roms.get_all_rom_ids():
        raise unknown("environment", name, [PREFIX + other for other in roms.get_all_rom_ids()])
    limit, chance = time_limit or LONGEST, STICKY if sticky is None else sticky

    def herd(count: int) -> NativeVectorEnv:
        return _herd(game, count, limit, chance)

    observation = jax.ShapeDtypeStruct((84, 84, 4), jnp.uint8)
    actions = int(_emulators(game, 1, limit, chance).single_action_space.n)
    return Environment(name, None, None, observation, actions, limit, None, herd, stacked=True)


def _emulators(game: str, count: int, limit: int, sticky: float) -> Any:
    from ale_py.vector_env import AtariVectorEnv

    how = {"repeat_action_probability": sticky, "max_num_frames_per_episode": HELD * limit, "frameskip": HELD}
    return AtariVectorEnv(game, count, reward_clipping=False, **how)


def _herd(game: str, count: int, limit: int, sticky: float) -> NativeVectorEnv:
    emulators = _emulators(game, count, limit, sticky)
    _KEPT.append(emulators)
    with jax.ensure_compile_time_eval():  # evaluation makes its emulators while it is traced
        handle, reset, step = emulators.xla()
    handle = np.asarray(handle)  # where they are in this process
    born = int.from_bytes(os.urandom(3), "big")  # tells a State that another process has saved

    def begin(keys: Array) -> tuple[Array, Any]:
        bits = jax.vmap(lambda key: jax.random.bits(key, (), jnp.uint32))(keys)
        where, frames = start(bits)
        return frames, state(where, jnp.zeros(count, bool))

    def state(where: Array, over: Array) -> dict[str, Array]:
        """Each call hands on where the emulators are, so that none is made before the last one."""
        return {"born": jnp.full(count, born, jnp.int32), "over": over, "where": jnp.tile(where, (count, 1))}

    def start(bits: Array) -> tuple[Array, Array]:
        where, (frames, _) = reset(handle, (bits >> 1).astype(jnp.int32))
        return where, jnp.moveaxis(frames, 1, -1)  # (N, 4, 84, 84) -> (N, 84, 84, 4)

    def following(noise: Array, states: Any, observations: Array, actions: Array) -> tuple[Any, Array, Step, Array]:
        ours = (states["born"] == born).all()
        where, seen = jax.lax.cond(ours, lambda: (states["where"][0], observations), lambda: start(noise))
        where, (frames, rewards, terminated, truncated, _) = step(where, actions)
        led_to = Step(jnp.moveaxis(frames, 1, -1), rewards.astype(jnp.float32), terminated, truncated)
        return state(where, terminated | truncated), seen, led_to, states["over"] & ours

    return NativeVectorEnv(begin, following)
