"""A small ViT (Dosovitskiy et al. 2020), 16 patches of 4×4, on composed scenes, until validation stops rising.

Run:     zoo train scenes_vit_long
Expect:  the row of docs/lines.md, where it stands too how the number of steps was chosen
"""

from train.config import Experiment, Model, Optim, Scenes

CONFIG = Experiment(
    model=Model("vit_mini_patch4", {"width": 64, "depth": 4}),
    data=Scenes(batch=64),
    optim=Optim("adam", lr=3e-3, schedule="cosine", warmup_steps=50),
    steps=7_200,
    eval_every_steps=900,
    budget="until validation stops rising",
    smoke={"steps": 2, "eval_every_steps": 2, "data": {"batch": 8}, "optim": {"warmup_steps": 1}},
)
