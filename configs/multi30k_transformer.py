"""Transformer (Vaswani et al. 2017), 3 + 3 blocks of 256, on German to English captions.

Its sentences: github.com/multi30k/dataset, data/task1/raw, in the folder data/multi30k (elsewhere: --data.name
tsv:PATH/de-en). Lower-cased, as in the table it is compared with (pytorch-seq2seq).

Run:     zoo train multi30k_transformer
Expect:  BLEU 35.56, chrF 54.71, perplexity 7.41 a piece on test 2016 (the table: 36.52 with 9.0 million parameters;
         here are 5.5), one seed, 39 minutes of two x86-64 cores; jax 0.10.2, 2026-11-24
"""

from train.config import Experiment, Model, Optim, Text, Translate

CONFIG = Experiment(
    model=Model("transformer_mini", {"dropout": 0.2}),
    task=Translate(label_smoothing=0.1, beams=4),
    data=Text(
        "tsv:data/multi30k/de-en", batch=128, tokenizer="bpe", vocab=6_000, lower=True, length=48, buckets=(16, 24)
    ),
    optim=Optim("adam", lr=1e-3, b2=0.98, schedule="cosine", warmup_steps=300),
    steps=2_200,
    eval_every_steps=220,
    smoke={"steps": 2, "eval_every_steps": 2, "data": {"batch": 2}, "optim": {"warmup_steps": 0}},
)
