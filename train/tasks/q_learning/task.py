"""Deep Q-learning (Mnih et al. 2013, arXiv:1312.5602; 2015, doi:10.1038/nature14236): the agent as one pure step.

A step of the loop is `train_every` steps of the environments, kept in a replay memory, and one update from it.
Before the first, `init` fills the memory with `replay_start` steps of random actions (the paper's replay start size).
Environments, memory, target network and the running episodes live in State.aux, so a checkpoint holds all of them.
Double: van Hasselt et al. 2015, arXiv:1509.06461. Prioritized replay: Schaul et al. 2015, arXiv:1511.05952.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import linen as nn
from flax import struct
from jax import Array

from train.algorithms import losses
from train.algorithms.averages import evaluation_params
from train.config import QLearning
from train.core import Mean, Metrics, State, Task, descend
from train.data.worlds import vector
from train.data.worlds.environment import Environment
from train.data.worlds.vector import Transitions, VectorEnv, VectorState, as_input
from train.inference.episodes import q_values
from train.tasks.q_learning import replay
from train.tasks.q_learning.replay import Replay


@struct.dataclass
class Agent:
    """What State.aux holds beside the network."""

    target: Any  # parameters of the target network, a copy
    replay: Replay
    living: VectorState


def q_learning(
    model: nn.Module,
    tx: optax.GradientTransformation,
    env: Environment,
    how: QLearning,
    *,
    environments: int,
    batch: int,
    steps: int,
    precision: str = "float32",
) -> Task:
    """A Task without data. `train_every`, `replay` and `replay_start` must be multiples of `environments`.

    Its `evaluate` takes the keys (episodes,) of the episodes to play in place of a batch. `steps`: of the whole run,
    which only the bias of prioritized replay depends on. The metric "return" is that of the episodes that ended
    within a step, and comes as a Mean.
    """
    rounds = how.train_every // environments
    loss_of = {"huber": losses.huber, "squared": losses.squared}[how.loss]
    values = q_values(model, precision)
    crowd = vector.crowd(env, environments)
    init = _beginning(model, tx, env, how, crowd, environments)
    act = _acting(values, how, crowd, environments)

    def step(state: State, nothing: None, key: Array) -> tuple[State, Metrics]:
        del nothing  # an agent makes its own experience
        noise = jax.random.bits(key, (rounds * environments * 6 + batch,), jnp.uint32)
        # Before the update, so that the first copy is of what learning starts from.
        copied = _copied(state, how.target_every)
        state = state.replace(aux=state.aux.replace(target=copied))
        agent, returns = act(state, noise[batch:].reshape(rounds, environments, 6))
        beta = how.priority_beta + (1 - how.priority_beta) * state.step / steps
        seen, places, weights = replay.draw(agent.replay, noise[:batch], beta)
        rewards = jnp.clip(seen.rewards, -1, 1) if how.clip_rewards else seen.rewards
        following = values(agent.target, seen.next_observations)
        chooser = values(state.params["q"], seen.next_observations) if how.double else following
        goals = td_targets(rewards, seen.terminated, following, chooser, how.discount)

        def loss_fn(params: Any) -> tuple[Array, Any]:
            q = taken(values(params, seen.observations), seen.actions)
            errors = goals - q
            return jnp.mean(weights * loss_of(errors)), ({}, {"q": q.mean(), "errors": errors})

        state, metrics = descend(state, "q", tx, loss_fn)
        memory = replay.prioritize(agent.replay, places, metrics.pop("errors"), how.priority)
        return state.replace(aux=agent.replace(replay=memory)), metrics | {"return": Mean(*returns)}

    def evaluate(state: State, keys: Array) -> Metrics:
        returns, lengths = vector.episodes(
            env, lambda x: values(evaluation_params(state, "q"), x), keys, how.eval_epsilon
        )
        return {"return": returns.sum(), "length": lengths.sum(), "count": jnp.float32(len(keys))}

    return Task(init, step, evaluate)


def _beginning(
    model: nn.Module,
    tx: optax.GradientTransformation,
    env: Environment,
    how: QLearning,
    crowd: VectorEnv,
    environments: int,
) -> Callable[[Array], State]:
    """A key -> the State before the first update: a fresh network, and a memory of `replay_start` random steps."""

    def init(key: Array) -> State:
        network_key, begin_key, fill_key = jax.random.split(key, 3)
        alive = crowd.begin(jax.random.split(begin_key, environments))
        params = model.init(network_key, as_input(alive.observations), train=False)["params"]

        def one(alive: VectorState, noise: Array) -> tuple[VectorState, Transitions]:
            alive, seen, _ = crowd.live(alive, vector.below(noise[:, 0], env.actions), noise[:, 1:])
            return alive, seen

        def fill(carry: tuple[VectorState, Replay], number: Array) -> tuple[tuple[VectorState, Replay], None]:
            alive, seen = one(carry[0], bits(jax.random.fold_in(fill_key, number)))
            return (alive, replay.write(carry[1], seen)), None

        def bits(key: Array) -> Array:
            return jax.random.bits(key, (environments, 5), jnp.uint32)

        memory = replay.empty(how.replay, jax.eval_shape(one, alive, bits(fill_key))[1], how.priority > 0, env.stacked)
        (alive, memory), _ = jax.lax.scan(fill, (alive, memory), jnp.arange(how.replay_start // environments))
        # A copy: the state is donated, and one buffer cannot be given away twice.
        agent = Agent(jax.tree.map(jnp.copy, params), memory, alive)
        return State(jnp.zeros((), jnp.int32), {"q": params}, {"q": tx.init(params)}, {"q": {}}, agent)

    return init


def _acting(
    values: Callable[[Any, Array], Array], how: QLearning, crowd: VectorEnv, environments: int
) -> Callable[[State, Array], tuple[Agent, Metrics]]:
    """What an agent does between two updates: (State, noise (rounds, environments, 6) uint32) -> the agent after
    `rounds` steps of each environment, the network as it stands, and the returns of the episodes that ended.
    """

    def act(state: State, noise: Array) -> tuple[Agent, Metrics]:
        done_before = state.step * how.train_every

        def one(agent: Agent, now: tuple[Array, Array]) -> tuple[Agent, Any]:
            number, noise = now
            q = values(state.params["q"], agent.living.observations)
            epsilon = epsilon_at(how, done_before + number * environments)
            actions = vector.explore(q, noise[:, :2], epsilon)
            alive, seen, ended = crowd.live(agent.living, actions, noise[:, 2:])
            agent = agent.replace(living=alive, replay=replay.write(agent.replay, seen))
            return agent, (jnp.sum(jnp.where(ended.done, ended.returns, 0)), jnp.sum(ended.done, dtype=jnp.float32))

        rounds = len(noise)
        if rounds == 1:
            return one(state.aux, (jnp.int32(0), noise[0]))
        agent, (sums, counts) = jax.lax.scan(one, state.aux, (jnp.arange(rounds), noise))
        return agent, (sums.sum(), counts.sum())

    return act


def _copied(state: State, every: int) -> Any:
    """The target network, made a copy of the one that learns at every multiple of `every` steps."""
    now = state.step % every == 0
    return jax.tree.map(lambda new, old: jnp.where(now, new, old), state.params["q"], state.aux.target)


def epsilon_at(how: QLearning, done: Array) -> Array:
    """() float32: the chance of a random action after `done` environment steps since learning began."""
    first, last = how.epsilon
    return first + (last - first) * jnp.minimum(done / how.epsilon_steps, 1)


def taken(q: Array, actions: Array) -> Array:
    """(B,): the value (B, actions) of the action that was taken. A sum, whose gradient is not a scatter."""
    return jnp.sum(q * jax.nn.one_hot(actions, q.shape[-1]), axis=-1)


def td_targets(rewards: Array, terminated: Array, following: Array, chooser: Array, discount: float) -> Array:
    """(B,): r + gamma * Q_target(s', argmax_a chooser(s', a)), and r alone where the world has terminated.

    following, chooser: (B, actions). With the target network as chooser it is the maximum (2015, equation 2), with
    the network that learns it is double Q-learning (van Hasselt et al., equation 4).
    """
    return rewards + discount * jnp.where(terminated, 0, taken(following, chooser.argmax(-1)))
