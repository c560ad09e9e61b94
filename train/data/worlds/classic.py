"""Classic control by gymnax: the dynamics are the library's, the time limits and thresholds Gymnasium's.

CartPole: Barto, Sutton and Anderson 1983. Acrobot: Sutton 1996. MountainCar: Moore 1990.
"""

from typing import Any

from jax import Array

from train.data.worlds.environment import Environment, limited

NEVER = 2**31 - 1
CLASSIC = {  # name: (the version gymnax has, time limit, mean return from which Gymnasium counts it as solved)
    "CartPole-v0": ("CartPole-v1", 200, 195.0),
    "CartPole-v1": ("CartPole-v1", 500, 475.0),
    "Acrobot-v1": ("Acrobot-v1", 500, -100.0),
    "MountainCar-v0": ("MountainCar-v0", 200, -110.0),
}


def make(name: str, time_limit: int | None = None) -> Environment:
    """Observations are float32 vectors."""
    import gymnax  # slow to import

    version, steps, solved = CLASSIC[name]
    world, params = gymnax.make(version)
    # Its own limit would call an episode terminated that is only cut off, and its `step` would begin the next one.
    params = params.replace(max_steps_in_episode=NEVER)

    def reset(key: Array) -> tuple[Array, Any]:
        return world.reset_env(key, params)

    def step(key: Array, state: Any, action: Array) -> tuple[Any, Array, Array, Array]:
        observation, state, reward, terminated, _ = world.step_env(key, state, action, params)
        return state, observation, reward, terminated

    return limited(name, reset, step, world.num_actions, time_limit or steps, solved)
