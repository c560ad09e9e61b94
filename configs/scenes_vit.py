"""A small ViT (Dosovitskiy et al. 2020), 16 patches of 4×4, on composed scenes.

Run:     zoo train scenes_vit
Expect:  the row of docs/lines.md, where it stands too how the rate of every net was chosen
"""

from train.config import Experiment, Model, Optim, Scenes

CONFIG = Experiment(
    model=Model("vit_mini_patch4", {"width": 64, "depth": 4}),
    data=Scenes(batch=64),
    optim=Optim("adam", lr=3e-3, schedule="cosine", warmup_steps=50),
    steps=800,
    eval_every_steps=100,
    budget="800 steps of 64",
    smoke={"steps": 2, "eval_every_steps": 2, "data": {"batch": 8}, "optim": {"warmup_steps": 1}},
)
