"""SimCLR (Chen et al. 2020) with a ResNet-50 on ImageNet as the paper trains it: batches of 4,096, 1,000 epochs.

Recipe: sections 2.2 and 2.3, appendix A: crops, flips, colours of strength 1, grey, blur; temperature 0.1; LARS at
        0.3 for each 256 images (which is 0.075 times the root of 4,096 as well), weight decay 1e-6, 10 epochs of
        warm-up, cosine. Batch statistics are of the whole batch, on however many devices it lies.
        Departs: crops are drawn from the image's centre square of 256 pixels, and bilinear; 1 % of the training split
        is held out for validation; see train/data/images/color.py.
Run:     zoo train imagenet_simclr_resnet50
         zoo probe runs/imagenet_simclr_resnet50
Expect:  69.3 % linear evaluation (paper, Table 6); not run here: needs ImageNet and some 16 GPUs (6e19 FLOPs)
"""

from train.config import Contrast, Data, Experiment, Model, Optim

CONFIG = Experiment(
    model=Model("simclr_resnet50"),
    data=Data(
        "imagenet2012",
        batch=4_096,
        image_size=256,
        fit="crop",
        augment=("resized_crop_224", "flip", "color_1", "grey_0.2", "blur_0.5"),
        validation=0.01,
        workers=16,
    ),
    optim=Optim("lars", lr=4.8, weight_decay=1e-6, schedule="cosine", warmup_steps=3_090),
    task=Contrast(temperature=0.1),
    precision="bfloat16",
    steps=309_000,
    eval_every_steps=3_090,
    smoke={"steps": 2, "eval_every_steps": 2, "data": {"batch": 4}, "optim": {"warmup_steps": 1}},
)
