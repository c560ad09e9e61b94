"""With few labels, features that were learned without any beat a network that is trained on the labels alone.

Paper:   Chen et al. 2020, Table 7: fine-tuned with 1 % of ImageNet's labels, top-5 85.8 % (ResNet-50, 4x) and 75.5 %
         (ResNet-50) against 48.4 % of the same network trained on those labels alone
Run:     zoo claim simclr_few_labels
Here:    digits, labels of 3 % of the training images (38), each class alike. The encoder of digits_simclr learns from
         all training images without labels in 300 steps of 128. Then a linear classifier on its frozen features, its
         regularization chosen on validation (each seed with its own encoder); and the same network fine-tuned, all
         seeds from one encoder, against itself trained from random weights: 300 steps of 32 under the augmentations
         that SimCLR had too, each at the best of four rates by validation with seed 0.
Departs: digits for ImageNet; Adam for LARS; the paper has the linear classifier on all labels only. --full has 2,000
         steps in place of 300.
Measured: see results/claims.json. Undecided: fine-tuned and from scratch are alike here, and the linear classifier is
         rather below both. (On MNIST and CIFAR-10 with 1 % of the labels fine-tuning gained 0.5 and 2.6 points over
         3 seeds: see mnist_simclr and cifar10_simclr.)
"""

from collections.abc import Sequence

from train.config import Contrast, Data, Experiment, Model, Optim
from train.history.claim import Claim, Effect, Metric, Plot, Trained, Tune
from train.probe import linear_each
from train.run import Run, read_summary

LABELS = 0.03
VIEWS = ("shift_1", "cutout_3", "blur_0.5")
ENCODER = {"depths": (1, 1, 1), "widths": (16, 32, 64)}
TINY = {"depths": (1,), "widths": (4,)}
SIMCLR = Experiment(
    model=Model("simclr_resnet20", {"fields": ENCODER, "widths": (64, 64)}),
    data=Data("digits", batch=128, augment=VIEWS),
    optim=Optim("adam", lr=2e-3, schedule="cosine", warmup_steps=50),
    task=Contrast(temperature=0.5),
    steps=300,
    eval_every_steps=100,
    smoke={
        "steps": 2,
        "eval_every_steps": 2,
        "model": {"fields": {"fields": TINY, "widths": (4,)}},
        "data": {"batch": 8},
        "optim": {"warmup_steps": 1},
    },
)
SUPERVISED = Experiment(
    model=Model("resnet20", ENCODER),
    data=Data("digits", batch=32, augment=VIEWS, labels=LABELS),
    optim=Optim("adam", lr=1e-3, schedule="cosine", warmup_steps=20),
    steps=300,
    eval_every_steps=100,
    smoke={
        "steps": 2,
        "eval_every_steps": 2,
        "model": {"fields": TINY},
        "data": {"batch": 8},
        "optim": {"warmup_steps": 1},
    },
)
TUNE = Tune(("optim.lr=3e-4,1e-3,3e-3,1e-2",), steps=300, by="validation accuracy")


def accuracy(run: Run) -> Sequence[float]:
    """On test: of a classifier its own, of features that of a linear classifier fitted to the few labels."""
    if run.experiment.task.name == "contrast":
        return [result.test for result in linear_each(run, LABELS)]
    summary = read_summary(run.path)
    return [member["test"]["accuracy"] for member in summary.get("replicas", [summary])]


CLAIM = Claim(
    year=2020,
    paper="Chen et al. 2020, Table 7",
    link="https://arxiv.org/abs/2002.05709",
    says="With few labels, what was learned without any beats the same network trained on those labels alone.",
    models=("simclr_resnet20", "resnet20"),
    metric=Metric("test accuracy", "share", "higher", accuracy),
    arms={
        "fine_tuned": Trained("SimCLR's encoder, all of it trained on", SUPERVISED, TUNE, start="simclr"),
        "linear": Trained("SimCLR's features frozen, a linear classifier on them", SIMCLR),
        "scratch": Trained("the same network from random weights", SUPERVISED, TUNE),
    },
    effects=(
        Effect("fine_tuned", "scratch", "higher", "fine-tuned beats trained from scratch"),
        Effect("linear", "scratch", "higher", "a linear classifier on frozen features beats it too"),
    ),
    seeds=5,
    seconds=300,
    reason="The digits, 8x8 pixels, are too easy to show it: with the same augmentations 38 labels alone bring 87 %. "
    "300 steps on 1,295 images, whose views differ by a pixel's shift and a dark square, teach the features little "
    "more. Fine-tuning chose the largest of its rates, by one seed on 143 validation images: it leaves little of them.",
    plot=Plot("bars", y="test accuracy with 38 labels"),
    starts={"simclr": SIMCLR},
    full={"steps": 2_000},
)
