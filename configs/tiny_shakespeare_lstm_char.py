"""An LSTM of as many parameters as the small GPT, on the same characters under the same budget.

Run:     zoo train tiny_shakespeare_lstm_char
Expect:  loss 1.732 nats on the test split, one seed, 497 s beside much other work;
         a shared 2-core x86-64 machine, jax 0.10.2, 2026-11-24
"""

from train.config import Experiment, Language, Model, Optim, Text

CONFIG = Experiment(
    model=Model("lstm_char"),
    task=Language(),
    data=Text("tiny_shakespeare", batch=12, tokenizer="char", length=64),
    optim=Optim("adam", lr=2e-3, clip_norm=1.0, schedule="cosine", warmup_steps=100, final_lr=1e-4),
    steps=2_000,
    eval_every_steps=250,
    smoke={"steps": 2, "eval_every_steps": 2, "data": {"batch": 2}, "optim": {"warmup_steps": 0}},
)
