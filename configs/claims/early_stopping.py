"""A net that stops learning where it is best on images that are held out errs less than one that learns on.

Paper:   Amari et al. 1995, abstract: with few examples "cross-validated early stopping always decreases the
         generalization error", with very many it hardly does
Run:     zoo claim early_stopping    (MNIST in TFDS_DATA_DIR: zoo data prepare mnist)
Here:    an MLP of two hidden layers of 256 units on 2,000 images of MNIST, of whose labels every fifth is wrong, 1,500
         steps of 50 (37 epochs) by Adam. Its rate is the one of three at which it learns these images best, by their
         loss over 3 seeds that are not compared: it learns to the end, as in the paper. The same nets are measured
         at the end, and as they were where accuracy on 6,000 images with right labels was best, of 30 times.
         Compared is the accuracy on the 10,000 test images; then the test loss. Beside them stands a net that learns
         to the end at the rate that is best on those 6,000 images: a small rate stops it too. Seeds 70 to 77.
Departs: wrong labels of digits for the paper's drawn examples; one step for all seeds, the best on average; all seeds
         have one draw of images and of wrong labels, so that the interval is of the training alone
Measured: not yet
"""

import functools

from train.config import Data, Experiment, Model, Optim
from train.config.metrics import Direction
from train.history.claims import Claim, Effect, Metric, Plot, RemeasuredArm, TrainedArm, Tune
from train.loop.restore import restore_replicas
from train.loop.run import Run, read_summary

BASE = Experiment(
    model=Model("mlp", {"widths": (256, 256)}),
    data=Data("mnist", batch=50, labels=1 / 27, wrong_labels=0.2),  # 2,000 of the 54,000 that are not held out
    optim=Optim("adam", lr=1e-3),
    steps=1_500,
    seed=70,
    eval_every_steps=50,
    smoke={
        "steps": 2,
        "eval_every_steps": 2,
        "data": {"name": "digits", "batch": 4, "labels": 1.0},
        "model": {"fields": {"widths": (8,)}},
    },
)
RATES = ("optim.lr=0.0003,0.001,0.003",)


def where_best(run: Run, metric: str) -> list[float]:
    """A test metric of each seed with the weights that were best on validation, the mean over the seeds."""
    parts, team, state = restore_replicas(run, "best")
    measure = parts.evaluator("test", None)
    return [measure(one)[metric] for one in team.each(state)]


def learned(run: Run) -> list[float]:
    """Share of its own training images that each seed tells as they are labelled, wrong labels too."""
    parts, team, state = restore_replicas(run)
    measure = parts.evaluator("train", None)
    return [measure(one)["accuracy"] for one in team.each(state)]


def loss(run: Run) -> list[float]:
    return [replica.test["loss"] for replica in read_summary(run.path).replicas]


def stopped(says: str, metric: str, unit: str, better: Direction) -> RemeasuredArm:
    name = f"test {metric} where validation was best"
    return RemeasuredArm(says, "on", Metric(name, unit, better, functools.partial(where_best, metric=metric)))


CLAIM = Claim(
    year=1995,
    paper="Amari et al. 1995, abstract",
    link="https://proceedings.nips.cc/paper_files/paper/1995/hash/299a23a2291e2126b91d54f3601ec162-Abstract.html",
    says="Stopping where held-out examples are told best lowers the test error of a net that has few examples.",
    models=("mlp",),
    metric="test accuracy",
    arms={
        "stopped": stopped("stopped where validation was best", "accuracy", "share", "higher"),
        "on": TrainedArm("the same nets at the end", BASE, tune=Tune(RATES, steps=1_500)),
        "stopped_loss": stopped("test loss where validation was best", "loss", "nats", "lower"),
        "on_loss": RemeasuredArm("test loss at the end", "on", Metric("test loss", "nats", "lower", loss)),
        "on_learned": RemeasuredArm(
            "what they tell of their training images as labelled, at the end",
            "on",
            Metric("accuracy on its training images", "share", "higher", learned),
        ),
        "slow": TrainedArm(
            "at the end, at the rate that is best on validation",
            BASE,
            tune=Tune(RATES, steps=1_500, by="validation accuracy"),
        ),
    },
    effects=(
        # The paper has a direction and no number for few examples: half a point is about twice the error of 10,000
        # test images, and of a ratio 1.1.
        Effect("stopped", "on", "higher", "stopping makes it more accurate", margin=0.005),
        Effect("on_loss", "stopped_loss", "higher", "its test loss is lower, the paper's measure", "ratio", margin=1.1),
    ),
    seeds=8,
    seconds=330,
    plot=Plot("bars", y="test accuracy", arms=("stopped", "on", "slow")),
)
