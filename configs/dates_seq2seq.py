"""Two LSTMs without attention write English dates, times and numbers in Korean.

Run:     zoo train dates_seq2seq
Expect:  67.96 % of the test targets exactly right, one seed, 1,616 s beside much other work (with attention 100.00 %);
         a shared 2-core x86-64 machine, jax 0.10.2, 2026-11-24
"""

from train.config import Experiment, Model, Optim, Text, Translate

CONFIG = Experiment(
    model=Model("seq2seq_mini", {"embed": 64, "width": 128, "dropout": 0.0}),
    task=Translate(),
    data=Text("dates/en-ko", batch=128, tokenizer="char", length=32, validation=0.1),
    optim=Optim("adam", lr=2e-3, clip_norm=1.0, schedule="cosine"),
    steps=2_000,
    eval_every_steps=250,
    smoke={"steps": 2, "eval_every_steps": 2, "data": {"batch": 2}},
)
