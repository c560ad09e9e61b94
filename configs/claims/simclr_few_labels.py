"""With few labels, features that were learned without any beat a network that is trained on the labels alone.

Paper:   Chen et al. 2020, Table 7: fine-tuned with 1 % of ImageNet's labels, top-5 85.8 % (ResNet-50, 4x) and 75.5 %
         (ResNet-50) against 48.4 % of the same network trained on those labels alone
Run:     zoo claim simclr_few_labels    (CIFAR-10 in TFDS_DATA_DIR: zoo data prepare cifar10)
Here:    CIFAR-10, labels of 1 % of the training images (450), each class alike. The small encoder of cifar10_simclr
         learns from all training images without labels in 600 steps of 128. Then a linear classifier on its frozen
         features, its regularization chosen on validation (each seed with its own encoder); and the same network
         fine-tuned, all seeds from one encoder, against itself trained from random weights: 300 steps of 32 under
         crops and flips, each at the best of four rates by validation with the first seed. Seeds 4 to 11: 0 to 3 were
         a pilot of the same setting, in which fine-tuned was ahead (+1.71 points, 0.05 to 3.37) and the linear
         classifier not told apart (-1.77, -4.00 to 0.45).
Departs: CIFAR-10 for ImageNet, a tiny encoder and less than two epochs of it; Adam for LARS; the paper has the linear
         classifier on all labels only. --full has 2,000 steps each.
Measured: see results/claims.json. The digits (38 labels, 5 seeds) were tried first and left it undecided: fine-tuned
         -0.28 points (-3.48 to 3.06), for there 38 labels alone bring 87 %.
"""

from collections.abc import Sequence

from train.config import Contrast, Data, Experiment, Model, Optim
from train.history.claims import Claim, Effect, Metric, Plot, TrainedArm, Tune
from train.loop.run import Run, read_summary
from train.studies.probe import linear_each

LABELS = 0.01
CROPS = ("resized_crop_32", "flip")
ENCODER = {"depths": (1, 1, 1), "widths": (16, 32, 64), "stem_stride": 2}
TINY = {"depths": (1,), "widths": (4,), "stem_stride": 2}
SIMCLR = Experiment(
    model=Model("simclr_resnet20", {"fields": ENCODER, "widths": (64, 64)}),
    data=Data("cifar10", batch=128, augment=(*CROPS, "color_0.5", "grey_0.2")),
    optim=Optim("adam", lr=2e-3, weight_decay=1e-6, schedule="cosine", warmup_steps=50),
    task=Contrast(temperature=0.5),
    steps=600,
    seed=4,
    eval_every_steps=200,
    smoke={
        "steps": 2,
        "eval_every_steps": 2,
        "model": {"fields": {"fields": TINY, "widths": (4,)}},
        "data": {"batch": 8, "image_size": 8, "augment": ("flip",), "validation": 0.01},
        "optim": {"warmup_steps": 1},
    },
)
SUPERVISED = Experiment(
    model=Model("resnet20", ENCODER),
    data=Data("cifar10", batch=32, augment=CROPS, labels=LABELS),
    optim=Optim("adam", lr=1e-3, schedule="cosine", warmup_steps=20),
    steps=300,
    seed=4,
    eval_every_steps=100,
    smoke={
        "steps": 2,
        "eval_every_steps": 2,
        "model": {"fields": TINY},
        "data": {"batch": 8, "image_size": 8, "augment": ("flip",), "validation": 0.01},
        "optim": {"warmup_steps": 1},
    },
)
TUNE = Tune(("optim.lr=3e-4,1e-3,3e-3,1e-2",), steps=300, by="validation accuracy")


def accuracy(run: Run) -> Sequence[float]:
    """On test: of a classifier its own, of features that of a linear classifier fitted to the few labels."""
    if run.experiment.task.name == "contrast":
        return [result.test for result in linear_each(run, LABELS)]
    summary = read_summary(run.path)
    return [replica.test["accuracy"] for replica in summary.replicas]


CLAIM = Claim(
    year=2020,
    paper="Chen et al. 2020, Table 7",
    link="https://arxiv.org/abs/2002.05709",
    says="With few labels, what was learned without any beats the same network trained on those labels alone.",
    models=("simclr_resnet20", "resnet20"),
    metric=Metric("test accuracy", "share", "higher", accuracy),
    arms={
        "fine_tuned": TrainedArm("SimCLR's encoder, all of it trained on", SUPERVISED, TUNE, start="simclr"),
        "linear": TrainedArm("SimCLR's features frozen, a linear classifier on them", SIMCLR),
        "scratch": TrainedArm("the same network from random weights", SUPERVISED, TUNE),
    },
    effects=(
        # Half of the difference between 75.5 and 48.4 % is 13.5 points; lessened, since pre-training is two epochs for
        # 1,000. The paper has no linear classifier on few labels.
        Effect("fine_tuned", "scratch", "higher", "fine-tuned beats trained from scratch", margin=0.03),
        Effect("linear", "scratch", "higher", "a linear classifier on frozen features beats it too", margin=0.03),
    ),
    seeds=8,
    seconds=700,
    smaller="600 steps of a small encoder on CIFAR-10 for ResNet-50 on ImageNet",
    pilots="38 labels of the digits left it undecided; then seeds 0 to 3 of this setting",
    reason="600 batches are less than two passes over the images, and the encoder has 64 features, where the paper's "
    "ResNet-50 has 2,048 and 1,000 epochs: a linear classifier has little to go by",
    plot=Plot("bars", y="test accuracy with 450 labels"),
    starts={"simclr": SIMCLR},
    full={"steps": 2_000},
)
