"""A net that drops some of its units while it learns makes fewer errors on new images.

Paper:   Srivastava et al. 2014, Table 2 (MNIST: 1.60 % of errors without dropout; 1.35 % with it and the same
         logistic units, 1.25 % with it and rectified linear units, which is another net) and section 7.4 (with 100 or
         500 images it gains nothing, with thousands most); from memory
Run:     zoo claim dropout    (MNIST in TFDS_DATA_DIR: zoo data prepare mnist)
Here:    an MLP of two hidden layers of 256 units on 2,000 images of MNIST, of whose labels every fifth is wrong, 1,500
         steps of 50 (37 epochs) by Adam. Hidden units are dropped, or none. Each net has the best of three rates, and
         the share that is dropped the best of three, by accuracy on 6,000 images with right labels, over 3 seeds that
         are not compared; a best value at an end moves that end on. Compared is the accuracy on the 10,000 test
         images, and beside it the test loss. Seeds 40 to 47.
Departs: a thirtieth of the images, and wrong labels, so that learning them by heart costs something: they were chosen
         after 540 and 2,700 images with right labels had shown nothing to gain by dropout; the inputs are not
         dropped, norms of weights are not bounded; all seeds have one draw of images and of wrong labels, so that the
         interval is of the training alone
"""

from train.config import Data, Experiment, Model, Optim
from train.history.claims import Claim, Effect, Plot, RemeasuredArm, TrainedArm, Tune, metric
from train.history.claims.measures import learned

BASE = Experiment(
    model=Model("mlp", {"widths": (256, 256)}),
    data=Data("mnist", batch=50, labels=1 / 27, wrong_labels=0.2),  # 2,000 of the 54,000 that are not held out
    optim=Optim("adam", lr=1e-3),
    steps=1_500,
    seed=40,
    eval_every_steps=250,
    smoke={
        "steps": 2,
        "eval_every_steps": 2,
        "data": {"name": "digits", "batch": 4, "labels": 1.0},
        "model": {"fields": {"widths": (8,)}},
    },
)
RATES = "optim.lr=0.0003,0.001,0.003"


LEARNED = learned("accuracy")
LOSS = metric("test loss")

CLAIM = Claim(
    year=2014,
    paper="Srivastava et al. 2014, Table 2 and section 7.4",
    link="https://jmlr.org/papers/v15/srivastava14a.html",
    says="Dropout lowers the test error of a net that overfits.",
    models=("mlp",),
    metric="test accuracy",
    arms={
        "dropout": TrainedArm(
            "hidden units dropped, the best share of three or more",
            BASE,
            tune=Tune((RATES, "model.dropout=0.3,0.5,0.7"), steps=1_500, by="validation accuracy"),
        ),
        "none": TrainedArm(
            "nothing against overfitting",
            BASE,
            tune=Tune((RATES,), steps=1_500, by="validation accuracy"),
        ),
        "dropout_loss": RemeasuredArm("its test loss", "dropout", LOSS),
        "none_loss": RemeasuredArm("the test loss of the plain net", "none", LOSS),
        "dropout_learned": RemeasuredArm("what it tells of its training images as labelled", "dropout", LEARNED),
        "none_learned": RemeasuredArm("what the plain net tells of its training images as labelled", "none", LEARNED),
    },
    effects=(
        # Table 2 has 1.60 and 1.25 % (from memory): the root of the ratio is 1.13, more than a point of an error of a
        # tenth. Like for like, with the same units, it has 1.60 and 1.35 %: a root of 1.09, which is about a point too.
        # (Half a point was a blind reader's margin for 540 images, where the paper itself finds no gain.)
        Effect("dropout", "none", "higher", "dropout makes it more accurate", margin=0.01),
    ),
    seeds=8,
    seconds=480,
    varies=("initial weights", "order of batches", "random draws"),
    smaller="2,000 images for 60,000",
    pilots="540 and 2,700 images with right labels gave dropout nothing to gain; wrong labels were chosen after them",
    plot=Plot("bars", y="test accuracy", arms=("dropout", "none")),
)
