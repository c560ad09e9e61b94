"""BERT base on Wikipedia and books, the recipe of Devlin et al. 2018, appendix A.2, all of it at 512 tokens.

Run:     zoo train wikibooks_bert_base
Expect:  not run here: GLUE 79.6 after fine-tuning (the paper; 4 days on 16 TPU chips)
"""

from train.config import Experiment, Masked, Model, Optim, Text

CONFIG = Experiment(
    model=Model("bert_base"),
    task=Masked(),
    data=Text(
        "text:data/wikibooks", batch=256, tokenizer="wordpiece", vocab=30_522, lower=True, length=512, validation=0.001
    ),
    optim=Optim("adamw", lr=1e-4, weight_decay=0.01, clip_norm=1.0, schedule="cosine", warmup_steps=10_000),
    steps=1_000_000,
    eval_every_steps=20_000,
    precision="bfloat16",
    smoke={"steps": 2, "eval_every_steps": 2, "data": {"batch": 2}, "optim": {"warmup_steps": 0}},
)
