"""DQN (Mnih et al. 2015) on CartPole-v1: its minibatch of 32 and an update every 4 steps, a net of 2 x 64 units.

Run:     zoo train cartpole_dqn
Expect:  mean return 472.9 of 500 (standard deviation 45.4) in 100 fresh episodes each; eight of ten seeds at 475
         (solved) or above, the others at 454.9 and 350.5; --seeds 10 at once, 56 s. 43,000 environment steps a second
         with one seed and 145,000 with ten, 20.7 and 62.9 times a PyTorch and Gymnasium agent, 24.1 and 72.2 times one
         in a vector environment (tests/peers/torch_dqn.py); a 2-core x86-64 machine, jax 0.10.2, 2026-11-28. The size
         of the memory was chosen with the seeds 100 to 119, of which 19 were solved.
"""

from train.config import Experiment, Model, Optim, QLearning, World

CONFIG = Experiment(
    model=Model("dqn_mlp", {"hidden": (64, 64)}),
    data=World("CartPole-v1", batch=32, environments=4),
    optim=Optim("adam", lr=2.5e-4),
    task=QLearning(
        train_every=4,
        target_every=125,
        replay=50_000,
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
