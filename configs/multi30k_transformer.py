"""A small Transformer (3 + 3 layers, 256 wide), German to English captions of Multi30k, lower-cased.

Run:     zoo train multi30k_transformer --data.name tsv:PATH/multi30k/de-en
Expect:  not run yet
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
    smoke={"steps": 2, "eval_every_steps": 2, "data": {"batch": 2}},
)
