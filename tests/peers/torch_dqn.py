"""The same agent in PyTorch and Gymnasium: CartPole-v1 with the network, batch and update rate of `cartpole_dqn`.

    python tests/peers/torch_dqn.py --rounds 5

prints environment steps a second of both, taken in turns, ours with one seed and with ten side by side. Written for
the comparison in the way such agents are usually written: one environment, eager PyTorch, a replay memory of NumPy
arrays.
"""

import argparse
import random
import statistics
import time

import gymnasium
import numpy as np
import torch
from torch import nn

START, END, FALL = 1.0, 0.05, 250_000  # the chance of a random action, and the steps in which it falls
REPLAY, BATCH, EVERY, TARGET_EVERY, DISCOUNT, RATE = 10_000, 128, 10, 500, 0.99, 2.5e-4


def network() -> nn.Sequential:
    return nn.Sequential(nn.Linear(4, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 2))


class Agent:
    """DQN on CartPole-v1. `advance` takes environment steps, with an update after every tenth."""

    def __init__(self, seed: int = 0, first: int = 0) -> None:
        """first: the step that the fall of epsilon is entered at."""
        torch.manual_seed(seed)
        self.random = random.Random(seed)
        self.env = gymnasium.make("CartPole-v1")
        self.observation, _ = self.env.reset(seed=seed)
        self.learner, self.target = network(), network()
        self.target.load_state_dict(self.learner.state_dict())
        self.optimizer = torch.optim.Adam(self.learner.parameters(), lr=RATE)
        self.observations, self.following = (np.zeros((REPLAY, 4), np.float32) for _ in range(2))
        self.actions = np.zeros(REPLAY, np.int64)
        self.rewards, self.terminated = (np.zeros(REPLAY, np.float32) for _ in range(2))
        self.written = 0
        self.first = 0
        for _ in range(REPLAY):
            self._step(self.random.randrange(2))
        self.done, self.first = 0, first

    def _step(self, action: int) -> None:
        following, reward, terminated, truncated, _ = self.env.step(action)
        place = self.written % REPLAY
        self.observations[place], self.following[place] = self.observation, following
        self.actions[place], self.rewards[place], self.terminated[place] = action, reward, terminated
        self.written += 1
        self.observation = self.env.reset()[0] if terminated or truncated else following

    def _act(self) -> int:
        epsilon = max(END, START + (END - START) * (self.first + self.done) / FALL)
        if self.random.random() < epsilon:
            return self.random.randrange(2)
        with torch.no_grad():
            return int(self.learner(torch.from_numpy(self.observation)[None]).argmax())

    def _learn(self) -> None:
        places = np.random.randint(0, REPLAY, BATCH)  # noqa: NPY002  (what such agents call)
        observations, following, actions, rewards, terminated = (
            torch.from_numpy(each[places])
            for each in (self.observations, self.following, self.actions, self.rewards, self.terminated)
        )
        with torch.no_grad():
            goals = rewards + DISCOUNT * self.target(following).max(1).values * (1 - terminated)
        values = self.learner(observations).gather(1, actions[:, None])[:, 0]
        loss = nn.functional.mse_loss(values, goals)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()

    def advance(self, steps: int) -> None:
        for _ in range(steps):
            self._step(self._act())
            self.done += 1
            if self.done % EVERY == 0:
                self._learn()
            if self.done % TARGET_EVERY == 0:
                self.target.load_state_dict(self.learner.state_dict())
