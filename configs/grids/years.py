"""Nets of six years, each trained as in six years: how much was architecture, how much was training?

Run:     zoo grid years    (--jobs 2; --quick: recorded rates, 2 seeds, a quarter of the images)
Here:    scenes of 16x16, 8,000 of them to learn from; every cell sees 51,200 images, so another batch means other
         steps. A rate for each cell, of five by factors of the root of 10, by validation accuracy after half as many
         images, of two seeds that are not compared; more rates while the best is an end. Then 5 seeds.
Rows:    each net as its card has it: its activations and its normalization belong to the net. The MLP of 1986 has
         sigmoids, as the paper has.
Columns: what a paper of that year says of training, with its section beside each number. The initial values are the
         recipe's where its paper gives any, else those on the card of each net. Images are normalized in every column.
Departs: see `departs` of each column; what stands in its comments is from memory of the papers, but for 2020, whose
         numbers are those of the authors' code (github.com/facebookresearch/deit, main.py). Nothing is mirrored: a
         mirrored digit is another sign. Every cell makes six passes over its images; the papers have 1,425 (1986), 20
         (1998), 90 (2012), 182 (2015) and 300 (2020), and recipes that regularize most lose most by that. Weight decay
         has the number of its paper, and in so few steps does next to nothing.
"""

from train.config import Experiment, Model, Optim, Scenes
from train.history.grids import Grid, Variant

IMAGES = 51_200  # 800 steps of 64, the quick budget of docs/lines.md
ROWS = (
    Variant("perceptron", {"model": {"name": "perceptron"}}, "Perceptron", 1958),
    Variant("mlp", {"model": {"name": "mlp", "fields": {"widths": (256, 128), "activation": "sigmoid"}}}, "MLP", 1986),
    # The net is made for 32 pixels: at 16 only one position of its last maps would be left.
    Variant("lenet5", {"model": {"name": "lenet5"}, "data": {"image_size": 32}}, "LeNet-5", 1998),
    Variant("alexnet", {"model": {"name": "alexnet_cifar"}}, "AlexNet, small", 2012),
    Variant("resnet20", {"model": {"name": "resnet20"}}, "ResNet-20", 2015),
    Variant("vit", {"model": {"name": "vit_mini_patch4", "fields": {"width": 64, "depth": 4}}}, "ViT, mini", 2020),
)

SGD = (0.01, 0.0316, 0.1, 0.316, 1.0)
OF_1986 = Variant(
    "1986",
    {
        "data": {"batch": 64},  # no number of the paper, see `departs`
        "optim": {"name": "momentum", "momentum": 0.9},  # eq. 9, with the alpha of Fig. 1
        "task": {
            "loss": "mse",  # eq. 3, the sum over outputs of (y - d)² / 2: the factor is in the rate
            "initial": "uniform_0.3",  # Fig. 1: random weights from -0.3 to 0.3
        },
    },
    year=1986,
    rates=SGD,
    paper="Rumelhart, Hinton and Williams 1986, Nature 323",
    departs="Batches of 64: the paper sums the gradient over all cases before it changes a weight, which with 51,200 "
    "images would be six changes. Its momentum is 0.5 for the first sweeps of one experiment, here 0.9 "
    "throughout. In that experiment (Fig. 4) weights also shrink by 0.2 % after each change, and outputs beyond "
    "0.8 or below 0.2 count as right.",
)
OF_1998 = Variant(
    "1998",
    {
        "data": {
            "batch": 8,  # see `departs`
            "augment": ("shift_1",),  # section III.B: translations, among other distortions; it gives no amounts
        },
        # Section III.B: 5e-4 for two passes of twenty, then 2e-4 for three, 1e-4 for three, 5e-5 for four, and 1e-5. So
        # the rate falls after a tenth, a quarter, two and three fifths; each time by the same factor here, 50^(-1/4).
        "optim": {"name": "sgd", "schedule": "steps", "decay_at": (640, 1_600, 2_560, 3_840), "decay_factor": 0.376},
        "task": {
            "loss": "mse",  # section II.C, eq. 8
            "initial": "lecun",  # LeCun et al. 1998, Efficient BackProp, section 4.6: deviation fan-in^(-1/2)
        },
    },
    year=1998,
    rates=SGD,
    paper="LeCun, Bottou, Bengio and Haffner 1998, Proceedings of the IEEE 86",
    departs="Batches of 8: the paper changes the weights after every image, which would take 51,200 steps. One rate "
    "for all weights: the paper has one for each, from estimated second derivatives (appendix C). Of its "
    "distortions only translations: no scaling, squeezing and shearing. The rate falls by the same factor each "
    "time, in the paper by 2.5, 2, 2 and 5. Initial values are those of Efficient BackProp; the paper's own "
    "(appendix A) are uniform within 2.4 / fan-in.",
)
OF_2012 = Variant(
    "2012",
    {
        "data": {
            "batch": 128,  # section 5
            "augment": ("pad_crop_1",),  # section 4.1: 224 pixels out of 256, up to 7 % of the side each way
        },
        "optim": {
            "name": "momentum",
            "momentum": 0.9,  # section 5
            "weight_decay": 5e-4,  # section 5
            "schedule": "steps",
            "decay_at": (200, 300, 350),  # section 5: divided three times; where, see `departs`
            "decay_factor": 0.1,  # section 5
        },
        "task": {"initial": "normal_0.01"},  # section 5; the cross entropy of a softmax: section 3.5
    },
    year=2012,
    rates=(0.001, 0.00316, 0.01, 0.0316, 0.1),  # section 5 begins with 0.01
    paper="Krizhevsky, Sutskever and Hinton 2012",
    departs="The rate falls at a half, three quarters and seven eighths of the run: the paper divides it when the "
    "validation error stops improving. What crops leave free is black. No mirrored images and, as they are "
    "grey, no changed colors. Biases begin as on the card of the net, where the paper sets some to 1. No "
    "dropout (section 4.2), which is of two layers of its own net. Tested is the whole image, not the mean of "
    "ten crops.",
)
OF_2015 = Variant(
    "2015",
    {
        "data": {
            "batch": 128,  # section 4.2
            "augment": ("pad_crop_2",),  # section 4.2: 4 pixels of padding for 32, then a random crop
        },
        "optim": {
            "name": "momentum",
            "momentum": 0.9,  # section 4.2
            "weight_decay": 1e-4,  # section 4.2
            "schedule": "steps",
            "decay_at": (200, 300),  # section 4.2: after 32,000 and 48,000 of 64,000 steps
            "decay_factor": 0.1,  # section 4.2
        },
        "task": {"initial": "he"},  # section 4.2, which takes those of He et al. 2015, arXiv:1502.01852, section 2.2
    },
    year=2015,
    rates=(0.00316, 0.01, 0.0316, 0.1, 0.316),  # section 4.2 begins with 0.1
    paper="He, Zhang, Ren and Sun 2015, arXiv:1512.03385",
    departs="No mirrored images.",
)
OF_2017 = Variant(
    "2017",
    {
        "data": {"batch": 64},  # no number of the paper, see `departs`
        "optim": {
            "name": "adam",
            "b1": 0.9,  # section 5.3
            "b2": 0.98,  # section 5.3
            "eps": 1e-9,  # section 5.3
            "schedule": "inverse_sqrt",  # section 5.3, eq. 3
            "warmup_steps": 32,  # section 5.3: 4,000 of 100,000 steps
        },
        "task": {"label_smoothing": 0.1},  # section 5.4
    },
    year=2017,
    where_there={"model.fields.dropout": 0.1},  # section 5.4
    rates=(0.000316, 0.001, 0.00316, 0.01, 0.0316),
    paper="Vaswani et al. 2017, arXiv:1706.03762",
    departs="A recipe for translation: its batches are about 25,000 source and as many target tokens, here 64 images. "
    "The peak of the rate is chosen, where the paper computes it from the width. No average of the last five "
    "checkpoints (section 6.1).",
)
OF_2020 = Variant(
    "2020",
    {
        "data": {
            "batch": 64,  # no number of the paper, see `departs`
            # --mixup 0.8, --cutmix 1.0, --mixup-switch-prob 0.5: one of the two for each image, there for each batch.
            # Shifts: for images of 32 pixels the authors' code (datasets.py) has random crops with a padding of 4.
            "augment": ("pad_crop_2", "mixup_or_cutmix_0.8"),
        },
        "optim": {
            "name": "adamw",  # --opt
            "weight_decay": 0.05,  # --weight-decay
            "schedule": "cosine",  # --sched
            "warmup_steps": 13,  # --warmup-epochs 5 of --epochs 300
        },
        "task": {
            "label_smoothing": 0.1,  # --smoothing
            "initial": "normal_0.02",  # of dense layers in the authors' code; its cut lies at 100 deviations
        },
    },
    year=2020,
    where_there={"model.fields.drop_path": 0.1},  # --drop-path
    rates=(0.000316, 0.001, 0.00316, 0.01, 0.0316),  # --lr 5e-4 for 512 images, 1e-3 at the paper's 1,024
    paper="Touvron et al. 2020, arXiv:2012.12877, Table 9",
    departs="Batches of 64: the paper has 1,024 of 1.3 million images. In place of RandAugment, boxes of 8 to 100 % of "
    "the area and erased rectangles there are shifts, which leave a small grey digit whole; no mirrored images "
    "and no image several times in a batch. The rate falls to 0, there to a hundredth. No distillation. Tables "
    "of positions have weight decay. The authors' code keeps averaged weights and reports the others; there are "
    "none here.",
)
COLUMNS = (OF_1986, OF_1998, OF_2012, OF_2015, OF_2017, OF_2020)

GRID = Grid(
    title="How much was architecture, how much was training",
    base=Experiment(
        model=Model("perceptron"),
        data=Scenes(batch=64),
        optim=Optim("sgd"),
    ),
    rows=ROWS,
    columns=COLUMNS,
    images=IMAGES,
    rates=SGD,
    seeds=5,
    tune_images=IMAGES // 2,
    tune_seeds=2,
    quick_images=IMAGES // 4,
)
