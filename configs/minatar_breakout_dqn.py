"""DQN on MinAtar's Breakout, recipe of Young and Tian 2019 (arXiv:1903.03176), near that of Mnih et al. 2015.

Run:     zoo train minatar_breakout_dqn
Expect:  not yet run to its end; after 2.03 M of its 5 M frames (81 minutes beside much other work) a mean return of 6.2
         in training and 6.4 to 10.8 (mean 8.7) in the last ten validations of 100 episodes, one seed; Young and Tian's
         curve ends near 10; a shared 2-core x86-64 machine, jax 0.10.2, 2026-11-24
"""

from train.config import Experiment, Model, Optim, QLearning, World

CONFIG = Experiment(
    model=Model("dqn_minatar"),
    data=World("minatar/breakout", batch=32),
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
