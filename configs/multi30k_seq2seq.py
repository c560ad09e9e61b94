"""Two LSTMs (Sutskever et al. 2014), 2 x 512, the source reversed, on German to English captions.

Its sentences: github.com/multi30k/dataset, data/task1/raw, in the folder data/multi30k (elsewhere: --data.name
tsv:PATH/de-en). Lower-cased, as in the table it is compared with (pytorch-seq2seq).

Run:     zoo train multi30k_seq2seq
Expect:  BLEU 12.52, chrF 29.90, perplexity 19.46 a piece on test 2016 (the table: 13.76), one seed, 50 minutes of two
         x86-64 cores; jax 0.10.2, 2026-11-24
"""

from train.config import Experiment, Model, Optim, Text, Translate

CONFIG = Experiment(
    model=Model("seq2seq_mini"),
    task=Translate(beams=4),
    data=Text(
        "tsv:data/multi30k/de-en", batch=128, tokenizer="bpe", vocab=6_000, lower=True, length=48, buckets=(16, 24)
    ),
    optim=Optim("adam", lr=1e-3, clip_norm=1.0, schedule="cosine"),
    steps=2_200,
    eval_every_steps=220,
    smoke={"steps": 2, "eval_every_steps": 2, "data": {"batch": 2}},
)
