"""ViT-B/16 on ImageNet alone, without a larger set to learn from first: 300 epochs.

Recipe: Beyer et al. 2022 (arXiv:2205.01580), made for ViT-S/16: mean pooling, sine positions, batch 1024, mixup 0.2,
        10,000 steps of warm-up; its decay of 1e-4 a step is 0.1 times the rate. Departs: no RandAugment; boxes are
        cut from the image's centre square; mixup draws a share for each example.
Run:     zoo train imagenet_vit_base
Expect:  79.2 % top-1 accuracy (ViT-B/16 in timm, augreg on ImageNet-1k) and 82.0 % (DeiT-B), both with more
         augmentation; not run here: needs ImageNet and several GPUs (4e19 FLOPs)
"""

from train.config import Data, Experiment, Model, Optim

CONFIG = Experiment(
    model=Model("vit_base_patch16", {"pool": "mean", "positions": "sine"}),
    data=Data(
        "imagenet2012",
        batch=1_024,
        image_size=256,
        fit="crop",
        augment=("resized_crop_224", "flip", "mixup_0.2"),
        validation=0.01,
        workers=16,
    ),
    optim=Optim("adamw", lr=1e-3, weight_decay=0.1, schedule="cosine", warmup_steps=10_000, clip_norm=1.0),
    precision="bfloat16",
    steps=372_000,
    eval_every_steps=2_480,
    smoke={"steps": 2, "eval_every_steps": 2, "data": {"batch": 4}, "optim": {"warmup_steps": 1}},
)
