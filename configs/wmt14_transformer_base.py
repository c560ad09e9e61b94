"""Transformer base on WMT14 English to German, as the paper trains it.

Recipe: Vaswani et al. 2017, section 5. Departs: a batch is 832 pairs of sentences, where the paper has as many as make
        about 25,000 tokens of the source and 25,000 of the target.
Run:     zoo train wmt14_transformer_base
Expect:  not run here: 27.3 BLEU (the paper: averaged checkpoints, tokenized BLEU; 8 GPUs, 12 hours)
"""

from train.config import Experiment, Model, Optim, Text, Translate

CONFIG = Experiment(
    model=Model("transformer_base"),
    task=Translate(label_smoothing=0.1, beams=4),
    data=Text(
        "wmt14_translate/de-en", batch=832, swap=True, tokenizer="bpe", vocab=37_000, length=128, buckets=(16, 32, 64)
    ),
    optim=Optim("adam", lr=7e-4, b2=0.98, eps=1e-9, schedule="inverse_sqrt", warmup_steps=4_000),
    steps=100_000,
    eval_every_steps=5_000,
    precision="bfloat16",
    smoke={"steps": 2, "eval_every_steps": 2, "data": {"batch": 2}, "optim": {"warmup_steps": 0}},
)
