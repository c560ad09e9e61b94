"""DQN on Atari's Pong within an hour of a laptop: the network of Mnih et al. 2013, Adam, double Q-learning.

Run:     zoo train atari_pong_dqn
Expect:  not run yet
"""

from train.config import Experiment, Model, Optim, QLearning, World

CONFIG = Experiment(
    model=Model("dqn_2013"),
    data=World("atari/pong", batch=32, environments=4),
    optim=Optim("adam", lr=2e-4, eps=1.5e-4, clip_norm=10.0),
    task=QLearning(
        train_every=4,
        target_every=500,
        replay=60_000,
        replay_start=5_000,
        double=True,
        clip_rewards=True,
        epsilon=(1.0, 0.02),
        epsilon_steps=150_000,
        eval_epsilon=0.01,
        eval_episodes=4,
    ),
    steps=160_000,
    eval_every_steps=10_000,
    smoke={
        "steps": 2,
        "eval_every_steps": 2,
        "data": {"batch": 4, "environments": 2, "time_limit": 20},
        "task": {"replay": 40, "replay_start": 20, "eval_episodes": 2},
    },
)
