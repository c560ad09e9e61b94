"""Set up an agent that learns by acting: no data, an environment."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
from flax import struct
from jax import Array
from jax.sharding import Mesh

import zoo
from train.algorithms.averages import evaluation_params
from train.config import Experiment, QLearning, World, replicas
from train.core import State, Task, devices, machine
from train.data import worlds
from train.data.feed import DeviceFeed, Feed
from train.data.worlds.environment import Environment
from train.inference import episodes
from train.inference.episodes import q_values
from train.metrics import evaluation
from train.metrics.evaluation import Evaluator
from train.pictures import films
from train.pictures.guard import guarded
from train.tasks.q_learning.frames import make_replay
from train.tasks.q_learning.task import q_learning
from train.tasks.setup import Setup, Sizes, count_params, make_model, make_optimizer, narrow, require_able
from zoo.errors import UserError
from zoo.files import writing
from zoo.measure import count_flops

LONGEST_CHUNK = 2_000  # steps: one step of a small network takes a fraction of a millisecond


@struct.dataclass
class Nothing:
    """The Source of an agent, which makes its own experience: every batch is None."""

    def plan(self, key: Any, step: Any, n: int) -> None:
        del key, step, n

    def feed(self, planned: None, use: Any) -> Any:
        return use(planned)


def assemble(experiment: Experiment, task: QLearning, data: World) -> Setup:
    """Set up a run in an environment."""
    require_able(experiment.model.name, _values_actions, "value the actions of an agent")
    env = worlds.make(data)
    if env.native_vector_env and len(replicas.members(experiment)) > 1:
        raise UserError(f"{env.name} trains one replica (seeds 1, no sweep): its emulators are no part of a State")
    if env.stacked:
        _require_history(task, data, env)
    _require_memory(experiment, task, env)
    model = make_model(experiment, actions=env.actions)

    def build(changed: Experiment) -> Task:
        return q_learning(
            model,
            make_optimizer(changed),
            env,
            narrow(changed.task, QLearning),
            data,
            steps=changed.steps,
            precision=changed.precision,
        )

    learning = build(experiment)
    of_seed = _evaluators(task.eval_episodes, learning)
    values = q_values(model, experiment.precision)

    def feed(mesh: Mesh | None, reader: Any) -> Feed:
        del mesh, reader
        return DeviceFeed(Nothing())

    def show(state: State, folder: Path) -> None:
        key = episodes.keys("test", experiment.seed, 1)[0]
        film = episodes.record(env, values, evaluation_params(state, "q"), key, task.eval_epsilon)
        with writing(folder):
            folder.mkdir(exist_ok=True)
        with guarded("episode.gif"):
            films.write_gif(env.name, film, folder / "episode.gif")
        with guarded("episode.png"):
            films.write_strip(env.name, film, folder / "episode.png")

    return Setup(
        env,
        model,
        learning,
        build,
        *_sizes(learning, values, env),
        feed=feed,
        evaluator=lambda split, mesh: of_seed(split, mesh, experiment.seed),
        of_seed=of_seed,
        longest_chunk=LONGEST_CHUNK,
        show=show,
        notes={"return": _note(task, env)},
    )


def _values_actions(card: zoo.Card) -> bool:
    """Whether the model has an output for each action."""
    return hasattr(card.config, "actions")


def _sizes(task: Task, values: Callable[[Any, Array], Array], env: Environment) -> Sizes:
    """Measure the network without allocating anything; the forward pass is of one observation."""
    abstract = jax.eval_shape(task.init, jax.random.key(0))
    observation = jax.ShapeDtypeStruct((1, *env.observation.shape), env.observation.dtype)
    return Sizes(abstract, count_params(abstract), count_flops(values, abstract.params["q"], observation))


def _evaluators(count: int, task: Task) -> Callable[[str, Mesh | None, int], Evaluator]:
    """`Setup.of_seed`: means over `count` episodes of a seed, other episodes for validation than for test."""
    run_evaluate = jax.jit(task.evaluate)

    def evaluator(split: str, mesh: Mesh | None, seed: int) -> Evaluator:
        del mesh
        keys = episodes.keys(split, seed, count)
        return lambda state: evaluation.means(devices.settle(run_evaluate(state, keys)))

    return evaluator


def _require_history(task: QLearning, data: World, env: Environment) -> None:
    """Raise UserError for a replay memory without all frames of the observations of what is learned from."""
    frames, count = env.observation.shape[-1], data.environments
    learned = data.batch if task.newest else count  # transitions that must have all their frames
    least = learned + (frames - 1) * count
    for field in ("replay", "replay_start"):
        if getattr(task, field) < least:
            batch = f", of each of the newest {learned} transitions" if task.newest else ""
            raise UserError(
                f"task.{field} must be at least {least}, not {getattr(task, field)}: an observation "
                f"of {env.name} is {frames} frames{batch}, and there are {count} environments"
            )


def _require_memory(experiment: Experiment, task: QLearning, env: Environment) -> None:
    """Raise UserError for a replay memory that does not fit, before anything is allocated."""
    agents = len(replicas.members(experiment))
    needed = agents * make_replay(task, env, narrow(experiment.data, World).environments).nbytes(env.observation)
    free = machine.memory_free()
    if needed > free:
        each = needed / task.replay
        whose = f" of each of {agents} replicas" * (agents > 1)
        raise UserError(
            f"task.replay {task.replay:,} needs {needed / 2**30:.1f} GiB for transitions of {env.name}{whose} "
            f"({each:,.0f} bytes each), and {free / 2**30:.1f} GiB are free: at most {int(free / each):,} fit"
        )


def _note(task: QLearning, env: Environment) -> str:
    """How the return was measured."""
    solved = "" if env.solved is None else f"; {env.name} counts as solved from a mean of {env.solved:g}"
    return (
        f"mean over episodes in fresh environments, a random action with a chance of {task.eval_epsilon:g}, "
        f"at most {env.time_limit:,} steps each{solved}"
    )
