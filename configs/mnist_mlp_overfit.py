"""A multi-layer perceptron that overfits 1,000 images of MNIST, and what each regularizer does about it.

Run:     zoo train mnist_mlp_overfit --seeds 5
         python tools/regularizers.py   (all of REGULARIZED, the table below)
Expect:  to be measured
"""

from train.config import Data, Experiment, Model, Optim

WIDTHS = (256, 256)
CONFIG = Experiment(
    model=Model("mlp", {"widths": WIDTHS}),
    data=Data("mnist", batch=50, labels=1 / 54),  # 1,000 of the 54,000 that are not held out
    optim=Optim("adamw", lr=1e-3),
    steps=2_000,
    eval_every_steps=50,
    smoke={"steps": 2, "eval_every_steps": 2, "data": {"batch": 4}},
)

REGULARIZED = {
    "dropout": {"model": {"fields": {"widths": WIDTHS, "dropout": 0.5}}},
    "weight decay": {"optim": {"weight_decay": 0.5}},
    "batch normalization": {"model": {"fields": {"widths": WIDTHS, "batch_norm": True}}},
    "early stopping": {"patience": 10},
    "label smoothing": {"task": {"label_smoothing": 0.3}},
    "mixup": {"data": {"augment": ("mixup_0.2",)}},
    "cutmix": {"data": {"augment": ("cutmix_0.2",)}},
    "augmentation": {"data": {"augment": ("shift_2",)}},
}
"""What `train.arguments.override` adds to CONFIG for each regularizer alone, at the strength that validation chose."""
