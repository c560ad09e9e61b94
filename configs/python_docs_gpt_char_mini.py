"""GPT on the language reference that comes with Python, character by character; needs no data.

Run:     zoo train python_docs_gpt_char_mini
Expect:  not run yet
"""

from train.config import Experiment, Language, Model, Optim, Text

CONFIG = Experiment(
    model=Model("gpt_char_mini"),
    task=Language(),
    data=Text("python_docs", batch=12, tokenizer="char", length=64),
    optim=Optim(
        "adamw", lr=1e-3, b2=0.99, weight_decay=0.1, clip_norm=1.0, schedule="cosine", warmup_steps=100, final_lr=1e-4
    ),
    steps=2_000,
    eval_every_steps=250,
    smoke={"steps": 2, "eval_every_steps": 2, "data": {"batch": 2}, "optim": {"warmup_steps": 0}},
)
