"""DQN on Atari's Pong in one to two hours of a laptop: the network of Mnih et al. 2013, Adam, double Q-learning.

Run:     zoo train atari_pong_dqn
Expect:  it learns, far from the paper's 20: a mean return of -11.0 in the test's four episodes and of -11.9 (-14 to
         -9.5) in ten of zoo play, from -20.75; after every 40,000 updates -21.0, -19.5, -16.25, -9.75 in validation;
         one seed, 640,000 agent steps, 90 minutes of one core beside other work, 23 ms an update without; x86-64,
         jax 0.10.2, 2026-11-28
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
