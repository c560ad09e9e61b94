"""A small ResNet on 10 % of CIFAR-10's labels: from scratch, or from what SimCLR learned without them (Chen 2020).

Recipe: section 6, "fine-tuning": crops for augmentation, the whole network trained. Departs: the encoder of
        cifar10_simclr, cosine decay, each arm at the best of three rates by validation.
Run:     zoo train cifar10_few_labels
         zoo train cifar10_few_labels --init-from runs/cifar10_simclr
Expect:  not run yet
"""

from train.config import Data, Experiment, Model, Optim

CONFIG = Experiment(
    model=Model("resnet20", {"depths": (1, 1, 1), "widths": (16, 32, 64), "stem_stride": 2}),
    data=Data("cifar10", batch=64, augment=("pad_crop_4", "flip"), labels=0.1),
    optim=Optim("nesterov", lr=0.1, weight_decay=5e-4, schedule="cosine"),
    steps=800,
    eval_every_steps=200,
    smoke={"steps": 2, "eval_every_steps": 2, "data": {"batch": 8}},
)
