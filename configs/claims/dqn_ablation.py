"""A Q-network learns to act only with replayed experience and a target network that stands still for a while.

Paper:   Mnih et al. 2015, Extended Data Table 3: replay and target network each switched on and off, five Atari games,
         each arm at the best of three learning rates
Run:     zoo claim dqn_ablation
Here:    Acrobot-v1 with the network of dqn_mlp's card, one environment, as the paper has one emulator; 30,000 updates,
         one every 4 steps, as there, from batches of 32 of the newest 10,000 transitions; ε falls over the first half.
         Without a target network the goals come from the network that learns (target_every=1). Without replay a batch
         is the 4 transitions since the last update, so that each is learned from once. Each arm has the best of five
         rates by its validation in as many updates. Before the first one every agent takes 10,000 random steps, from
         which those without replay learn nothing. Compared is how many steps an episode takes until the goal, the mean
         over all 15 validations of 100 episodes each: an episode is cut off after 500, and one of a net that has
         learned takes some 90. The paper's measure, the highest validation, would be that of a lucky one. So that
         replay is not more learning alone, a control with a target network draws its batches of 32 from the newest 32
         transitions. The sabotaged arm does so as well, and has no target network: it learns from each transition 8
         times, as the arm with both parts does, and from none that is old. A pilot on CartPole-v1 needed neither part;
         there, too, "no replay" drew its batches from the newest 32. Seeds 40 to 47, which no earlier design had.
Departs: Adam for RMSProp; a squared error, where the paper clips its gradient at 1; the target network is renewed every
         125 updates for 10,000, as there are 30,000 in all. Acrobot's six numbers for Atari's screens. --full has
         MinAtar's Breakout and Asterix, and is no Atari either.
"""

from collections.abc import Mapping
from typing import Any

from train.config import Experiment, Model, Optim, QLearning, World, override
from train.history.claims import Claim, Effect, Metric, Plot, TrainedArm, Tune

BASE = Experiment(
    model=Model("dqn_mlp"),
    data=World("Acrobot-v1", batch=32),
    optim=Optim("adam", lr=3e-4),
    task=QLearning(
        train_every=4,
        target_every=125,
        replay=10_000,
        replay_start=10_000,
        loss="squared",
        epsilon=(1.0, 0.05),
        epsilon_steps=60_000,
    ),
    steps=30_000,
    seed=40,
    eval_every_steps=2_000,
    smoke={
        "steps": 2,
        "eval_every_steps": 2,
        "data": {"batch": 4, "time_limit": 20},
        "task": {"replay_start": 32, "eval_episodes": 2},
    },
)
FULL = Experiment(
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
    steps=1_000_000,
    eval_every_steps=50_000,
)
NO_REPLAY = ("task.newest", "task.replay", "data.batch")
NO_TARGET = ("task.target_every",)
RETURN = "mean validation return"


def agents(base: Experiment, tune: Tune, prefix: str = "") -> dict[str, TrainedArm]:
    """The four arms of the table, `base` with both parts, and a control of the second effect."""

    def agent(says: str, changes: Mapping[str, Any]) -> TrainedArm:
        return TrainedArm(says, override(base, changes), tune)

    each = base.task.train_every
    once = {"newest": True, "replay": each}
    moving = {"target_every": 1}
    return {
        f"{prefix}both": agent("replay and target network", {}),
        f"{prefix}replay_only": agent("replay, no target network", {"task": moving}),
        f"{prefix}target_only": agent("target network, no replay", {"task": once, "data": {"batch": each}}),
        f"{prefix}target_newest": agent(
            "target network, replay of the newest 32 alone", {"task": {"replay": base.data.batch}}
        ),
        f"{prefix}neither": agent("no replay, no target network", {"task": once | moving, "data": {"batch": each}}),
    }


def sabotaged(base: Experiment, tune: Tune) -> dict[str, TrainedArm]:
    """The agent with both parts, of which neither does anything."""
    useless = override(base, {"task": {"replay": base.data.batch, "target_every": 1}})
    return {"sabotaged": TrainedArm("replay of the newest 32 alone, a target network of no age", useless, tune)}


def effects(better: str, prefix: str = "", where: str = "") -> tuple[Effect, ...]:
    # Over the five games of the table the ratios are 10.5, 2.9 and 1.3 in the median, 3.6, 2.6 and 1.2 at the least.
    # Their square roots are 3.2, 1.7 and 1.14. The first two are lessened, since an episode takes 500 steps at most,
    # and the mean over the course has every arm's beginning in it; the third is as it is.
    both = f"{prefix}both"
    return (
        Effect(
            both,
            f"{prefix}neither",
            better,
            f"both together against neither{where}",
            kind="ratio",
            margin=2,
            differs=NO_REPLAY + NO_TARGET,
        ),
        Effect(
            both,
            f"{prefix}target_only",
            better,
            f"replay helps an agent with a target network{where}",
            kind="ratio",
            margin=1.6,
            differs=NO_REPLAY,
        ),
        Effect(
            both,
            f"{prefix}target_newest",
            better,
            f"old transitions help an agent that learns from each as often{where}",
            kind="ratio",
            margin=1.6,
        ),
        Effect(
            both,
            f"{prefix}replay_only",
            better,
            f"a target network helps an agent that replays{where}",
            kind="ratio",
            margin=1.15,
            differs=NO_TARGET,
        ),
    )


TUNE = Tune(("optim.lr=3e-5,1e-4,3e-4,1e-3,3e-3",), steps=30_000, by=RETURN)
FULL_TUNE = Tune(("optim.lr=6.25e-5,2.5e-4,1e-3",), steps=1_000_000, by=RETURN)
CLAIM = Claim(
    year=2015,
    paper="Mnih et al. 2015, Extended Data Table 3",
    link="https://doi.org/10.1038/nature14236",
    says="A deep Q-network scores less without replayed experience, without a target network, and without both.",
    models=("dqn_mlp",),
    metric=Metric("mean validation length", "steps", "lower"),
    arms=agents(BASE, TUNE) | sabotaged(BASE, TUNE),
    effects=effects("lower"),
    sabotage="sabotaged",
    seeds=8,
    seconds=1800,
    smaller="Acrobot's six numbers for Atari's screens, and 120,000 steps for some 10 million frames",
    varies=("initial weights", "order of batches", "environment"),
    pilots="CartPole-v1 needed neither part, and so the environment was changed; that the target network is renewed "
    "every 125 updates, and that 10,000 transitions are kept, was chosen on Acrobot-v1 after that",
    budget="30,000 updates and 120,000 steps of the environment each",
    reason="the ratio lies at the margin: an episode takes 500 steps at most, and the mean over the whole course has "
    "every agent's beginning in it; more seeds would decide",
    plot=Plot("curve", x="update", of="validation length", y="mean length of 100 episodes"),
    full_arms=agents(FULL, FULL_TUNE)
    | sabotaged(FULL, FULL_TUNE)
    | agents(override(FULL, {"data": {"name": "minatar/asterix"}}), FULL_TUNE, "asterix_"),
    full_seeds=5,
    full_facts={
        "models": ("dqn_minatar",),
        "metric": RETURN,
        "effects": effects("higher", where=", Breakout") + effects("higher", "asterix_", ", Asterix"),
        "budget": "1,000,000 updates and 1,000,000 steps of the environment each",
        "smaller": "MinAtar's ten by ten squares for Atari's screens, and 1 million frames for some 10 million",
        "plot": Plot("curve", x="update", of="validation return", y="mean return of 100 episodes"),
    },
)
