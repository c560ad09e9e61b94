"""Weight decay lets a net generalize better whose training labels are partly wrong.

Paper:   Krogh and Hertz 1991, abstract: of the right size it "can suppress some of the effects of static noise on the
         targets, which improves generalization quite a lot"; section 4, NetTalk
Run:     zoo claim weight_decay    (MNIST in TFDS_DATA_DIR: zoo data prepare mnist)
Here:    an MLP of two hidden layers of 256 units on 2,000 images of MNIST, of whose labels every fifth is wrong, 1,500
         steps of 50 (37 epochs) by AdamW. Weights decay by themselves, or not. Each net has the best of three rates,
         and the decay the best of three, by accuracy on 6,000 images with right labels, over 3 seeds that are not
         compared; a best value at an end moves that end on. Compared is the accuracy on the 10,000 test images,
         and beside it the test loss. Seeds 50 to 57.
Departs: wrong labels of digits for noise on the targets and for NetTalk; AdamW for plain gradient descent: in the paper
         the decay is a term of the cost, so it is in the gradient, and here it is apart from it; all seeds have one
         draw of images and of wrong labels, so that the interval is of the training alone
"""

from train.config import Data, Experiment, Model, Optim
from train.history.claims import Claim, Effect, Plot, RemeasuredArm, TrainedArm, Tune, metric
from train.history.claims.measures import learned

BASE = Experiment(
    model=Model("mlp", {"widths": (256, 256)}),
    data=Data("mnist", batch=50, labels=1 / 27, wrong_labels=0.2),  # 2,000 of the 54,000 that are not held out
    optim=Optim("adamw", lr=1e-3),
    steps=1_500,
    seed=50,
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
    year=1991,
    paper="Krogh and Hertz 1991, abstract and section 4",
    link="https://papers.nips.cc/paper/1991/hash/8eefcfdf5990e441f0fb6f3fad709e21-Abstract.html",
    says="Weight decay of the right size lets a net generalize better from noisy targets.",
    models=("mlp",),
    algorithms=("adamw",),
    metric="test accuracy",
    arms={
        "weight_decay": TrainedArm(
            "weights decay, the best size of three or more",
            BASE,
            tune=Tune((RATES, "optim.weight_decay=0.3,1,3"), steps=1_500, by="validation accuracy"),
        ),
        "none": TrainedArm(
            "nothing against overfitting",
            BASE,
            tune=Tune((RATES,), steps=1_500, by="validation accuracy"),
        ),
        "weight_decay_loss": RemeasuredArm("its test loss", "weight_decay", LOSS),
        "none_loss": RemeasuredArm("the test loss of the plain net", "none", LOSS),
        "weight_decay_learned": RemeasuredArm(
            "what it tells of its training images as labelled", "weight_decay", LEARNED
        ),
        "none_learned": RemeasuredArm("what the plain net tells of its training images as labelled", "none", LEARNED),
    },
    effects=(
        # "Quite a lot" has no number: half a point is about twice the error of 10,000 test images (a blind reader's
        # margin).
        Effect("weight_decay", "none", "higher", "weight decay makes it more accurate", margin=0.005),
    ),
    seeds=8,
    seconds=420,
    varies=("initial weights", "order of batches"),
    smaller="2,000 digits with wrong labels for theory of linear nets and NetTalk",
    pilots="with 540 images and right labels weight decay was not told from nothing; wrong labels were chosen after it",
    plot=Plot("bars", y="test accuracy", arms=("weight_decay", "none")),
)
