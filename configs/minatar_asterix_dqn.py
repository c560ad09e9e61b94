"""DQN on MinAtar's Asterix, recipe of Young and Tian 2019 (arXiv:1903.03176), near that of Mnih et al. 2015.

Run:     zoo train minatar_asterix_dqn
Expect:  not run yet
"""

from train.config import Experiment, Model, Optim, QLearning, World

CONFIG = Experiment(
    model=Model("dqn_minatar"),
    data=World("minatar/asterix", batch=32),
    optim=Optim("rmsprop_graves", lr=2.5e-4, momentum=0.95, decay=0.95, eps=0.01, eps_in_root=False),
    task=QLearning(
        train_every=1,
        target_every=1_000,
        replay=100_000,
        replay_start=5_000,
        epsilon=(1.0, 0.1),
        epsilon_steps=100_000,
    ),
    steps=5_000_000 - 5_000,
    eval_every_steps=100_000,
    smoke={
        "steps": 4,
        "eval_every_steps": 2,
        "data": {"batch": 4},
        "task": {"replay": 40, "replay_start": 20, "eval_episodes": 2},
    },
)
