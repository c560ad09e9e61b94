"""Multi-layer perceptron (Rumelhart et al. 1986), 256 and 128 units, on composed scenes, until validation stops rising.

Run:     zoo train scenes_mlp_long
Expect:  the row of docs/lines.md, where it stands too how the number of steps was chosen
"""

from train.config import Experiment, Model, Optim, Scenes

CONFIG = Experiment(
    model=Model("mlp", {"widths": (256, 128)}),
    data=Scenes(batch=64),
    optim=Optim("adam", lr=1e-2, schedule="cosine", warmup_steps=50),
    steps=2_400,
    eval_every_steps=300,
    budget="until validation stops rising",
    smoke={"steps": 2, "eval_every_steps": 2, "data": {"batch": 8}, "optim": {"warmup_steps": 1}},
)
