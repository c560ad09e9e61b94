"""GPT on the characters of Tiny Shakespeare, nanoGPT's recipe for a laptop: 4 blocks, 128 wide, 2,000 steps.

Run:     zoo train tiny_shakespeare_gpt_char_mini
Expect:  loss 1.874 on validation, 1.920 on test (1.897 on both, on which nanoGPT has 1.88), one seed,
         76 seconds; a shared 2-core x86-64 machine, jax 0.10.2, 2026-11-23, before the embeddings decayed
"""

from train.config import Experiment, Language, Model, Optim, Text

CONFIG = Experiment(
    model=Model("gpt_char_mini"),
    task=Language(),
    data=Text("tiny_shakespeare", batch=12, tokenizer="char", length=64),
    optim=Optim(
        "adamw", lr=1e-3, b2=0.99, weight_decay=0.1, clip_norm=1.0, schedule="cosine", warmup_steps=100, final_lr=1e-4
    ),
    steps=2_000,
    eval_every_steps=250,
    smoke={"steps": 2, "eval_every_steps": 2, "data": {"batch": 2}, "optim": {"warmup_steps": 0}},
)
