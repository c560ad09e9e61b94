"""ResNet-50 v1.5 on ImageNet with what was learned since: large batches, warm-up, cosine, label smoothing, bfloat16.

Recipe: Goyal et al. 2017 (arXiv:1706.02677), sections 2 and 5.1: rate 0.1 for each 256 examples, 5 epochs of warm-up,
        last scale of a block from zero; He et al. 2018 (arXiv:1812.01187), section 5: cosine, label smoothing 0.1.
        100 epochs.
Run:     zoo train imagenet_resnet50_modern
Expect:  76.4 to 76.7 % top-1 accuracy (flax's ImageNet example, without label smoothing); not run here: needs ImageNet
         and several GPUs (3e18 FLOPs)
"""

from train.config import Classify, Data, Experiment, Model, Optim

CONFIG = Experiment(
    model=Model("resnet50", {"stride_in_3x3": True, "zero_init_last_scale": True}),
    data=Data(
        "imagenet2012",
        batch=1_024,
        image_size=256,
        fit="crop",
        augment=("resized_crop_224", "flip"),
        validation=0.01,
        workers=16,
    ),
    optim=Optim("nesterov", lr=0.4, weight_decay=1e-4, schedule="cosine", warmup_steps=6_200),
    task=Classify(label_smoothing=0.1),
    precision="bfloat16",
    steps=124_000,
    eval_every_steps=1_240,
    smoke={"steps": 2, "eval_every_steps": 2, "data": {"batch": 4}, "optim": {"warmup_steps": 1}},
)
