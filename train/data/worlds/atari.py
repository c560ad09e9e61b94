"""Atari games in the vector environment of ale-py, whose emulators are called from within the compiled program.

Observations are 84 x 84 grey frames, the four newest stacked. An action is held for four frames, and the observed frame
is the pixelwise maximum of the last two. An episode starts with up to 30 idle actions, and with FIRE where a game waits
for it. The last action is repeated with probability 0.25 (Machado et al. 2018, arXiv:1709.06009, who press no FIRE).
Rewards are the game's own; `task.clip_rewards` clips them for learning. A lost life ends no episode, not in training
either, where Mnih et al. 2015 end it (Methods, "Training details").

The emulators live outside of the compiled program and of its State. So a resumed run starts new episodes and does not
reproduce an uninterrupted run bit for bit, and several seeds cannot be trained in one program.
"""

import importlib.util
import os
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from train.core import machine
from train.data.worlds.environment import Environment, NativeStep, NativeVectorEnv, Step, no_single_copy
from zoo.errors import UserError, unknown

STICKY = 0.25  # probability that the last action is repeated
FRAME_SKIP = 4  # frames that an action is held for
TIME_LIMIT = 27_000  # actions: half an hour of play
PREFIX = "atari/"
_EMULATORS: list[Any] = []
"""All emulators of this process. Compiled programs refer to them by address, so they must never be freed."""


def make(name: str, time_limit: int | None = None, sticky: float | None = None) -> Environment:
    """Return the game with observations (84, 84, 4) uint8, the newest frame last."""
    missing = [module for module in ("ale_py", "chex") if importlib.util.find_spec(module) is None]
    if missing:
        raise UserError(f"{name} needs ale-py, the extra `atari`: pip install 'zoo-timeline[atari]'")
    if jax.default_backend() != "cpu":
        raise UserError(f"{name} runs on the CPU only: its emulators are there (JAX_PLATFORMS=cpu)")
    from ale_py import roms

    game = name.removeprefix(PREFIX)
    if game not in roms.get_all_rom_ids():
        raise unknown("environment", name, [PREFIX + other for other in roms.get_all_rom_ids()])
    limit = time_limit or TIME_LIMIT
    repeat_probability = STICKY if sticky is None else sticky

    def native_vector_env(num_envs: int) -> NativeVectorEnv:
        return _native_vector_env(_start_emulators(game, num_envs, limit, repeat_probability), num_envs)

    actions = int(_start_emulators(game, 1, limit, repeat_probability).single_action_space.n)
    return Environment(
        name,
        reset=no_single_copy,
        step=no_single_copy,
        observation=jax.ShapeDtypeStruct((84, 84, 4), jnp.uint8),
        actions=actions,
        time_limit=limit,
        native_vector_env=native_vector_env,
        stacked=True,
    )


def _start_emulators(game: str, num_envs: int, time_limit: int, sticky: float) -> Any:
    from ale_py.vector_env import AtariVectorEnv

    return AtariVectorEnv(
        game,
        num_envs,
        reward_clipping=False,
        repeat_action_probability=sticky,
        max_num_frames_per_episode=FRAME_SKIP * time_limit,
        frameskip=FRAME_SKIP,
    )


def _native_vector_env(emulators: Any, num_envs: int) -> NativeVectorEnv:
    _EMULATORS.append(emulators)
    machine.keep_no_more_programs()  # those with emulators hold the address below, and fill the cache at every start
    with jax.ensure_compile_time_eval():  # evaluation starts its emulators while it is traced
        handle, reset_emulators, step_emulators = emulators.xla()
    handle = np.asarray(handle)  # their address in this process
    # A State that another process has saved refers to emulators that no longer exist. This number detects it.
    process_id = int.from_bytes(os.urandom(3), "big")

    def make_states(handle: Array, ended: Array) -> dict[str, Array]:
        # The calls must run in order, but only data dependencies order them in a compiled program. So each call takes
        # the handle that the last one returned. It is tiled because every leaf needs a leading axis of num_envs.
        # Checkpoints store these three arrays under these names.
        return {
            "born": jnp.full(num_envs, process_id, jnp.int32),
            "over": ended,
            "where": jnp.tile(handle, (num_envs, 1)),
        }

    def start_episodes(seeds: Array) -> tuple[Array, Array]:
        next_handle, (frames, _) = reset_emulators(handle, (seeds >> 1).astype(jnp.int32))
        return next_handle, _channels_last(frames)

    def reset(keys: Array) -> tuple[Array, Any]:
        seeds = jax.vmap(lambda key: jax.random.bits(key, (), jnp.uint32))(keys)
        next_handle, observations = start_episodes(seeds)
        return observations, make_states(next_handle, jnp.zeros(num_envs, bool))

    def step(seeds: Array, states: Any, observations: Array, actions: Array) -> NativeStep:
        same_process = (states["born"] == process_id).all()
        next_handle, observations = jax.lax.cond(
            same_process,
            lambda: (states["where"][0], observations),
            lambda: start_episodes(seeds),
        )
        next_handle, (frames, rewards, terminated, truncated, _) = step_emulators(next_handle, actions)
        result = Step(_channels_last(frames), rewards.astype(jnp.float32), terminated, truncated)
        # An emulator whose episode ended in the last step ignores this action and shows its next episode.
        resetting = states["over"] & same_process
        return NativeStep(
            make_states(next_handle, terminated | truncated), observations, result, resetting, restarted=~same_process
        )

    return NativeVectorEnv(reset, step)


def _channels_last(frames: Array) -> Array:
    """(N, 4, 84, 84) -> (N, 84, 84, 4)."""
    return jnp.moveaxis(frames, 1, -1)
