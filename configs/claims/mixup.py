"""A net that learns from mixtures of two images and their labels is hurt less by wrong labels.

Paper:   Zhang et al. 2017, section 3.4, Table 2: CIFAR-10 with 20 % of wrong labels, best test errors of 12.7 % without
         mixup and 5.9 % with it, from memory
Run:     zoo claim mixup    (MNIST in TFDS_DATA_DIR: zoo data prepare mnist)
Here:    an MLP of two hidden layers of 256 units on 2,000 images of MNIST, of whose labels every fifth is wrong, 1,500
         steps of 50 (37 epochs) by Adam. Images and labels are mixed in pairs, or not. Each net has the best of three
         rates, and mixing the best alpha of three, by accuracy on 6,000 images with right labels, over 3 seeds that
         are not compared; a best value at an end moves that end on. Compared is the accuracy on the 10,000 test
         images, and beside it the test loss. Seeds 60 to 67.
Departs: an MLP and 2,000 digits for a residual net and CIFAR-10, 37 epochs for 200; each example has its own share, not
         all of a batch the same; all seeds have one draw of images and of wrong labels, so that the interval is of
         the training alone
Measured: not yet
"""

from train.config import Data, Experiment, Model, Optim
from train.history.claims import Claim, Effect, Metric, Plot, RemeasuredArm, TrainedArm, Tune
from train.loop.restore import restore_replicas
from train.loop.run import Run, read_summary

BASE = Experiment(
    model=Model("mlp", {"widths": (256, 256)}),
    data=Data("mnist", batch=50, labels=1 / 27, wrong_labels=0.2),  # 2,000 of the 54,000 that are not held out
    optim=Optim("adam", lr=1e-3),
    steps=1_500,
    seed=60,
    eval_every_steps=250,
    smoke={
        "steps": 2,
        "eval_every_steps": 2,
        "data": {"name": "digits", "batch": 4, "labels": 1.0},
        "model": {"fields": {"widths": (8,)}},
    },
)
RATES = "optim.lr=0.0003,0.001,0.003"


def learned(run: Run) -> list[float]:
    """Share of its own training images that each seed tells as they are labelled, wrong labels too."""
    parts, team, state = restore_replicas(run)
    measure = parts.evaluator("train", None)
    return [measure(one)["accuracy"] for one in team.each(state)]


def loss(run: Run) -> list[float]:
    return [replica.test["loss"] for replica in read_summary(run.path).replicas]


LEARNED = Metric("accuracy on its training images", "share", "higher", learned)
LOSS = Metric("test loss", "nats", "lower", loss)

CLAIM = Claim(
    year=2017,
    paper="Zhang et al. 2017, section 3.4 and Table 2",
    link="https://arxiv.org/abs/1710.09412",
    says="Mixup lowers the test error of a net that learns from partly wrong labels.",
    models=("mlp",),
    metric="test accuracy",
    arms={
        "mixup": TrainedArm(
            "pairs of images and labels mixed, the best alpha of three or more",
            BASE,
            tune=Tune((RATES, "data.augment.mixup=1,3,10"), steps=1_500, by="validation accuracy"),
        ),
        "none": TrainedArm(
            "nothing against overfitting",
            BASE,
            tune=Tune((RATES,), steps=1_500, by="validation accuracy"),
        ),
        "mixup_loss": RemeasuredArm("its test loss", "mixup", LOSS),
        "none_loss": RemeasuredArm("the test loss of the plain net", "none", LOSS),
        "mixup_learned": RemeasuredArm("what it tells of its training images as labelled", "mixup", LEARNED),
        "none_learned": RemeasuredArm("what the plain net tells of its training images as labelled", "none", LEARNED),
    },
    effects=(
        # Half of 12.7 less 5.9 %, the best test errors of Table 2 at 20 % of wrong labels without and with mixup (from
        # memory): the best ones, since the rate of the plain net is chosen by right labels here.
        Effect("mixup", "none", "higher", "mixup makes it more accurate", margin=0.034),
    ),
    seeds=8,
    seconds=480,
    varies=("initial weights", "order of batches", "random draws"),
    smaller="2,000 digits and an MLP for CIFAR-10 and a residual net",
    plot=Plot("bars", y="test accuracy", arms=("mixup", "none")),
)
