"""Perceptron (Rosenblatt 1958): one linear layer, on composed scenes, until validation stops rising.

Run:     zoo train scenes_perceptron_long
Expect:  the row of docs/lines.md, where it stands too how the number of steps was chosen
"""

from train.config import Experiment, Model, Optim, Scenes

CONFIG = Experiment(
    model=Model("perceptron"),
    data=Scenes(batch=64),
    optim=Optim("adam", lr=1e-3, schedule="cosine", warmup_steps=50),
    steps=2_400,
    eval_every_steps=300,
    budget="until validation stops rising",
    smoke={"steps": 2, "eval_every_steps": 2, "data": {"batch": 8}, "optim": {"warmup_steps": 1}},
)
