"""The same agent in PyTorch and Gymnasium: CartPole-v1 with the network, batch and update rate of `cartpole_dqn`.

    python tests/peers/torch_dqn.py --rounds 5

prints environment steps a second of both, taken in turns, ours with one seed and with ten side by side. The peer is
eager PyTorch with a replay memory of NumPy arrays, lean, or (`--vector`) with Gymnasium's vector environment of one
and its statistics of episodes around it, as CleanRL's agent has them.
"""

import argparse
import random
import statistics
import time
from collections.abc import Callable

import gymnasium
import jax
import numpy as np
import torch
from torch import Tensor, nn

from train.config import files
from train.core import Metrics, ReplicaTasks, State, machine, run_chunk
from train.core.cores import compile_replicas
from train.tasks.assemble import assemble
from train.tasks.q_learning.setup import Nothing

START, END, FALL = 1.0, 0.05, 250_000  # the chance of a random action, and the steps in which it falls
HIDDEN, DISCOUNT, RATE = (64, 64), 0.99, 2.5e-4
REPLAY, FILL, BATCH, EVERY, TARGET_EVERY = 50_000, 10_000, 32, 4, 500


def _vector_of_one() -> gymnasium.vector.VectorEnv:
    def one() -> gymnasium.Env:
        return gymnasium.wrappers.RecordEpisodeStatistics(gymnasium.make("CartPole-v1"))

    return gymnasium.vector.SyncVectorEnv([one], autoreset_mode=gymnasium.vector.AutoresetMode.SAME_STEP)


NETWORKS = {"dqn_mlp": (120, 84)}
"""Model -> its hidden units, for `zoo bench --peers`."""


def network(hidden: tuple[int, int] = HIDDEN) -> nn.Sequential:
    first, second = hidden
    return nn.Sequential(nn.Linear(4, first), nn.ReLU(), nn.Linear(first, second), nn.ReLU(), nn.Linear(second, 2))


class Agent:
    """DQN on CartPole-v1. `advance` takes environment steps, with an update after every fourth."""

    def __init__(
        self,
        seed: int = 0,
        first: int = 0,
        vector: bool = False,
        hidden: tuple[int, int] = HIDDEN,
        batch: int = BATCH,
    ) -> None:
        """first: the step that the fall of epsilon is entered at; vector: within a vector environment of one."""
        torch.manual_seed(seed)
        self.random = random.Random(seed)
        self.env = _vector_of_one() if vector else gymnasium.make("CartPole-v1")
        self.observation, _ = self.env.reset(seed=seed)
        self.vector = vector
        self.batch = batch
        self.learner, self.target = network(hidden), network(hidden)
        self.target.load_state_dict(self.learner.state_dict())
        self.optimizer = torch.optim.Adam(self.learner.parameters(), lr=RATE, fused=True)
        self.loss_of = self._loss
        self.observations, self.following = (np.zeros((REPLAY, 4), np.float32) for _ in range(2))
        self.actions = np.zeros(REPLAY, np.int64)
        self.rewards, self.terminated = (np.zeros(REPLAY, np.float32) for _ in range(2))
        self.written = 0
        self.first = 0
        for _ in range(FILL):
            self._step(self.random.randrange(2))
        self.done, self.first = 0, first

    def _step(self, action: int) -> None:
        following, reward, terminated, truncated, info = self.env.step(np.array([action]) if self.vector else action)
        if self.vector:
            reward, terminated, truncated = reward[0], terminated[0], truncated[0]
        place = self.written % REPLAY
        self.observations[place], self.following[place] = self.observation, following
        self.actions[place], self.rewards[place], self.terminated[place] = action, reward, terminated
        self.written += 1
        if self.vector:
            self.observation = following  # the next episode's, where this one has ended
            if terminated or truncated:
                self.following[place] = info["final_obs"][0]
        else:
            self.observation = self.env.reset()[0] if terminated or truncated else following

    def _act(self) -> int:
        epsilon = max(END, START + (END - START) * (self.first + self.done) / FALL)
        if self.random.random() < epsilon:
            return self.random.randrange(2)
        with torch.no_grad():
            return int(self.learner(torch.from_numpy(self.observation).reshape(1, 4)).argmax())

    def _learn(self) -> Tensor:
        places = np.random.randint(0, min(self.written, REPLAY), self.batch)  # noqa: NPY002  (what such agents call)
        memory = (self.observations, self.following, self.actions, self.rewards, self.terminated)
        self.optimizer.zero_grad(set_to_none=True)
        loss = self.loss_of(*(torch.from_numpy(each[places]) for each in memory))
        loss.backward()
        self.optimizer.step()
        return loss.detach()

    def _loss(
        self, observations: Tensor, following: Tensor, actions: Tensor, rewards: Tensor, terminated: Tensor
    ) -> Tensor:
        with torch.no_grad():
            goals = rewards + DISCOUNT * self.target(following).max(1).values * (1 - terminated)
        values = self.learner(observations).gather(1, actions[:, None])[:, 0]
        return nn.functional.mse_loss(values, goals)

    def advance(self, steps: int) -> None:
        for _ in range(steps):
            self._step(self._act())
            self.done += 1
            if self.done % EVERY == 0:
                self._learn()
            if self.done % TARGET_EVERY == 0:
                self.target.load_state_dict(self.learner.state_dict())


def training_step(name: str, batch: int, compiled: Callable[[Callable], Callable] | None = None) -> Callable[[], None]:
    """A step of `zoo bench --peers`: 4 steps of the environment and an update on `batch` of those in memory.

    Half of the actions are random, as on the other side. compiled: torch.compile, for the loss and its gradient; the
    net acts eagerly all the same, because one observation at a time is too little to compile for.
    """
    agent = Agent(first=FALL // 2, hidden=NETWORKS[name], batch=batch)
    if compiled:
        agent.loss_of = compiled(agent._loss)

    def step() -> None:
        agent.advance(EVERY)
        agent.done %= TARGET_EVERY  # stays at half of the fall

    return step


def ours(seeds: int, chunk: int) -> Callable[[], int]:
    """A function that runs `chunk` steps of the loop for each of so many seeds: how many environment steps that was."""
    experiment = files.load("cartpole_dqn")
    task, keys = assemble(experiment).task, jax.random.split(jax.random.key(0), seeds)
    # Into the middle of the fall of epsilon, where half of the actions are random on both sides.
    states = jax.jit(jax.vmap(task.init))(keys)
    states = states.replace(step=states.step + FALL // 2 // EVERY)
    if seeds == 1:
        states, keys = jax.tree.map(lambda leaf: leaf[0], states), keys[0]
        program = run_chunk.lower(task, states, Nothing(), keys, chunk).compile()
    else:
        together = compile_replicas(ReplicaTasks(lambda _: task, "vmap"), {}, states, Nothing(), keys, chunk)

        def program(states: State, nothing: Nothing, keys: jax.Array) -> tuple[State, Metrics]:
            return together({}, states, nothing, keys, None)  # no settings that differ; all are active

    box = [states]

    def run() -> int:
        box[0] = jax.block_until_ready(program(box[0], Nothing(), keys)[0])
        return seeds * chunk * experiment.task.train_every

    return run


def rounds_of(programs: dict[str, Callable[[], int]], rounds: int) -> dict[str, list[tuple[float, float]]]:
    """Steps (a second, a second of a core) of each program, in turns; a first round warms up and is not counted."""
    speeds: dict[str, list[tuple[float, float]]] = {name: [] for name in programs}
    for _ in range(rounds + 1):
        for name, run in programs.items():
            start, worked = time.perf_counter(), time.process_time()
            steps = run()
            speeds[name].append((steps / (time.perf_counter() - start), steps / (time.process_time() - worked)))
    return {name: each[1:] for name, each in speeds.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=4_000, help="environment steps of the peer in a round")
    parser.add_argument("--threads", type=int, default=1, help="of the peer; a net so small gains nothing from more")
    parser.add_argument("--vector", action="store_true", help="within a vector environment of one, as CleanRL's agent")
    options = parser.parse_args()
    machine.prepare_backend()
    torch.set_num_threads(options.threads)
    peer = Agent(first=FALL // 2, vector=options.vector)

    def one_round() -> int:
        peer.advance(options.steps)
        peer.done = 0  # stays at half of the fall
        return options.steps

    speeds = rounds_of({"PyTorch": one_round, "1 seed": ours(1, 10_000), "10 seeds": ours(10, 4_000)}, options.rounds)
    print(f"{machine.describe()}, CartPole-v1, environment steps, median of {options.rounds} rounds")
    for number, unit in enumerate(("second", "second of a core")):
        for name, pairs in speeds.items():
            each, peers = ([pair[number] for pair in row] for row in (pairs, speeds["PyTorch"]))
            ratio = statistics.median(a / b for a, b in zip(each, peers, strict=True))
            print(f"{name:>9} {statistics.median(each):>10,.0f} a {unit}: {ratio:.1f} x PyTorch")


if __name__ == "__main__":
    main()
