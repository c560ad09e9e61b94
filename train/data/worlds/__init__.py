"""Environments by name, all with the interface of `Environment`."""

from train.config import World
from train.data import own
from train.data.worlds import atari, classic, minatar
from train.data.worlds.environment import Environment, Step, limited
from zoo.errors import UserError, unknown

__all__ = ["Environment", "Step", "make", "names"]


def names() -> list[str]:
    """Return the names of all environments but Atari's, whose list is in ale-py."""
    registered = [name for name in own.DATA if own.kind_of(name) == "environment"]
    return [*classic.CLASSIC, *minatar.GAMES, *registered]


def require_there(name: str) -> None:
    """Raise UserError for an unknown environment; whether Atari has a game is only known to its library."""
    if not name.startswith(atari.PREFIX) and name not in names():
        raise unknown("environment", name, names())


def make(world: World) -> Environment:
    """Return the environment that `world` names; raise UserError if it is unknown or its library is not installed."""
    if world.name.startswith(atari.PREFIX):
        return atari.make(world.name, world.time_limit, world.sticky)
    require_there(world.name)
    if world.name in own.DATA:
        return _own(world)
    if world.name in minatar.GAMES:
        return minatar.make(world.name, world.time_limit, world.sticky)
    if world.sticky:
        raise UserError(f"data.sticky must be None or 0 in {world.name}, which has no sticky actions")
    return classic.make(world.name, world.time_limit)


def _own(world: World) -> Environment:
    if world.sticky:
        raise UserError(
            f"data.sticky must be None or 0 in {world.name}, whose functions say themselves what is repeated"
        )
    found = own.dynamics(world.name)
    limit = world.time_limit or found.time_limit
    return limited(world.name, found.reset, found.step, found.actions, limit, found.solved)
