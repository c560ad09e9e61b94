"""Batch normalization takes fewer steps, and higher learning rates.

Paper:   Ioffe and Szegedy 2015, Fig. 1a (784-100-100-100-10 sigmoid units on MNIST, minibatches of 60) and section
         4.2.1, Fig. 2 (BN-x5 and BN-x30: 5 and 30 times the rate; without, it cannot be raised)
Run:     zoo claim batch_normalization    (MNIST in TFDS_DATA_DIR: zoo data prepare mnist)
Here:    the net of Fig. 1a and its minibatches, plain SGD, rates of 0.1, 5 times and 30 times as much, 2,000 steps; and
         each net at the best rate of its own sweep of seven by the training loss of 300 steps. Compared is the number
         of steps until 90 % of the training images of the last 25 steps were right. Seeds 3 to 10: 0 to 2 were
         a pilot, which gave ratios of 4.1 (3.2 to 5.3), 1.22 (0.78 to 1.89), 1.36 (1.17 to 1.58) and 1.20 (0.95 to
         1.51), two of them undecided, and so how many seeds tell.
Departs: 2,000 steps for the paper's 50,000; the rates of Fig. 2, which is of an Inception net, on the net of Fig. 1a.
Measured: 4.5 times fewer steps at the same rate, 1.25 at 30 times the rate, 1.10 each at its best; 30 times the rate
         with it takes as many steps (ratio 1.00, 0.87 to 1.16). (cpu, 1 core, 2026-11-28, 8 seeds)
"""

from train.config import Data, Experiment, Model, Optim, override
from train.history.claims import Claim, Effect, Plot, TrainedArm, Tune

BASE = Experiment(
    model=Model("mlp", {"widths": (100, 100, 100), "activation": "sigmoid"}),
    data=Data("mnist", batch=60, validation=0.0),
    optim=Optim("sgd", lr=0.1),
    steps=2_000,
    seed=3,
    eval_every_steps=25,
    smoke={"steps": 2, "eval_every_steps": 2, "data": {"name": "digits", "batch": 8}},
)
NETS = {"plain": False, "bn": True}
TIMES = (1, 5, 30)
TUNE = Tune(("optim.lr=0.03,0.1,0.3,1,3,10,30",), steps=300)


def arm(norm: bool, times: int) -> TrainedArm:
    changed = override(BASE, {"optim": {"lr": 0.1 * times}})
    changed = override(changed, {"model": {"fields": BASE.model.fields | {"batch_norm": norm}}})
    return TrainedArm(f"{'with' if norm else 'without'} batch normalization, rate {0.1 * times:g}", changed)


def tuned(norm: bool) -> TrainedArm:
    own = arm(norm, 1)
    return TrainedArm(f"{'with' if norm else 'without'}, at its own best rate", own.experiment, tune=TUNE)


CLAIM = Claim(
    year=2015,
    paper="Ioffe and Szegedy 2015, Fig. 1a and Fig. 2",
    link="https://arxiv.org/abs/1502.03167",
    says="With batch normalization a net learns in fewer steps, and stands learning rates many times higher.",
    models=("mlp",),
    metric="steps to reach train accuracy 0.9",
    arms={f"{net}_x{times}": arm(norm, times) for times in TIMES for net, norm in NETS.items()}
    | {f"{net}_best": tuned(norm) for net, norm in NETS.items()},
    effects=(
        # Margins: the square roots of the ratios in Fig. 3, where 72.2 % takes 31.0 million steps without it, 13.3 with
        # it, 2.1 at 5 times and 2.7 at 30 times the rate. "14 times fewer training steps" is of the best of each.
        Effect("plain_best", "bn_best", "higher", "fewer steps, each at its own best rate", kind="ratio", margin=3.8),
        Effect("plain_x1", "bn_x1", "higher", "fewer steps at the same rate", kind="ratio", margin=1.5),
        Effect(
            "bn_x1", "bn_x30", "higher", "with it, 30 times the rate takes fewer steps still", kind="ratio", margin=2.2
        ),
        Effect("plain_x30", "bn_x30", "higher", "fewer steps at 30 times the rate", kind="ratio", margin=3.4),
    ),
    seeds=8,
    seconds=240,
    smaller="2,000 steps for 50,000",
    pilots="seeds 0 to 2 left two effects undecided, and so chose the number of seeds",
    reason="a rate of 0.1 is not far from this net's best once it is normalized, so that 30 times as much gains "
    "nothing; the paper multiplies the rate that was chosen for a net without normalization",
    plot=Plot("curve", of="train accuracy", y="training accuracy"),
    full={"steps": 50_000, "eval_every_steps": 100},
    full_seeds=8,
)
