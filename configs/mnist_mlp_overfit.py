"""A multi-layer perceptron that overfits 1,000 images of MNIST, and what each regularizer does about it.

Run:     zoo train mnist_mlp_overfit
         zoo train mnist_mlp_overfit --seeds 5 --patience 10
         python tools/regularizers.py   (all of REGULARIZED below, 5 seeds: this table)
Expect:  test and training accuracy, test loss; mean ± standard deviation of 5 seeds, 2,000 steps each unless said
         none                   90.91 ± 0.11 %  100.00 %         0.520 ± 0.019
         ensemble of these 5    91.15 %         100.00 %         0.450
         dropout                90.94 ± 0.28 %  100.00 %         0.557 ± 0.019
         weight decay           91.25 ± 0.37 %  100.00 %         0.387 ± 0.020
         batch normalization    91.47 ± 0.22 %  100.00 %         0.347 ± 0.012
         early stopping         90.84 ± 0.21 %  100.00 %         0.435 ± 0.037   stopped at 750 to 1,600
         label smoothing        92.81 ± 0.22 %  100.00 %         0.637 ± 0.007
         mixup                  90.63 ± 0.23 %  100.00 %         0.338 ± 0.007
         cutmix                 90.17 ± 0.58 %  99.98 ± 0.04 %   0.408 ± 0.019
         augmentation           93.87 ± 0.41 %  99.22 ± 0.30 %   0.269 ± 0.027
         all together           93.31 ± 0.29 %  94.50 ± 0.17 %   0.706 ± 0.016   still rising at the end
         all, 8,000 steps       94.12 ± 0.72 %  95.88 ± 0.64 %   0.676 ± 0.039   stopped at 2,600 to 3,950
         Training accuracy is measured as the test's is, without dropout and on the images as they are. The net stays
         at 100 % under most of them: what they move first is the loss, which early stopping, mixup and cutmix lower
         without gaining accuracy. Strengths were chosen by validation accuracy over 2 seeds that the table has not
         (python tools/regularizers.py --choose), that of label smoothing at the edge of its grid of 0.1 and 0.3,
         those of mixup and cutmix at the lower edge of theirs, 0.2 and 1.
         cpu, 2 cores, shared, jax 0.10.2, 2026-11-24: 5 minutes of processor time for 2,000 steps, and 4 for the choice
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
"""What `train.config.override` adds to CONFIG for each regularizer alone, at the strength that validation chose."""
