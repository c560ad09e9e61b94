"""GPT on the characters of Tiny Shakespeare, nanoGPT's recipe for a GPU: 6 blocks, 384 wide, 5,000 steps.

Run:     zoo train tiny_shakespeare_gpt_char
Expect:  best validation loss 1.4697 (nanoGPT's README, 3 minutes on an A100); not run here
"""

from train.config import Experiment, Language, Model, Optim, Text

CONFIG = Experiment(
    model=Model("gpt_char"),
    task=Language(),
    data=Text("tiny_shakespeare", batch=64, tokenizer="char", length=256),
    optim=Optim(
        "adamw", lr=1e-3, b2=0.99, weight_decay=0.1, clip_norm=1.0, schedule="cosine", warmup_steps=100, final_lr=1e-4
    ),
    steps=5_000,
    eval_every_steps=250,
    smoke={"steps": 2, "eval_every_steps": 2, "data": {"batch": 2}, "optim": {"warmup_steps": 0}},
)
