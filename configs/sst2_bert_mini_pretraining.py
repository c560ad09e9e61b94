"""BERT-mini on the sentences of SST-2, their labels unseen, before it is fine-tuned on them.

Its sentences: the folder data/sst2 with train.tsv, dev.tsv, test.tsv (elsewhere: --data.name tsv:PATH).

Run:     zoo train sst2_bert_mini_pretraining
Expect:  15.04 % of the hidden tokens of the test sentences, loss 6.21, one seed, 13 minutes of two x86-64 cores;
         jax 0.10.2, 2026-11-24, before the embeddings decayed
"""

from train.config import Experiment, Masked, Model, Optim, Text

CONFIG = Experiment(
    model=Model("bert_mini", {"context": 128}),
    task=Masked(next_sentence=False),
    data=Text("tsv:data/sst2", batch=64, tokenizer="wordpiece", vocab=8_000, lower=True, length=48),
    optim=Optim("adamw", lr=5e-4, weight_decay=0.01, clip_norm=1.0, schedule="cosine", warmup_steps=100),
    steps=1_200,
    eval_every_steps=200,
    smoke={"steps": 2, "eval_every_steps": 2, "data": {"batch": 2}, "optim": {"warmup_steps": 0}},
)
