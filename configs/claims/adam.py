"""Adam lowers the training cost of a multi-layer network with dropout faster than the other first-order rules.

Paper:   Kingma and Ba 2014, Fig. 2a: 784-1000-1000-10 rectified linear units with dropout on MNIST, minibatches of 128
Run:     zoo claim adam    (MNIST in TFDS_DATA_DIR: zoo data prepare mnist)
Here:    784-256-256-10 on 12,000 images of MNIST, minibatches of 128, 30 epochs of 93 steps. Compared is the mean over
         the whole run of the logarithm of the training cost, dropout and all: the height of the curve of Fig. 2a.
         Each rule has the best rate of its own sweep of six, by factors of the square root of 10, by the same metric
         over runs as long as those compared, with 3 seeds that are not compared; a best rate at an end moves that end
         on. AdaDelta has no rate to tune and keeps the 1 of its paper. AdaGrad's sum of squares starts at 0. All other
         constants are those on the rules' cards. The verdict is that of Adam against SGD with Nesterov momentum; the
         other rules stand beside it. Seeds 20 to 24: a pilot of seeds 0 to 4 chose the rates over 3 epochs.
Departs: a fifth of the images, a quarter of the units and 30 epochs of the paper's 200; a dropout of 0.5 on both hidden
         layers, whose share the paper does not give. The noise of dropout sets a floor under every curve, so that late
         in the run the rules can differ little.
"""

from train.config import Data, Experiment, Model, Optim, override
from train.history.claims import Claim, Effect, Plot, TrainedArm, Tune

EPOCH = 93  # whole minibatches of 12,000 images
BASE = Experiment(
    model=Model("mlp", {"widths": (256, 256), "dropout": 0.5}),
    data=Data("mnist", batch=128, labels=0.2, validation=0.0),
    optim=Optim("adam"),
    steps=30 * EPOCH,
    seed=20,
    eval_every_steps=EPOCH,
    smoke={
        "steps": 2,
        "eval_every_steps": 2,
        "data": {"name": "digits", "batch": 4, "labels": 1.0},
        "model": {"fields": {"widths": (8,)}},
    },
)
FULL_STEPS = 200 * 468
METRIC = "mean log train loss"
RATES = {
    "nesterov": "0.001,0.00316,0.01,0.0316,0.1,0.316",
    "adagrad": "0.001,0.00316,0.01,0.0316,0.1,0.316",
    "rmsprop": "0.0001,0.000316,0.001,0.00316,0.01,0.0316",
    "adam": "0.0001,0.000316,0.001,0.00316,0.01,0.0316",
}
SAID = {
    "nesterov": "SGD with Nesterov momentum",
    "adagrad": "AdaGrad",
    "rmsprop": "RMSProp",
    "adadelta": "AdaDelta",
}


def tuned(name: str, steps: int) -> TrainedArm:
    """The arm of a rule, whose rate is chosen by runs of as many steps as those that are compared."""
    tune = Tune((f"optim.lr={RATES[name]}",), steps=steps, by=METRIC)
    return TrainedArm(f"rates {RATES[name].replace(',', ', ')}", override(BASE, {"optim": {"name": name}}), tune=tune)


ADADELTA = TrainedArm("rate 1, that of its paper", override(BASE, {"optim": {"name": "adadelta", "lr": 1.0}}))
CLAIM = Claim(
    year=2014,
    paper="Kingma and Ba 2014, Fig. 2a",
    link="https://arxiv.org/abs/1412.6980",
    says="Adam lowers the training cost faster than SGD with Nesterov momentum, AdaGrad, RMSProp and AdaDelta.",
    models=("mlp",),
    algorithms=(*SAID, "adam"),
    metric=METRIC,
    arms={name: ADADELTA if name == "adadelta" else tuned(name, BASE.steps) for name in (*SAID, "adam")},
    effects=tuple(
        # The figure has no numbers: a tenth of the cost, 0.095 in logarithms, is about what can be seen in it.
        Effect("adam", name, "lower", f"lower cost than {said}", margin=0.095)
        for name, said in SAID.items()
    ),
    seeds=5,
    seconds=600,
    smaller="30 epochs of 12,000 images for 200 of 60,000",
    reason="each rule has its best rate here, and at that rate they are close",
    pilots="seeds 0 to 4, with rates chosen over 3 of the 30 epochs: Adam came last, the rates of so short runs being "
    "too high for the whole one, and so the whole run chooses them here",
    plot=Plot("curve", y="training cost", log_y=True),
    full={
        "steps": FULL_STEPS,
        "eval_every_steps": 468,
        "data": {"labels": 1.0},
        "model": {"fields": {"widths": (1000, 1000), "dropout": 0.5}},
    },
    full_arms={name: tuned(name, FULL_STEPS) for name in RATES},
    full_seeds=5,
)
