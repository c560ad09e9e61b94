"""DQN (Mnih et al. 2015) on Acrobot-v1, with the settings of CleanRL's widely used agent.

Run:     zoo train acrobot_dqn
Expect:  mean return -89.5, five of five seeds solved (above -100), 93 s at once beside other work; CleanRL has -88.9;
         a shared 2-core x86-64 machine, jax 0.10.2, 2026-11-24
"""

from train.config import Experiment, Model, Optim, QLearning, World

CONFIG = Experiment(
    model=Model("dqn_mlp"),
    data=World("Acrobot-v1", batch=128, environments=10),
    optim=Optim("adam", lr=2.5e-4),
    task=QLearning(
        train_every=10,
        target_every=50,
        replay=10_000,
        replay_start=10_000,
        loss="squared",
        epsilon=(1.0, 0.05),
        epsilon_steps=250_000,
    ),
    steps=49_000,
    eval_every_steps=4_900,
    smoke={
        "steps": 4,
        "eval_every_steps": 2,
        "data": {"batch": 8, "time_limit": 50},
        "task": {"replay": 40, "replay_start": 20, "eval_episodes": 2},
    },
)
