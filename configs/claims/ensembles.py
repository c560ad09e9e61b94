"""Several nets that vote make fewer errors than one of them.

Paper:   Hansen and Salamon 1990: what error is left after cross-validation "can be reduced by invoking ensembles of
         similar networks" (abstract, from memory); they decide by the plurality of votes
Run:     zoo claim ensembles    (MNIST in TFDS_DATA_DIR: zoo data prepare mnist)
Here:    an MLP of two hidden layers of 256 units on 2,000 images of MNIST, of whose labels every fifth is wrong, 1,500
         steps of 50 (37 epochs) by Adam. All nets have the best of three rates by accuracy on 6,000 images with
         right labels, over 3 seeds that are not compared. 30 nets make 6 ensembles of 5, none in two of them; each
         ensemble takes the class with most votes on each of the 10,000 test images, and stands against the mean of
         its own five; between classes with equally many votes their probabilities decide. Seeds 80 to 109.
Departs: another net and set; probabilities decide between equal votes, of which the paper says nothing (from memory);
         all seeds have one draw of images and of wrong labels, so that nets differ in their initial weights and the
         order of their batches alone
"""

import jax
import jax.numpy as jnp
import numpy as np

from train.config import Data, Experiment, Model, Optim
from train.history.claims import Claim, Effect, Measured, MembersArm, Metric, Plot, RemeasuredArm, TrainedArm, Tune
from train.history.claims.measures import learned
from train.loop.restore import restore_replicas
from train.loop.run import Run

BASE = Experiment(
    model=Model("mlp", {"widths": (256, 256)}),
    data=Data("mnist", batch=50, labels=1 / 27, wrong_labels=0.2),  # 2,000 of the 54,000 that are not held out
    optim=Optim("adam", lr=1e-3),
    steps=1_500,
    seed=80,
    eval_every_steps=250,
    smoke={
        "steps": 2,
        "eval_every_steps": 2,
        "data": {"name": "digits", "batch": 4, "labels": 1.0},
        "model": {"fields": {"widths": (8,)}},
    },
)
MEMBERS = 5


def voted(run: Run) -> list[Measured]:
    """Test accuracy of ensembles of MEMBERS seeds, none in two of them, as many as there are.

    Of classes with equally many votes that one wins to which the members give most probability.
    """
    parts, team, state = restore_replicas(run)
    mean, std = (np.asarray(each, np.float32) for each in (parts.dataset.mean, parts.dataset.std))
    test = parts.dataset.test.arrays()
    x = jnp.asarray((test["x"].astype(np.float32) / 255 - mean) / std)

    @jax.jit
    def likely(variables: dict) -> jax.Array:
        return jax.nn.softmax(parts.model.apply(variables, x, train=False))

    each = [np.asarray(likely({"params": one.params["net"], **one.vars["net"]})) for one in team.each(state)]
    count, first = len(each) // MEMBERS, run.experiment.seed
    found = []
    for i in range(count):
        members = range(i, count * MEMBERS, count)
        chances = np.stack([each[member] for member in members])  # (members, images, classes)
        votes = np.eye(chances.shape[-1])[chances.argmax(-1)].sum(0)
        right = (votes + chances.mean(0) / 2).argmax(-1) == test["y"]  # less than half a vote decides between equals
        found.append(Measured(float(right.mean()), of=tuple(first + member for member in members)))
    return found


CLAIM = Claim(
    year=1990,
    paper="Hansen and Salamon 1990",
    link="https://doi.org/10.1109/34.58871",
    says="Several similar nets that vote make fewer errors than one of them.",
    models=("mlp",),
    metric="test accuracy",
    arms={
        "vote": RemeasuredArm("five nets vote", "net", Metric("test accuracy of ensembles", "share", "higher", voted)),
        "members": MembersArm("the mean of the five nets of each ensemble", "net", "vote"),
        "net": TrainedArm(
            "every net",
            BASE,
            tune=Tune(("optim.lr=0.0003,0.001,0.003",), steps=1_500, by="validation accuracy"),
        ),
        "net_learned": RemeasuredArm(
            "what every net tells of its training images as labelled",
            "net",
            learned("accuracy"),
        ),
    },
    effects=(
        # A direction: half a point is the least that pays for five times the training (a blind reader's margin).
        Effect("vote", "members", "higher", "five that vote are more accurate than one of them", margin=0.005),
    ),
    seeds=30,
    seconds=270,
    smaller="2,000 digits with wrong labels, and ensembles of 5",
    pilots="with 540 images and right labels three nets, by their mean probabilities, were not told from nothing: they "
    "stood against one of them, and not against their mean; wrong labels, five nets and votes were chosen after it",
    plot=Plot("bars", y="test accuracy", arms=("vote", "members")),
)
