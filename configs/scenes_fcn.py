"""A small FCN (Long et al. 2014): where is the whole digit, and which is it, on composed scenes.

Run:     zoo train scenes_fcn
         zoo train scenes_fcn --model.fused 0      # the coarse map alone, enlarged eight times
Expect:  not recorded yet; scenes_unet has the same data, steps and recipe
"""

from train.config import Experiment, Model, Optim, Scenes, Segment

CONFIG = Experiment(
    model=Model("fcn_mini"),
    data=Scenes("scenes/segment", size=32, batch=32),
    optim=Optim("adam", lr=3e-3, schedule="cosine", warmup_steps=50),
    steps=3_000,
    eval_every_steps=300,
    task=Segment(),
    smoke={"steps": 2, "eval_every_steps": 2, "data": {"batch": 8}, "optim": {"warmup_steps": 1}},
)
