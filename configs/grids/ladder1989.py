"""The net of 1989, trained with one later idea more at each step: what did thirty years of other ideas bring it?

Run:     zoo grid ladder1989    (--jobs 2; MNIST in TFDS_DATA_DIR: zoo data prepare mnist)
Here:    7,291 digits of MNIST in 16x16 pixels, as many as LeCun et al. had, 23 passes over them, as they made; 6,000
         others for validation, and the 10,000 of MNIST's test split. The rate of each step of the ladder is the best of
         five by factors of the root of 10, by validation accuracy after half as many images, of two seeds that are not
         compared; more rates while the best is an end. Then 5 seeds. A step that does not help stays in the ladder.
Rows:    LeCun et al. 1989, 9,760 parameters.
Columns: the paper's training; then minibatches, out of their turn, since they make all later steps quicker; then one
         idea more at each step, in the order of their years.
Departs: MNIST for zip codes, and a rate that validation chose for each step. Batches are of 23, since 23 divides the
         number of images. The years are those of the papers that are named; most of the ideas are older. Karpathy's
         repetition of the paper of 2022 climbs a ladder much like this one.
"""

from collections.abc import Mapping
from typing import Any

from train.config import files
from train.history.grids import Grid, Variant

BASE = files.load("mnist_lecun1989")
IMAGES = BASE.steps * BASE.data.batch  # 23 passes over 7,291 digits
SGD = (0.01, 0.0316, 0.1, 0.316, 1.0)
ADAM = (0.000316, 0.001, 0.00316, 0.01, 0.0316)


def and_with(before: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    """Return nested changes with more of them; those win."""
    return {**before, **{k: and_with(before.get(k, {}), v) if isinstance(v, Mapping) else v for k, v in more.items()}}


AS_IN_1989 = Variant(
    "1989",
    says="as in the paper",
    year=1989,
    rates=(0.00316, 0.01, 0.0316, 0.1, 0.316),
    paper="LeCun et al. 1989, Neural Computation 1, section 4",
    departs="Plain gradient descent at one rate, where the paper has a diagonal of second derivatives. Targets of 1 "
    "and -1 are the limits of tanh, where those of the paper lie within the quasi-linear range of its units.",
)


def then(before: Variant, name: str, changes: Mapping[str, Any], **facts: Any) -> Variant:
    """Return a step of the ladder: all changes of the one before it, and these."""
    kept = {"rates": before.rates, "images": before.images} | facts
    return Variant(name, and_with(before.changes, changes), **kept)


MINIBATCHES = then(
    AS_IN_1989,
    "minibatches",
    {"data": {"batch": 23, "order": "shuffled"}},
    says="minibatches of 23, shuffled",
    year=1998,
    rates=SGD,
    paper="LeCun, Bottou, Orr and Müller 1998, Efficient BackProp, sections 4.1 and 4.2",
    departs="Two ideas at once, batches and a drawn order. The paper prefers single examples, and lets batches grow.",
)
CROSS_ENTROPY = then(
    MINIBATCHES,
    "cross_entropy",
    {"model": {"fields": {"output": "plain"}}, "task": {"loss": "cross_entropy"}},
    says="softmax and cross entropy",
    year=1990,
    paper="Bridle 1990, Probabilistic Interpretation of Feedforward Classification Network Outputs",
    departs="Nothing.",
)
SHIFTS = then(
    CROSS_ENTROPY,
    "shifts",
    {"data": {"augment": ("shift_1",)}},
    says="images shifted by a pixel",
    year=1998,
    paper="LeCun, Bottou, Bengio and Haffner 1998, section III.B",
    departs="Of its distortions only translations, new ones at every pass.",
)
RELU = then(
    SHIFTS,
    "relu",
    {"model": {"fields": {"activation": "relu"}}},
    says="rectified linear units",
    year=2010,
    paper="Nair and Hinton 2010, Rectified Linear Units Improve Restricted Boltzmann Machines",
    departs="In a net that is not pre-trained. The initial weights stay those of 1989, which are small for such units, "
    "and planes are still continued with -1, a level that no such unit has.",
)
DROPOUT = then(
    RELU,
    "dropout",
    {"model": {"fields": {"dropout": 0.5}}},
    says="dropout of a half",
    year=2012,
    paper="Hinton et al. 2012, arXiv:1207.0580",
    departs="On the 30 units of the fully connected layer alone; the norms of weights have no limit.",
)
BY_ADAM = then(
    DROPOUT,
    "adam",
    {"optim": {"name": "adam"}},
    says="Adam",
    year=2014,
    rates=ADAM,
    paper="Kingma and Ba 2014, arXiv:1412.6980",
    departs="Nothing.",
)
COSINE = then(
    BY_ADAM,
    "cosine",
    {"optim": {"schedule": "cosine"}},
    says="a rate that falls like a cosine",
    year=2016,
    paper="Loshchilov and Hutter 2016, arXiv:1608.03983",
    departs="No restarts, and the rate of Adam, where the paper has that of gradient descent with momentum.",
)
LONGER = then(
    COSINE,
    "longer",
    {},
    says="four times as long",
    year=2017,
    images=4 * IMAGES,
    paper="Hoffer, Hubara and Soudry 2017, arXiv:1705.08741",
    departs="The paper trains longer where batches are large.",
)
AVERAGED = then(
    LONGER,
    "averaged",
    {"optim": {"ema": 0.999}},
    says="averaged weights",
    year=2018,
    paper="Izmailov et al. 2018, arXiv:1803.05407",
    departs="An exponential average at every step, at a rate that falls to 0; the paper averages equally, at ends of "
    "cycles or at a high rate.",
)

GRID = Grid(
    title="The net of 1989 with later ideas of training",
    base=BASE,
    rows=(Variant("lecun1989", says="LeCun et al. 1989", year=1989),),
    columns=(AS_IN_1989, MINIBATCHES, CROSS_ENTROPY, SHIFTS, RELU, DROPOUT, BY_ADAM, COSINE, LONGER, AVERAGED),
    images=IMAGES,
    rates=SGD,
    seeds=5,
    tune_images=IMAGES // 2,
    tune_seeds=2,
    quick_images=IMAGES // 4,
    column="step",
)
