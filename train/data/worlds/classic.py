"""Classic control: the dynamics of gymnax, the time limits and thresholds of Gymnasium.

CartPole: Barto, Sutton and Anderson 1983. Acrobot: Sutton 1996. MountainCar: Moore 1990.
"""

from typing import Any, NamedTuple

from jax import Array

from train.data.worlds.environment import Environment, limited

NO_LIMIT = 2**31 - 1


class Version(NamedTuple):
    """One version of an environment in Gymnasium."""

    gymnax_name: str
    time_limit: int
    solved: float  # mean return from which Gymnasium counts it as solved


CLASSIC = {
    "CartPole-v0": Version("CartPole-v1", time_limit=200, solved=195.0),
    "CartPole-v1": Version("CartPole-v1", time_limit=500, solved=475.0),
    "Acrobot-v1": Version("Acrobot-v1", time_limit=500, solved=-100.0),
    "MountainCar-v0": Version("MountainCar-v0", time_limit=200, solved=-110.0),
}


def make(name: str, time_limit: int | None = None) -> Environment:
    """Return the environment with observations (n,) float32."""
    import gymnax  # slow to import

    version = CLASSIC[name]
    gymnax_env, params = gymnax.make(version.gymnax_name)
    # gymnax reports its own time limit as `terminated`, and its `step` resets by itself. So its limit is switched off,
    # and `reset_env` and `step_env` are called, which do neither.
    params = params.replace(max_steps_in_episode=NO_LIMIT)

    def reset(key: Array) -> tuple[Array, Any]:
        return gymnax_env.reset_env(key, params)

    def step(key: Array, state: Any, action: Array) -> tuple[Any, Array, Array, Array]:
        observation, state, reward, terminated, _ = gymnax_env.step_env(key, state, action, params)
        return state, observation, reward, terminated

    limit = time_limit or version.time_limit
    return limited(name, reset, step, gymnax_env.num_actions, limit, version.solved)
