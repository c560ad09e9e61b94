"""MinAtar (Young and Tian 2019, arXiv:1903.03176) from Pgx: five Atari games on a grid of 10 x 10.

As in the paper there are six actions, the last action is repeated with probability 0.1, and the difficulty rises.
MinAtar has no time limit; here an episode is truncated after 10,000 frames.
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
STICKY = 0.1  # probability that the last action is repeated
TIME_LIMIT = 10_000


def make(name: str, time_limit: int | None = None, sticky: float | None = None) -> Environment:
    """Return the game with observations (10, 10, C) bool, one channel for each kind of object."""
    if importlib.util.find_spec("pgx") is None:
        raise UserError(f"{name} needs Pgx, the extra `minatar`: pip install 'zoo-timeline[minatar]'")
    module = importlib.import_module(f"pgx.{name.replace('/', '.')}")
    game_class = getattr(module, GAMES[name])
    repeat_probability = STICKY if sticky is None else sticky
    game = game_class(use_minimal_action_set=False, sticky_action_prob=repeat_probability)

    def reset(key: Array) -> tuple[Array, Any]:
        state = game.init(key)
        return state.observation, state

    def step(key: Array, state: Any, action: Array) -> tuple[Any, Array, Array, Array]:
        state = game.step(state, action, key)
        return state, state.observation, state.rewards[0], state.terminated

    actions = jax.eval_shape(game.init, jax.random.key(0)).legal_action_mask.size
    return limited(name, reset, step, actions, time_limit or TIME_LIMIT)
