"""Two layers of 3x3 filters make fewer errors than one layer of 5x5 filters, which sees as far.

Paper:   Simonyan and Zisserman 2014, section 4.1: each pair of 3x3 convolutions of configuration B is replaced by one
         of 5x5, and the top-1 error is 7 % higher; section 2.3: a pair sees 5x5 pixels, with one more ReLU, and with 18
         weights for 25 where it has as many features before as after
Run:     zoo claim vgg_small_filters
Here:    the form of configuration B with three stages of 32, 64 and 64 features (`zoo show vgg_mini`), max pooling
         after each, and two dense layers with dropout 0.5, on 8,000 scenes composed from real digits, 16x16 pixels, 600
         steps of 64 by Adam. Pairs of 3x3 convolutions (138,848 parameters, 189,546 with the dense layers), or one of
         5x5 in place of each (154,560, 205,258). Each net has the best of three rates by the accuracy on validation
         scenes after 400 steps, over 3 seeds that are not compared; a best rate at an end moves that end on. Compared
         is the error on 5,026 test scenes, of digits that no other split has. Initial weights are those of Glorot and
         Bengio in both. Seeds 10 to 15.
Departs: scenes of one channel for photographs, three stages for five, Adam for SGD with momentum; equal steps, and not
         until validation stops rising, so that the deeper net has more work (14.4 million FLOPs an image for 10.3; in
         the paper 22.6 billion for 18.7). The paper has one run of each net, and does not say whether its shallow net
         had a rate of its own.
"""

import dataclasses

from train.config import Experiment, Model, Optim, Scenes
from train.history.claims import Claim, Effect, Metric, Plot, TrainedArm, Tune
from train.loop.run import Run, read_summary

BASE = Experiment(
    model=Model("vgg_mini", {"grid": 2, "depths": (2, 2, 2), "kernel": 3}),
    data=Scenes(batch=64),
    optim=Optim("adam", lr=1e-3, schedule="cosine", warmup_steps=50),
    steps=600,
    seed=10,
    eval_every_steps=200,
    smoke={
        "steps": 2,
        "eval_every_steps": 2,
        "data": {"batch": 4, "images": 40},
        "optim": {"warmup_steps": 1},
        "model": {"fields": {"widths": (2, 4, 4), "hidden": 8}},
    },
)
WIDE = dataclasses.replace(BASE, model=Model("vgg_mini", {"grid": 2, "depths": (1, 1, 1), "kernel": 5}))
TUNE = Tune(("optim.lr=0.0003,0.001,0.003",), steps=400, by="validation accuracy")


def error(run: Run) -> list[float]:
    return [1 - replica.test["accuracy"] for replica in read_summary(run.path).replicas]


CLAIM = Claim(
    year=2014,
    paper="Simonyan and Zisserman 2014, section 4.1",
    link="https://arxiv.org/abs/1409.1556",
    says="Two layers of 3x3 filters make fewer errors than one layer of 5x5 filters, which sees as far.",
    models=("vgg_mini",),
    metric=Metric("test error", "share", "lower", error),
    arms={
        "small": TrainedArm("six layers of 3x3 filters, 189,546 parameters", BASE, tune=TUNE),
        "large": TrainedArm("three layers of 5x5 filters, 205,258 parameters", WIDE, tune=TUNE),
    },
    effects=(
        # The square root of the ratio of errors: of B 28.7 % (Table 3), of its shallow form 7 points more.
        Effect(
            "small",
            "large",
            "lower",
            "two layers of 3x3 filters make fewer errors than one of 5x5",
            kind="ratio",
            margin=1.12,
            differs=("model.fields.depths", "model.fields.kernel"),
        ),
    ),
    seeds=6,
    seconds=600,
    smaller="8,000 scenes of 16x16 digits for 1.3 million photographs, 0.19 million parameters for 133 million",
    pilots="one run of the net of 3x3 filters with seed 100, to see what it costs; nothing was compared",
    plot=Plot("bars", y="test error"),
)
