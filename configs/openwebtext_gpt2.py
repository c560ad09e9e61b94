"""GPT-2 (124 M) on OpenWebText, the recipe of nanoGPT.

Run:     zoo train openwebtext_gpt2
Expect:  not run here: validation loss 2.85 (nanoGPT's README; 4 days on 8 A100)
"""

from train.config import Experiment, Language, Model, Optim, Text

CONFIG = Experiment(
    model=Model("gpt2", {"dropout": 0.0}),
    task=Language(),
    data=Text("text:data/openwebtext", batch=480, tokenizer="bpe", vocab=50_257, length=1_024, validation=0.0005),
    optim=Optim(
        "adamw", lr=6e-4, b2=0.95, weight_decay=0.1, clip_norm=1.0, schedule="cosine", warmup_steps=2_000, final_lr=6e-5
    ),
    steps=600_000,
    eval_every_steps=2_000,
    precision="bfloat16",
    smoke={"steps": 2, "eval_every_steps": 2, "data": {"batch": 2}, "optim": {"warmup_steps": 0}},
)
