"""DQN on Atari's Breakout, recipe of Mnih et al. 2015 (Extended Data Table 1), but with sticky actions.

Departs: a lost life does not end an episode; in the paper it does while the agent learns (Methods, "Training details").
Run:     zoo train atari_breakout_dqn_nature
Expect:  not run to its end: 50,000,000 actions are beyond a CPU. The memory of 1,000,000 transitions needs 13.2 GiB,
         two frames each; --task.replay 100000 needs a tenth. The paper gives 401.2, without sticky
         actions. Its code sums over a batch what is a mean here, hence `eps`; its "gradient momentum" is the decay
         of the gradient's average, not a momentum of the updates
"""

from train.config import Experiment, Model, Optim, QLearning, World

CONFIG = Experiment(
    model=Model("dqn_nature"),
    data=World("atari/breakout", batch=32),
    optim=Optim("rmsprop_graves", lr=2.5e-4, momentum=0.0, decay=0.95, eps=0.01 / 32**2),
    task=QLearning(
        train_every=4,
        target_every=10_000,
        replay=1_000_000,
        replay_start=50_000,
        clip_rewards=True,
        epsilon=(1.0, 0.1),
        epsilon_steps=1_000_000,
        eval_episodes=8,
    ),
    steps=12_500_000,
    eval_every_steps=250_000,
    smoke={
        "steps": 2,
        "eval_every_steps": 2,
        "data": {"batch": 4, "time_limit": 20},
        "task": {"replay": 40, "replay_start": 20, "eval_episodes": 2},
    },
)
