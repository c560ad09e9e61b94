"""The command `zoo play`: a trained agent at work, its returns and a film of its first episode."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, cast

import tyro
from rich.table import Table

import train.loop.named
from train.commands.options import OwnParts
from train.config import World
from train.config.parse import parse
from train.core.console import Console
from zoo.errors import UserError
from zoo.files import writing

SHOWN = 30  # of more episodes than that only the summary is printed


@dataclasses.dataclass(frozen=True)
class PlayOptions(OwnParts):
    """Let a trained agent play; print what each episode returned and write the first as a film."""

    run: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="RUN")]
    """Folder of the run, or weights of this project by name (zoo list --pretrained)."""
    episodes: int = 10
    """Episodes, each in a fresh environment."""
    out: Path | None = None
    """Where to write the film of the first episode, a GIF; by default play.gif in the run's samples."""
    epsilon: float | None = None
    """Chance of a random action; None takes that of the run's evaluations, 0 always does what is valued most."""
    seed: int = 0
    """Another seed gives other episodes."""
    checkpoint: Literal["last", "best"] = "last"
    """`last`: the end of the run; `best`: the highest return in validation."""


def play_command(args: Sequence[str]) -> None:
    """`zoo play RUN`."""
    options = parse(PlayOptions, args, prog="zoo play")
    if options.episodes < 1:
        raise UserError(f"--episodes must be at least 1, not {options.episodes}")
    if options.epsilon is not None and not 0 <= options.epsilon <= 1:
        raise UserError(f"--epsilon must be from 0 to 1, not {options.epsilon}")
    if not 0 <= options.seed < 2**32:
        raise UserError(f"--seed must be from 0 to below 2^32, not {options.seed}")
    run = train.loop.named.load_or_named(options.run, options.config)
    if not isinstance(run.experiment.data, World):
        task = run.experiment.task.name
        raise UserError(f"zoo play needs the run of an agent, and {run.path} is one of the task {task!r}")
    out = options.out or run.samples / "play.gif"
    if out.suffix != ".gif":
        raise UserError(f"--out must name a .gif file, not {out}")
    if options.out and not out.parent.is_dir():
        raise UserError(f"--out: there is no folder {out.parent}")
    from train.algorithms.averages import evaluation_params
    from train.core import machine
    from train.inference import episodes as play
    from train.inference.episodes import q_values
    from train.loop.restore import restore
    from train.metrics.statistics import spread
    from train.pictures import films

    machine.prepare_backend()
    parts, state = restore(run, options.checkpoint)
    env, values, params = parts.dataset, q_values(parts.model, run.experiment.precision), evaluation_params(state, "q")
    task = cast(Any, run.experiment.task)  # QLearning, or the config of a user's own way with an agent
    epsilon = task.eval_epsilon if options.epsilon is None else options.epsilon
    keys = play.keys("play", options.seed, options.episodes)
    returns, lengths = play.play(env, values, params, keys, epsilon)
    console = Console()
    if len(returns) <= SHOWN:
        table = Table("episode", "return", "steps", title=f"{env.name}, {run.path}, step {int(state.step):,}")
        for number, (total, steps) in enumerate(zip(returns, lengths, strict=True)):
            table.add_row(str(number), f"{total:g}", f"{steps:,}")
        console.print(table)
    solved = "" if env.solved is None else f"; solved from {env.solved:g}"
    line = f"return over {len(returns):,} episodes, epsilon {epsilon:g}: {spread(returns)}{solved}"
    console.print(line, soft_wrap=True, highlight=False)
    with writing(out.parent):
        out.parent.mkdir(parents=True, exist_ok=True)
    films.write_gif(env.name, play.record(env, values, params, keys[0], epsilon), out)
    console.print(f"film of episode 0: {out}", soft_wrap=True, highlight=False)
