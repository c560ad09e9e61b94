"""Deep Q-learning (DQN; Mnih et al. 2013, arXiv:1312.5602; 2015, doi:10.1038/nature14236).

`DQN.step` is the algorithm, in its order: sync the target network, act and store, sample, learn, update the priorities.
It has two options. Double Q-learning: van Hasselt et al. 2015, arXiv:1509.06461. Prioritized replay: Schaul et al.
2015, arXiv:1511.05952.

The replay memory, the target network and the running episodes are arrays in State.aux, so a checkpoint holds them.
"""

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from flax import linen as nn
from jax import Array

from train.algorithms import losses
from train.algorithms.averages import evaluation_params
from train.config import QLearning, World
from train.core import Mean, Metrics, State, Task
from train.core.pytrees import stored_as
from train.data.worlds import vector
from train.data.worlds.environment import Environment
from train.data.worlds.noise import FILL_WORDS, STEP_WORDS, StepNoise, fill_noise, step_noise, uniform_int
from train.data.worlds.vector import NO_ACTION, VectorEnv, VectorState
from train.inference.episodes import QValues, epsilon_greedy, network_input, q_values, run_episodes
from train.tasks.q_learning.frames import FrameReplayMemory, make_replay
from train.tasks.q_learning.replay import ReplayMemory, ReplayState
from train.tasks.q_learning.way import require_multiples

LOSSES = {"huber": losses.huber, "squared": losses.squared}


# The second name of each field is its name in checkpoints, which older versions wrote.
@stored_as(target_params="target", env_state="living")
class Agent:
    """State.aux: what an agent has beside the online network, whose parameters are State.params["q"]."""

    target_params: Any  # parameters of the target network
    replay: ReplayState
    env_state: VectorState


class Noise(NamedTuple):
    """The random bits of one call of `DQN.step`."""

    steps: StepNoise  # leaves (steps_per_update, num_envs, ...)
    sample: Array  # (B,) uint32: which transitions are sampled


class ActResult(NamedTuple):
    """The environments and the memory after acting, and the returns of the episodes that ended meanwhile."""

    env_state: VectorState
    replay_state: ReplayState
    returns: Mean


def q_learning(
    model: nn.Module,
    optimizer: optax.GradientTransformation,
    env: Environment,
    config: QLearning,
    data: World,
    *,
    steps: int,
    precision: str = "float32",
) -> Task:
    """Return the Task of a DQN agent. It takes no batches, because the agent makes its own data.

    `evaluate` takes the keys (episodes,) of the episodes to play in place of a batch. Raise UserError unless the fields
    `train_every`, `replay` and `replay_start` of `config` are multiples of the number of environments. steps: updates
    of the whole run, over which the bias correction of prioritized replay rises to 1.
    """
    num_envs = data.environments
    require_multiples(config, num_envs)
    dqn = DQN(
        model=model,
        q_values=q_values(model, precision),
        optimizer=optimizer,
        env=env,
        vector_env=vector.make_vector_env(env, num_envs),
        num_envs=num_envs,
        replay=make_replay(config, env, num_envs),
        config=config,
        batch_size=data.batch,
        num_updates=steps,
    )
    return Task(dqn.init, dqn.step, dqn.evaluate)


@dataclasses.dataclass(frozen=True, eq=False)
class DQN:
    """The algorithm as three pure functions: `init`, `step` and `evaluate`. All arrays are in the State."""

    model: nn.Module
    q_values: QValues
    optimizer: optax.GradientTransformation
    env: Environment
    vector_env: VectorEnv
    num_envs: int
    replay: ReplayMemory | FrameReplayMemory
    config: QLearning
    batch_size: int
    num_updates: int  # of the whole run

    def init(self, key: Array) -> State:
        """Return a new network and a replay memory with `replay_start` transitions of random actions."""
        network_key, reset_key, fill_key = jax.random.split(key, 3)
        env_state = self.vector_env.reset(jax.random.split(reset_key, self.num_envs))
        params = self.model.init(network_key, network_input(env_state.observations), train=False)["params"]
        replay_state = self.replay.init(vector.transition_shapes(self.env.observation, self.num_envs))

        def random_step(carry: Any, fill_index: Array) -> Any:
            env_state, replay_state = carry
            bits = jax.random.bits(jax.random.fold_in(fill_key, fill_index), (self.num_envs, FILL_WORDS), jnp.uint32)
            noise = fill_noise(bits)
            actions = uniform_int(noise.action, self.env.actions)
            env_state, transitions, _ = self.vector_env.step(env_state, actions, noise.env)
            return (env_state, self.replay.add(replay_state, transitions)), None

        fill_indices = jnp.arange(self.config.replay_start // self.num_envs)
        (env_state, replay_state), _ = jax.lax.scan(random_step, (env_state, replay_state), fill_indices)
        # The target network needs arrays of its own: each step reuses the memory of the old State (it is donated), and
        # no array may be donated twice.
        target_params = jax.tree.map(jnp.copy, params)
        return State(
            step=jnp.zeros((), jnp.int32),
            params={"q": params},
            opt={"q": self.optimizer.init(params)},
            vars={"q": {}},
            aux=Agent(target_params, replay_state, env_state),
        )

    def step(self, state: State, no_batch: None, key: Array) -> tuple[State, Metrics]:
        """Take `train_every` environment steps, then do one update (2015, algorithm 1).

        no_batch: None, in the place where other Tasks get a batch; the agent makes its own data.
        """
        del no_batch
        online_params = state.params["q"]
        noise = self.draw_noise(key)

        # Sync the target network before the update, so that at step 0 it copies the initial parameters.
        target_params = self.sync_target(state)

        # Act with the online network, and store every transition.
        env_state, replay_state, returns = self.act_and_store(state, noise.steps)

        # Sample a batch. In prioritized replay, beta rises to 1 over the run.
        first_beta = self.config.priority_beta
        beta = first_beta + (1 - first_beta) * state.step / self.num_updates
        batch, indices, importance_weights = self.replay.sample(replay_state, noise.sample, beta)
        if self.env.native_vector_env is not None:  # its resets are steps, from which nothing is learned
            importance_weights = jnp.where(batch.actions == NO_ACTION, 0, importance_weights)

        # Learn: move Q(s, a) toward its target. The target is outside `loss_fn`, so it has no gradient.
        next_q_target = self.q_values(target_params, batch.next_observations)
        if self.config.double:  # the online network chooses the next action, the target network evaluates it
            next_q_online = self.q_values(online_params, batch.next_observations)
            next_actions = next_q_online.argmax(-1)
        else:
            next_actions = next_q_target.argmax(-1)
        rewards = jnp.clip(batch.rewards, -1, 1) if self.config.clip_rewards else batch.rewards
        targets = td_targets(rewards, batch.terminated, next_q_target, next_actions, self.config.discount)

        def loss_fn(params: Any) -> tuple[Array, tuple[Array, Array]]:
            q = q_of_actions(self.q_values(params, batch.observations), batch.actions)
            td_errors = targets - q
            loss = jnp.mean(importance_weights * LOSSES[self.config.loss](td_errors))
            return loss, (q.mean(), td_errors)

        (loss, (mean_q, td_errors)), gradients = jax.value_and_grad(loss_fn, has_aux=True)(online_params)
        updates, opt_state = self.optimizer.update(gradients, state.opt["q"], online_params)
        new_params = optax.apply_updates(online_params, updates)

        # Update the priorities of the transitions in the batch. Without priorities this does nothing.
        replay_state = self.replay.update_priorities(replay_state, indices, td_errors)

        agent = Agent(target_params, replay_state, env_state)
        new_state = dataclasses.replace(state, params={"q": new_params}, opt={"q": opt_state}, aux=agent)
        return new_state, {"loss": loss, "q": mean_q, "return": returns}

    def evaluate(self, state: State, keys: Array) -> Metrics:
        """Play one episode for each of `keys` and return sums over the episodes."""
        params, epsilon = evaluation_params(state, "q"), self.config.eval_epsilon
        returns, lengths = run_episodes(self.env, self.q_values, params, keys, epsilon)
        return {"return": returns.sum(), "length": lengths.sum(), "count": jnp.float32(len(keys))}

    def draw_noise(self, key: Array) -> Noise:
        """Draw all random bits of a step at once: one draw is much faster than one for each of its small uses."""
        steps_per_update = self.config.train_every // self.num_envs
        num_step_bits = steps_per_update * self.num_envs * STEP_WORDS
        bits = jax.random.bits(key, (self.batch_size + num_step_bits,), jnp.uint32)
        sample_bits, step_bits = bits[: self.batch_size], bits[self.batch_size :]
        return Noise(
            steps=step_noise(step_bits.reshape(steps_per_update, self.num_envs, STEP_WORDS)),
            sample=sample_bits,
        )

    def sync_target(self, state: State) -> Any:
        """Return the target parameters: a copy of the online ones at every multiple of `target_every` updates."""
        is_due = state.step % self.config.target_every == 0
        online_params, target_params = state.params["q"], state.aux.target_params
        return jax.tree.map(lambda online, target: jnp.where(is_due, online, target), online_params, target_params)

    def act_and_store(self, state: State, noise: StepNoise) -> ActResult:
        """Step the environments epsilon-greedily, with unchanged parameters, and store the transitions.

        noise: leaves (steps_per_update, num_envs, ...).
        """
        params = state.params["q"]
        steps_before = state.step * self.config.train_every

        def one_step(carry: Any, inputs: tuple[Array, StepNoise]) -> tuple[Any, Mean]:
            env_state, replay_state = carry
            step_index, noise_now = inputs
            epsilon = epsilon_at(self.config, steps_before + step_index * self.num_envs)
            q = self.q_values(params, env_state.observations)
            actions = epsilon_greedy(q, noise_now, epsilon)
            env_state, transitions, ends = self.vector_env.step(env_state, actions, noise_now.env)
            replay_state = self.replay.add(replay_state, transitions)
            returns = Mean(jnp.sum(jnp.where(ends.done, ends.returns, 0)), jnp.sum(ends.done, dtype=jnp.float32))
            return (env_state, replay_state), returns

        carry = (state.aux.env_state, state.aux.replay)
        steps_per_update = self.config.train_every // self.num_envs
        if steps_per_update == 1:  # a scan of one step would only cost time
            first_noise = jax.tree.map(lambda leaf: leaf[0], noise)
            (env_state, replay_state), returns = one_step(carry, (jnp.int32(0), first_noise))
            return ActResult(env_state, replay_state, returns)
        inputs = (jnp.arange(steps_per_update), noise)
        (env_state, replay_state), returns = jax.lax.scan(one_step, carry, inputs)
        return ActResult(env_state, replay_state, Mean(returns.total.sum(), returns.count.sum()))


def epsilon_at(config: QLearning, num_steps: Array) -> Array:
    """Return the probability () float32 of a random action after `num_steps` environment steps of training."""
    first, last = config.epsilon
    return first + (last - first) * jnp.minimum(num_steps / config.epsilon_steps, 1)


def q_of_actions(q: Array, actions: Array) -> Array:
    """Return the Q-values (B,) of `actions` (B,). q: (B, num_actions)."""
    # A sum over one-hot rows instead of an index: the gradient of an index is a scatter, which is slow.
    return jnp.sum(q * jax.nn.one_hot(actions, q.shape[-1]), axis=-1)


def td_targets(rewards: Array, terminated: Array, next_q_target: Array, next_actions: Array, discount: float) -> Array:
    """Return r + discount * Q_target(s', a') (B,), and r alone where the episode terminated.

    next_q_target: (B, num_actions). next_actions a' (B,): the target network's best actions give equation 2 of the 2015
    paper, the online network's give double Q-learning (van Hasselt et al., equation 4). A truncated episode has not
    terminated, so its last observation still has a value.
    """
    next_values = jnp.where(terminated, 0, q_of_actions(next_q_target, next_actions))
    return rewards + discount * next_values
