"""A convolutional net reads digits better than a fully connected one of as many parameters, above all moved ones.

Paper:   LeCun et al. 1998, Fig. 9 and section II.A: shared local weights stand shifts, fully connected ones do not
Run:     zoo claim lenet    (MNIST in TFDS_DATA_DIR: zoo data prepare mnist)
Here:    LeNet-5 (61,706 parameters) against an MLP of 60 hidden units (62,110) on 5,400 images of MNIST, padded to 32
         pixels, 600 steps of 128 by Adam, each at the best of four rates by accuracy on 6,000 validation images after
         300 steps, over 3 seeds that are not compared. Test accuracy on the test images as they are, and all of them
         moved by 1 and by 2 pixels along each diagonal. Seeds 8 to 12, which no earlier design had.
Departs: the paper's fully connected nets are larger, and its set ten times as large (--full): that both have one size
         is ours; Adam for its second-order rule; LeNet keeps its scaled tanh and its initial values, and the MLP has
         rectified units, so that they differ in more than their connections; a goal of the paper, invariance to
         shifts, is measured on shifts that no training image has.
"""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np

from train.config import Data, Experiment, Model, Optim
from train.core import devices
from train.history.claims import Claim, Difference, Effect, Metric, Plot, RemeasuredArm, TrainedArm, Tune
from train.loop.restore import restore_replicas
from train.loop.run import Run

BASE = Experiment(
    model=Model("lenet5"),
    data=Data("mnist", batch=128, image_size=32, fit="pad", labels=0.1),
    optim=Optim("adam", lr=3e-3, schedule="cosine"),
    steps=600,
    seed=8,
    eval_every_steps=100,
    smoke={"steps": 2, "eval_every_steps": 2, "data": {"name": "digits", "batch": 4, "labels": 1.0}},
)
TUNE = Tune(("optim.lr=0.001,0.003,0.01,0.03",), steps=300, by="validation accuracy")
BATCH = 1_000
PIXELS = (1, 2)


def moved_accuracy(run: Run, pixels: int) -> list[float]:
    """Test accuracy of each seed, the mean over the four ways to move all images by `pixels` along a diagonal."""
    parts, team, state = restore_replicas(run)
    test = parts.dataset.test.arrays()
    count = jax.jit(parts.task.evaluate)
    found = []
    for one in team.each(state):
        right = []
        for down, across in ((1, 1), (1, -1), (-1, 1), (-1, -1)):
            x = np.roll(test["x"], (pixels * down, pixels * across), axis=(1, 2))  # what is rolled over is blank
            for start in range(0, len(x), BATCH):
                cut = slice(start, start + BATCH)
                batch = {"x": x[cut], "y": test["y"][cut], "mask": np.ones(len(x[cut]), np.float32)}
                right.append(devices.settle(count(one, jax.tree.map(jnp.asarray, batch)))["accuracy"])
        found.append(float(sum(right)) / (4 * len(test["x"])))
    return found


def moved(net: str, of: str, pixels: int) -> RemeasuredArm:
    metric = Metric(
        f"test accuracy on images moved by {pixels}",
        "share",
        "higher",
        functools.partial(moved_accuracy, pixels=pixels),
    )
    return RemeasuredArm(f"{net} on test images moved by {pixels}", of, metric)


NETS = {"lenet": "LeNet-5", "mlp": "the MLP"}
CLAIM = Claim(
    year=1998,
    paper="LeCun et al. 1998, Fig. 9 and section II.A",
    link="https://doi.org/10.1109/5.726791",
    says="A convolutional net reads digits better than a fully connected one of equal size, above all moved ones.",
    models=("lenet5", "mlp"),
    metric="test accuracy",
    arms={
        "lenet": TrainedArm("LeNet-5, 61,706 parameters", BASE, tune=TUNE),
        "mlp": TrainedArm(
            "60 hidden units, 62,110 parameters",
            dataclasses.replace(BASE, model=Model("mlp", {"widths": (60,)})),
            tune=TUNE,
        ),
    }
    | {f"{name}_moved_{pixels}": moved(net, name, pixels) for pixels in PIXELS for name, net in NETS.items()}
    | {
        f"{name}_loss_{pixels}": Difference(f"what {net} loses when they move", name, f"{name}_moved_{pixels}")
        for pixels in PIXELS
        for name, net in NETS.items()
    },
    effects=(
        # Half of the difference in Fig. 9, 0.95 % of errors against 4.5 % (28x28-1000-10). Of moved images the paper
        # has no figure: the same is asked of them, so that not to lose what the other net loses counts as much.
        Effect("lenet", "mlp", "higher", "convolution is more accurate at equal size", margin=0.018),
        *(
            Effect(
                f"lenet_loss_{pixels}",
                f"mlp_loss_{pixels}",
                "lower",
                f"convolution loses less when images move by {pixels}",
                margin=0.018,
            )
            for pixels in PIXELS
        ),
    ),
    seeds=5,
    seconds=400,
    smaller="5,400 images for 60,000",
    pilots="seeds 0 to 2 and then 3 to 7 had rates chosen by training loss, and images moved by 3 pixels, of which "
    "neither net tells many; 1 and 2 pixels, and rates chosen by validation, came after them",
    plot=Plot(
        "bars",
        y="test accuracy",
        arms=("lenet", "mlp", *(f"{name}_moved_{pixels}" for pixels in PIXELS for name in NETS)),
    ),
    full={"data": {"labels": 1.0}, "steps": 9_380, "eval_every_steps": 469},
    full_seeds=5,
)
