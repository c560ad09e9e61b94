"""SimCLR (Chen et al. 2020) on CIFAR-10 as the paper trains it, with a ResNet-18: 1,000 epochs.

Recipe: appendix B.9 (first convolution 3x3 without stride, no pooling, crops, flips, colours of strength 0.5, no blur,
        temperature 0.5, LARS at 1.0 for each 256 images, 10 epochs of warm-up, cosine) and, for the ResNet-18, batches
        of 512 and the weight decay of the authors' command (github.com/google-research/simclr), 1e-4 where the paper
        has 1e-6. Departs: a tenth is held out for validation; crops are bilinear; see train/data/images/color.py.
Run:     zoo train cifar10_simclr_resnet18
         zoo probe runs/cifar10_simclr_resnet18
Expect:  about 91 % linear evaluation (the authors' command); 94.0 % with a ResNet-50 and batches of 1,024 (paper);
         not run here: needs a GPU (3e17 FLOPs)
"""

from train.config import Contrast, Data, Experiment, Model, Optim

CONFIG = Experiment(
    model=Model("simclr_resnet18_cifar"),
    data=Data("cifar10", batch=512, augment=("resized_crop_32", "flip", "color_0.5", "grey_0.2")),
    optim=Optim("lars", lr=2.0, weight_decay=1e-4, schedule="cosine", warmup_steps=870),
    task=Contrast(temperature=0.5),
    steps=87_000,
    eval_every_steps=870,
    smoke={"steps": 2, "eval_every_steps": 2, "data": {"batch": 4}, "optim": {"warmup_steps": 1}},
)
