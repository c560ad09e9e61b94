"""Which topic of Python's reference is a paragraph from? BERT from nothing, or after python_docs_bert_tiny.

Fine-tuned: --init-from RUN, the folder of a run of python_docs_bert_tiny.

Run:     zoo train python_docs_topic_bert_tiny
Expect:  not run yet
"""

from train.config import Classify, Experiment, Model, Optim, Text

CONFIG = Experiment(
    model=Model("bert_tiny", {"context": 128}),
    task=Classify(),
    data=Text(
        "python_docs/topic", batch=32, tokenizer="wordpiece", vocab=4_000, lower=True, length=64, validation=0.15
    ),
    optim=Optim("adamw", lr=5e-4, weight_decay=0.01, clip_norm=1.0, schedule="cosine", warmup_steps=20),
    steps=300,
    eval_every_steps=50,
    smoke={"steps": 2, "eval_every_steps": 2, "data": {"batch": 2}, "optim": {"warmup_steps": 0}},
)
