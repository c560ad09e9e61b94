"""Agents that learn by acting: no data, a world."""

from pathlib import Path
from typing import Any

import jax
from flax import struct
from jax.sharding import Mesh

import zoo
from train.algorithms.averages import evaluation_params
from train.config import Experiment, replicas
from train.core import State, Task, devices, machine
from train.data import worlds
from train.data.feed import DeviceFeed, Feed
from train.data.worlds.environment import Environment
from train.inference import episodes
from train.inference.episodes import q_values
from train.metrics import evaluation
from train.metrics.evaluation import Evaluator
from train.pictures import films
from train.tasks.q_learning.frames import make_replay
from train.tasks.q_learning.task import q_learning
from train.tasks.setup import Setup, make_model, make_optimizer, require_able
from zoo.errors import UserError
from zoo.measure import count_flops

LONGEST_CHUNK = 2_000  # steps: those of a small network take a fraction of a millisecond


@struct.dataclass
class Nothing:
    """The Source of an agent, which makes its own experience: every batch is None."""

    def plan(self, key: Any, step: Any, n: int) -> None:
        del key, step, n

    def feed(self, planned: None, use: Any) -> Any:
        return use(planned)


def assemble(experiment: Experiment) -> Setup:
    """The parts of a run in a world."""
    require_able(experiment.model.name, _values_actions, "value the actions of an agent")
    check(experiment)
    data, how = experiment.data, experiment.task
    env = worlds.make(data)
    if env.native_vector_env and len(replicas.members(experiment)) > 1:
        raise UserError(f"{env.name} trains one replica (seeds 1, no sweep): its emulators are no part of a State")
    if env.stacked:
        _demand_history(experiment, env)
    _demand_memory(experiment, env)
    model = make_model(experiment, actions=env.actions)

    def build(experiment: Experiment) -> Task:
        return q_learning(
            model,
            make_optimizer(experiment),
            env,
            how,
            data,
            steps=experiment.steps,
            precision=experiment.precision,
        )

    task = build(experiment)
    values = q_values(model, experiment.precision)
    abstract = jax.eval_shape(task.init, jax.random.key(0))
    observation = jax.ShapeDtypeStruct((1, *env.observation.shape), env.observation.dtype)
    run_evaluate = jax.jit(task.evaluate)

    def feed(mesh: Mesh | None, reader: Any) -> Feed:
        del mesh, reader
        return DeviceFeed(Nothing())

    def evaluator(split: str, mesh: Mesh | None) -> Evaluator:
        del mesh
        keys = episodes.keys(split, experiment.seed, how.eval_episodes)
        return lambda state: evaluation.means(devices.settle(run_evaluate(state, keys)))

    def show(state: State, folder: Path) -> None:
        key = episodes.keys("test", experiment.seed, 1)[0]
        film = episodes.record(env, values, evaluation_params(state, "q"), key, how.eval_epsilon)
        folder.mkdir(exist_ok=True)
        films.write_gif(env.name, film, folder / "episode.gif")
        films.write_strip(env.name, film, folder / "episode.png")

    return Setup(
        env,
        model,
        task,
        build,
        abstract,
        sum(leaf.size for leaf in jax.tree.leaves(abstract.params)),
        count_flops(values, abstract.params["q"], observation),
        feed,
        evaluator,
        best="return",
        counts="episodes",
        longest_chunk=LONGEST_CHUNK,
        show=show,
        notes={"return": _note(experiment, env)},
    )


def check(experiment: Experiment) -> None:
    """Raise UserError for numbers that cannot go together, one line each, before any environment is made."""
    data, how = experiment.data, experiment.task
    for field in ("train_every", "replay", "replay_start"):
        value = getattr(how, field)
        if value % data.environments:
            side = f"{data.environments} environments side by side"
            raise UserError(f"task.{field} must be a multiple of the {side}, not {value}")
    if how.replay < data.batch:
        raise UserError(f"task.replay {how.replay} is smaller than one batch: data.batch is {data.batch}")
    if not data.batch <= how.replay_start:
        raise UserError(f"task.replay_start must be at least one batch of {data.batch}, not {how.replay_start}")
    if not all(0 <= epsilon <= 1 for epsilon in (*how.epsilon, how.eval_epsilon)):
        raise UserError(
            f"task.epsilon and task.eval_epsilon must be from 0 to 1, not {how.epsilon}, {how.eval_epsilon}"
        )
    for field in ("discount", "priority", "priority_beta"):
        if not 0 <= getattr(how, field) <= 1:
            raise UserError(f"task.{field} must be from 0 to 1, not {getattr(how, field)}")
    if data.sticky is not None and not 0 <= data.sticky < 1:
        raise UserError(f"data.sticky must be at least 0 and below 1, not {data.sticky}")


def _demand_history(experiment: Experiment, env: Environment) -> None:
    """Raise UserError for a replay memory that never holds a transition with all frames of its observation."""
    frames, side = env.observation.shape[-1], experiment.data.environments
    for field in ("replay", "replay_start"):
        if getattr(experiment.task, field) < frames * side:
            raise UserError(
                f"task.{field} must be at least {frames * side}, not {getattr(experiment.task, field)}: an observation "
                f"of {env.name} is {frames} frames, and there are {side} environments"
            )


def _demand_memory(experiment: Experiment, env: Environment) -> None:
    """Raise UserError for a replay memory that does not fit, before anything is allocated."""
    how = experiment.task
    agents = len(replicas.members(experiment))
    need = agents * make_replay(how, env, experiment.data.environments).nbytes(env.observation)
    have = machine.memory_free()
    if need > have:
        each = need / how.replay
        whose = f" of each of {agents} replicas" * (agents > 1)
        raise UserError(
            f"task.replay {how.replay:,} needs {need / 2**30:.1f} GiB for transitions of {env.name}{whose} "
            f"({each:,.0f} bytes each), and {have / 2**30:.1f} GiB are free: at most {int(have / each):,} fit"
        )


def _note(experiment: Experiment, env: Environment) -> str:
    how = experiment.task
    solved = "" if env.solved is None else f"; {env.name} counts as solved from a mean of {env.solved:g}"
    return (
        f"mean over episodes in fresh environments, a random action with a chance of {how.eval_epsilon:g}, "
        f"at most {env.time_limit:,} steps each{solved}"
    )


def _values_actions(card: zoo.Card) -> bool:
    return hasattr(card.config, "actions")
