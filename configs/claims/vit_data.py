"""With little data a vision transformer is behind a residual net, and the gap closes as the data grow.

Paper:   Dosovitskiy et al. 2020, Fig. 3 and 4: pre-trained on little, ViT is behind BiT (ResNets); on much, ahead
Run:     zoo claim vit_data
Here:    ResNet-20 (0.27 M parameters) and a ViT of 2x2 patches (64 wide, 4 blocks, 0.20 M) on all 1,295 training images
         of the digits and on 129 of them, 400 steps of 32 each; test accuracy on the 359 test images. Optimizers
         and rates are those of configs/digits_resnet20 and digits_vit.
Departs: the paper grows data from 1.3 to 303 million images, pre-trains and transfers; here nets learn the set itself.
         That a ViT comes out ahead in the end needs more than any small set has: only the closing gap is tried.
Measured: the gap in accuracy falls from 24.9 to 8.4 points. The ratio of the two errors does not: it rises from 3.2 to
         7.7, as the ResNet comes close to no error at all. (cpu, 2 cores, shared, 2026-11-24, 4 seeds, before
         the table of positions decayed)
"""

from train.config import Data, Experiment, Model, Optim, override
from train.history.claims import Claim, Difference, Effect, Plot, TrainedArm

DATA = Data("digits", batch=32)
SMOKE = {"steps": 2, "eval_every_steps": 2, "data": {"batch": 4}, "optim": {"warmup_steps": 1}}
RESNET = Experiment(
    model=Model("resnet20"),
    data=DATA,
    optim=Optim("adam", lr=3e-3, schedule="cosine", warmup_steps=50),
    steps=400,
    eval_every_steps=100,
    smoke=SMOKE | {"model": {"fields": {"depths": (1,), "widths": (4,)}}},
)
VIT = Experiment(
    model=Model("vit_mini_patch2", {"width": 64, "depth": 4}),
    data=DATA,
    optim=Optim("adamw", lr=3e-3, schedule="cosine", warmup_steps=50, weight_decay=0.05),
    steps=400,
    eval_every_steps=100,
    smoke=SMOKE | {"model": {"fields": {"width": 16, "depth": 1}}},
)
SHARES = {"little": 0.1, "all": 1.0}
DIGITS, CIFAR10 = 1_295, 45_000  # training images; --full has those of CIFAR-10
NETS = {"resnet": ("ResNet-20", RESNET), "vit": ("ViT", VIT)}


def on(net: Experiment, share: float) -> Experiment:
    return override(net, {"data": {"labels": share}})


def images(share: float, whole: int) -> int:
    return int(whole * share)


def says(whole: int) -> dict[str, str]:
    """Arm -> its text, on a training set of `whole` images."""
    return {
        f"{kind}_{size}": f"{said}, {images(share, whole):,} images"
        for size, share in SHARES.items()
        for kind, (said, _) in NETS.items()
    }


def effects(whole: int) -> tuple[Effect, ...]:
    few = images(SHARES["little"], whole)
    return (
        # The figures have curves and no numbers.
        Effect("resnet_little", "vit_little", "higher", f"of {few:,} images the ResNet makes more", margin=0.005),
        Effect("gap_all", "gap_little", "lower", "with ten times the images the gap is smaller", margin=0.005),
    )


def plot(whole: int) -> Plot:
    at = {kind: {f"{kind}_{size}": images(share, whole) for size, share in SHARES.items()} for kind in NETS}
    return Plot("points", x="training images", y="test accuracy", log_x=True, at=at)


CLAIM = Claim(
    year=2020,
    paper="Dosovitskiy et al. 2020, Fig. 3 and 4",
    link="https://arxiv.org/abs/2010.11929",
    says="A vision transformer is behind a residual net where data are few; the gap closes as they grow.",
    models=("vit_mini_patch2", "resnet20"),
    metric="test accuracy",
    arms={
        f"{kind}_{size}": TrainedArm(says(DIGITS)[f"{kind}_{size}"], on(net, share))
        for size, share in SHARES.items()
        for kind, (_, net) in NETS.items()
    }
    | {f"gap_{size}": Difference("ResNet - ViT", f"resnet_{size}", f"vit_{size}") for size in SHARES},
    effects=effects(DIGITS),
    seeds=4,
    seconds=240,
    smaller="1,295 digits for 1.3 to 303 million photographs",
    plot=plot(DIGITS),
    full={"data": {"name": "cifar10", "batch": 128}, "steps": 20_000, "eval_every_steps": 1_000}
    | {"optim": {"warmup_steps": 1_000}},
    full_seeds=3,
    full_says=says(CIFAR10),
    full_facts={"effects": effects(CIFAR10), "plot": plot(CIFAR10)},
)
