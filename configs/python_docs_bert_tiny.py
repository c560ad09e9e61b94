"""BERT's two tasks on the language reference that comes with Python; needs no data.

Run:     zoo train python_docs_bert_tiny
Expect:  not run yet
"""

from train.config import Experiment, Masked, Model, Optim, Text

CONFIG = Experiment(
    model=Model("bert_tiny", {"context": 128}),
    task=Masked(),
    data=Text("python_docs", batch=32, tokenizer="wordpiece", vocab=4_000, lower=True, length=64),
    optim=Optim("adamw", lr=1e-3, weight_decay=0.01, clip_norm=1.0, schedule="cosine", warmup_steps=100),
    steps=2_000,
    eval_every_steps=250,
    smoke={"steps": 2, "eval_every_steps": 2, "data": {"batch": 2}, "optim": {"warmup_steps": 0}},
)
