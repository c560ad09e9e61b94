"""GPT on the language reference that comes with Python, character by character; needs no data.

Run:     zoo train python_docs_gpt_char_mini
Expect:  test loss 1.602 nats a character (perplexity 4.96, 33,901 characters), one seed, 3 minutes with compiling;
         two cores of an x86-64 machine, jax 0.10.2, 2026-11-28, before documents were split by their titles
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
