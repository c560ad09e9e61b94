"""DQN (Mnih et al. 2015) on CartPole-v1, with the settings of CleanRL's widely used agent.

Run:     zoo train cartpole_dqn
Expect:  mean return 492.2 of 500 (standard deviation 21.4) in 100 fresh episodes each; nine of ten seeds at 475
         (solved) or above, one at 431.5; --seeds 10 at once, 177 s beside other work. 55,700 environment steps a second
         with one seed and 56,200 with ten, 6.9 and 7.2 times a PyTorch and gymnasium agent (tests/peers/torch_dqn.py;
         8.4 and 8.5 times one in a vector environment); a 2-core x86-64 machine, jax 0.10.2, 2026-11-24
"""

from train.config import Experiment, Model, Optim, QLearning, World

CONFIG = Experiment(
    model=Model("dqn_mlp", {"hidden": (64, 64)}),
    data=World("CartPole-v1", batch=32, environments=4),
    optim=Optim("adam", lr=2.5e-4),
    task=QLearning(
        train_every=4,
        target_every=125,
        replay=10_000,
        replay_start=10_000,
        loss="squared",
        epsilon=(1.0, 0.05),
        epsilon_steps=250_000,
    ),
    steps=122_500,
    eval_every_steps=12_250,
    smoke={
        "steps": 4,
        "eval_every_steps": 2,
        "data": {"batch": 8},
        "task": {"replay": 40, "replay_start": 20, "eval_episodes": 2},
    },
)
