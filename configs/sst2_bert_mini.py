"""Is a sentence about a film kind or not? BERT-mini from nothing, or after sst2_bert_mini_pretraining.

Its sentences: the folder data/sst2 with train.tsv, dev.tsv, test.tsv (elsewhere: --data.name tsv:PATH).
Fine-tuned: --init-from RUN, the folder of a run of sst2_bert_mini_pretraining.

Run:     zoo train sst2_bert_mini
Expect:  test accuracy 78.91 % ± 0.71 from nothing, 77.43 % ± 0.29 after that pre-training, which does not help
         here (3 seeds at once, 8 minutes of two x86-64 cores each way; jax 0.10.2,
         2026-11-24, before the embeddings decayed)
"""

from train.config import Classify, Experiment, Model, Optim, Text

CONFIG = Experiment(
    model=Model("bert_mini", {"context": 128}),
    task=Classify(),
    data=Text(
        "tsv:data/sst2", batch=32, tokenizer="wordpiece", vocab=8_000, lower=True, length=48, buckets=(16, 24, 32)
    ),
    optim=Optim("adamw", lr=1e-4, weight_decay=0.01, clip_norm=1.0, schedule="cosine", warmup_steps=60),
    steps=648,
    eval_every_steps=108,
    smoke={"steps": 2, "eval_every_steps": 2, "data": {"batch": 2}, "optim": {"warmup_steps": 0}},
)
