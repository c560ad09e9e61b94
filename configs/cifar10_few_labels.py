"""A small ResNet on 10 % of CIFAR-10's labels: from scratch, or from what SimCLR learned without them (Chen 2020).

Recipe: section 6, "fine-tuning": crops for augmentation, the whole network trained. Departs: the encoder of
        cifar10_simclr, cosine decay, each arm at the best of three rates by validation.
Run:     zoo train cifar10_few_labels
         zoo train cifar10_few_labels --init-from runs/cifar10_simclr
Expect:  test accuracy 55.82 % ± 1.21 fine-tuned from six epochs of cifar10_simclr, 53.68 % ± 1.28 from scratch, both at
         the rate 0.1 of 0.03, 0.1 and 0.3 (--sweep optim.lr=0.03,0.1,0.3 --seeds 3: 8 minutes of one core each); with
         three seeds the intervals overlap; x86-64, jax 0.10.2, 2026-11-28
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
