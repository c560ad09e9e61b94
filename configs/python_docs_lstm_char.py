"""An LSTM on the language reference that comes with Python, character by character; needs no data.

Run:     zoo train python_docs_lstm_char
Expect:  not run yet
"""

from train.config import Experiment, Language, Model, Optim, Text

CONFIG = Experiment(
    model=Model("lstm_char"),
    task=Language(),
    data=Text("python_docs", batch=12, tokenizer="char", length=64),
    optim=Optim("adam", lr=2e-3, clip_norm=1.0, schedule="cosine", warmup_steps=100, final_lr=1e-4),
    steps=2_000,
    eval_every_steps=250,
    smoke={"steps": 2, "eval_every_steps": 2, "data": {"batch": 2}, "optim": {"warmup_steps": 0}},
)
