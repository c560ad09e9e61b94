"""BERT base on Wikipedia and books, as the paper pre-trains it.

Recipe: Devlin et al. 2018, appendix A.2: warm-up, then linearly to 0. Departs: all of it is at 512 tokens, where the
        paper has 128 in the first 90 % of the steps; Adam's averages are corrected and its ε is 1e-8, where the
        authors' code corrects nothing and has 1e-6.
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
    optim=Optim("adamw", lr=1e-4, weight_decay=0.01, clip_norm=1.0, schedule="linear", warmup_steps=10_000),
    steps=1_000_000,
    eval_every_steps=20_000,
    precision="bfloat16",
    smoke={"steps": 2, "eval_every_steps": 2, "data": {"batch": 2}, "optim": {"warmup_steps": 0}},
)
