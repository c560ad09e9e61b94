"""The LSTMs of Sutskever et al. 2014 on WMT14 English to French: 4 layers of 1,000, 384 million parameters.

Tokens are 32,000 byte pairs, where the paper has 160,000 and 80,000 words.

Run:     zoo train wmt14_seq2seq
Expect:  not run here: 30.59 BLEU (the paper, one model, source reversed, beam 12; 8 GPUs, 10 days)
"""

from train.config import Experiment, Model, Optim, Text, Translate

CONFIG = Experiment(
    model=Model("seq2seq"),
    task=Translate(beams=12, length_penalty=0.0),
    data=Text(
        "wmt14_translate/fr-en", batch=128, swap=True, tokenizer="bpe", vocab=32_000, length=64, buckets=(16, 32)
    ),
    optim=Optim(
        "sgd",
        lr=0.7,
        clip_norm=5.0,
        schedule="steps",
        decay_at=(470_000, 517_000, 564_000, 611_000, 658_000),
        decay_factor=0.5,
    ),
    steps=705_000,
    eval_every_steps=10_000,
    smoke={"steps": 2, "eval_every_steps": 2, "data": {"batch": 2}, "optim": {"schedule": "constant", "decay_at": ()}},
)
