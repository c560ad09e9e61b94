"""ResNet-50 on ImageNet as the paper trains it: 600,000 steps of 256 examples.

Recipe: He et al. 2015, section 3.4. Departs: crops are resized boxes of the image's centre square (as later
        reproductions have it), where the paper cuts 224 pixels from images of 256 to 480; the rate falls at fixed
        steps, where the paper waits for a plateau; no colour augmentation; channels are normalized, where the paper
        subtracts the mean of each pixel.
Run:     zoo train imagenet_resnet50
Expect:  75.3 % top-1 accuracy with one centre crop (the authors' repository; 77.1 % with ten, paper, Table 3);
         not run here: needs ImageNet and a GPU (4e18 FLOPs)
"""

from train.config import Data, Experiment, Model, Optim

CONFIG = Experiment(
    model=Model("resnet50"),
    data=Data(
        "imagenet2012",
        batch=256,
        image_size=256,
        fit="crop",
        augment=("resized_crop_224", "flip"),
        validation=0.01,
        workers=16,
    ),
    optim=Optim("momentum", lr=0.1, weight_decay=1e-4, schedule="steps", decay_at=(150_000, 300_000, 450_000)),
    steps=600_000,
    eval_every_steps=5_000,
    smoke={"steps": 4, "eval_every_steps": 4, "data": {"batch": 4}, "optim": {"decay_at": (1, 2, 3)}},
)
