"""AlexNet on ImageNet as the paper trains it: 90 epochs of 224-pixel squares cut from 256 pixels, and their mirrors.

Recipe: Krizhevsky et al. 2012, sections 2, 4.1 and 5. Departs: the rate falls after each quarter of the run, where the
        paper waits for the validation error to stall; no noise along the colours' principal components; channels are
        normalized, where the paper subtracts the mean of each pixel; one centre crop is tested, where it averages ten.
        The authors' code of 2012, released in 2025, shows how they trained the net of Table 2, row "1 CNN": rates by
        hand, 0.01, from epoch 25 on 0.001, from 51 on 1e-4; at 67 no more colour noise and 1e-5 for the first
        convolution, frozen at 72; 1e-5 for all at 79, the end at 91.
Run:     zoo train imagenet_alexnet
Expect:  18.2 % top-5 error with ten crops (paper, Table 2, one net); 56.5 % top-1 accuracy with one crop (torchvision,
         the variant with one tower); not run here: needs ImageNet and a GPU (5e17 FLOPs)
"""

from train.config import Data, Experiment, Model, Optim

CONFIG = Experiment(
    model=Model("alexnet"),
    data=Data(
        "imagenet2012",
        batch=128,
        image_size=256,
        fit="crop",
        augment=("crop_224", "flip"),
        validation=0.01,
        workers=16,
    ),
    optim=Optim("momentum", lr=0.01, weight_decay=5e-4, schedule="steps", decay_at=(223_000, 446_000, 669_000)),
    steps=892_000,
    eval_every_steps=10_000,
    smoke={"steps": 4, "eval_every_steps": 4, "data": {"batch": 4}, "optim": {"decay_at": (1, 2, 3)}},
)
