"""MinAtar (Young and Tian 2019, arXiv:1903.03176) by Pgx: five Atari games on a grid of 10 x 10.

All six actions, the last one repeated with a chance of 0.1, difficulty that rises, as in the paper. MinAtar has no
time limit; an episode here is cut off after 10,000 frames so that it ends.
"""

import importlib
import importlib.util
from typing import Any

import jax
from jax import Array

from train.data.worlds.environment import Environment, limited
from zoo.errors import UserError

GAMES = {
    "minatar/asterix": "MinAtarAsterix",
    "minatar/breakout": "MinAtarBreakout",
    "minatar/freeway": "MinAtarFreeway",
    "minatar/seaquest": "MinAtarSeaquest",
    "minatar/space_invaders": "MinAtarSpaceInvaders",
}
STICKY = 0.1
LONGEST = 10_000


def make(name: str, time_limit: int | None = None, sticky: float | None = None) -> Environment:
    """Observations are (10, 10, kinds of objects) bool."""
    if importlib.util.find_spec("pgx") is None:
        raise UserError(f"{name} needs Pgx, the extra `minatar`: pip install 'zoo-timeline[minatar]'")
    module = importlib.import_module(f"pgx.{name.replace('/', '.')}")
    chance = STICKY if sticky is None else sticky
    world = getattr(module, GAMES[name])(use_minimal_action_set=False, sticky_action_prob=chance)

    def reset(key: Array) -> tuple[Array, Any]:
        state = world.init(key)
        return state.observation, state

    def step(key: Array, state: Any, action: Array) -> tuple[Any, Array, Array, Array]:
        state = world.step(state, action, key)
        return state, state.observation, state.rewards[0], state.terminated

    actions = jax.eval_shape(world.init, jax.random.key(0)).legal_action_mask.size
    return limited(name, reset, step, actions, time_limit or LONGEST)
