"""Pre-training on text without labels, then fine-tuning, beats training from scratch that reads as many texts.

Paper:   Devlin et al. 2018, section 4: fine-tuned from pre-training, one net leads on eleven tasks; an arm from scratch
         is that of Howard and Ruder 2018, Table 4
Run:     zoo claim bert_pretraining
Here:    which of the ten longest topics of Python's language reference is a paragraph from? 693 labelled paragraphs; a
         BERT of two blocks 64 wide. One arm is pre-trained for 600 batches of 32 passages of the reference by BERT's
         two tasks, and fine-tuned for 300 batches of 16 paragraphs; the other one learns from the labelled paragraphs
         alone, for 1,500 batches of 16: both read 24,000 texts. Pre-training is the unit of repetition: each seed has
         its own, and one fine-tuning. Both arms have one vocabulary, and each has the best of three learning rates by
         its validation loss after as many batches of paragraphs as it learns from, over 3 seeds that are not compared.
         Each keeps the State that is best on validation, so that no arm is judged for steps that it did not need. A
         seed that is right no more often than the commonest topic has failed. Seeds 30 to 37, which no earlier design
         had.
Departs: a thousandth of the paper's net and of its text. The passages of pre-training hold the test paragraphs as well,
         without their topics: what is measured is worth for text that could be read before. A text of pre-training is a
         pair of passages, cut to the 64 tokens of a paragraph, since BERT also asks whether one follows the other. The
         margin is of TREC-6, whose questions are short and whose labels 8 times as many, and of another net. All seeds
         are judged on the same 197 test paragraphs, from which alone comes a standard error of some 3 points, more than
         the margin. The best State is one of 3 evaluations of the pre-trained net, and of 15 of the other. That
         pre-training helps most with few labels is Howard and Ruder's claim, and not asked here.
"""

from train.config import Classify, Experiment, Masked, Model, Optim, Text, override
from train.history.claims import Claim, Effect, Fails, Plot, TrainedArm, Tune

NET = Model("bert_tiny", {"width": 64, "context": 64})
WORDS = {"tokenizer": "wordpiece", "vocab": 2_000, "lower": True, "length": 64}
SMALL = {"fields": {"width": 4, "depth": 1, "heads": 2, "context": 64}}
SMOKE = {
    "steps": 2,
    "eval_every_steps": 2,
    "model": SMALL,
    "data": {"batch": 2, "vocab": 300},
    "optim": {"warmup_steps": 0},
}
PRETRAINED = Experiment(
    model=NET,
    task=Masked(),
    data=Text("python_docs", batch=32, **WORDS),
    optim=Optim("adamw", lr=2e-3, weight_decay=0.01, clip_norm=1.0, schedule="cosine", warmup_steps=50),
    steps=600,
    eval_every_steps=600,
    smoke=SMOKE,
)
UNTRAINED = override(PRETRAINED, {"steps": 1, "eval_every_steps": 1, "optim": {"lr": 1e-12, "warmup_steps": 0}})
TUNED = Experiment(
    model=NET,
    task=Classify(),
    data=Text("python_docs/topic", batch=16, **WORDS),
    optim=Optim("adamw", lr=1e-3, weight_decay=0.01, clip_norm=1.0, schedule="cosine", warmup_steps=20),
    steps=300,
    seed=30,
    eval_every_steps=100,
    patience=1_000,  # it never stops early, and keeps the best State
    smoke=SMOKE,
)
SCRATCH = override(TUNED, {"steps": 300 + 2 * 600})  # a batch of pre-training is two of these
RATES = ("optim.lr=0.0005,0.0015,0.005",)
TUNE = Tune(RATES, steps=TUNED.steps, by="validation loss")
SCRATCH_TUNE = Tune(RATES, steps=SCRATCH.steps, by="validation loss")
FULL_PRETRAINED = override(
    PRETRAINED,
    {
        "model": {"name": "bert_mini", "fields": {"context": 64}},
        "data": {"name": "text:data/openwebtext", "batch": 128, "vocab": 8_000},
        "optim": {"lr": 5e-4, "warmup_steps": 500},
        "steps": 5_000,
        "eval_every_steps": 1_000,
    },
)
FULL_UNTRAINED = override(
    FULL_PRETRAINED, {"steps": 1, "eval_every_steps": 1, "optim": {"lr": 1e-12, "warmup_steps": 0}}
)
SENTENCES = override(
    TUNED,
    {
        "model": {"name": "bert_mini", "fields": {"context": 64}},
        "data": {"name": "tsv:data/sst2", "batch": 32, "vocab": 8_000},
        "optim": {"lr": 1e-4, "warmup_steps": 60},
        "steps": 648,
        "eval_every_steps": 108,
    },
)
FULL_SCRATCH = override(SENTENCES, {"steps": 648 + 4 * 5_000, "eval_every_steps": 500})
FULL_RATES = ("optim.lr=0.00003,0.0001,0.0003",)
FULL_TUNE = Tune(FULL_RATES, steps=SENTENCES.steps, by="validation loss")
FULL_SCRATCH_TUNE = Tune(FULL_RATES, steps=FULL_SCRATCH.steps, by="validation loss")

CLAIM = Claim(
    year=2018,
    paper="Devlin et al. 2018, section 4",
    link="https://arxiv.org/abs/1810.04805",
    says="A network that has learned to fill gaps in text is better at a task than one that learned from its labels "
    "alone.",
    models=("bert_tiny",),
    metric="test accuracy",
    starts={"pretrained": PRETRAINED, "untrained": UNTRAINED},
    arms={
        "scratch": TrainedArm("from scratch, 1,500 batches", SCRATCH, tune=SCRATCH_TUNE, start="untrained"),
        "pretrained": TrainedArm(
            "600 batches of pre-training, 300 of fine-tuning", TUNED, tune=TUNE, start="pretrained"
        ),
    },
    effects=(
        # Of Howard and Ruder's net from scratch, TREC-6, 5.0 points more errors (Table 4, from memory): half, lessened,
        # since the text here is a thousandth. Devlin et al. have no such arm.
        Effect(
            "pretrained",
            "scratch",
            "higher",
            "pre-training makes it more accurate",
            margin=0.02,
            differs=("start", "steps", "eval_every_steps"),  # scratch reads as many texts in all
        ),
    ),
    seeds=8,
    seconds=1080,
    fails=Fails("below", 0.23),  # the commonest topic has 23 % of the paragraphs of Python 3.11
    smaller="a thousandth of the paper's net and of its text",
    varies=("initial weights", "order of batches", "pre-training"),
    reason="600 batches of pre-training teach so small a net little that 1,200 more batches of labelled paragraphs do "
    "not",
    plot=Plot("bars", y="test accuracy", arms=("scratch", "pretrained")),
    full_starts={"pretrained": FULL_PRETRAINED, "untrained": FULL_UNTRAINED},
    full_arms={
        "scratch": TrainedArm("from scratch, 20,648 batches", FULL_SCRATCH, tune=FULL_SCRATCH_TUNE, start="untrained"),
        "pretrained": TrainedArm(
            "5,000 batches of pre-training, 648 of fine-tuning", SENTENCES, tune=FULL_TUNE, start="pretrained"
        ),
    },
    full_facts={"models": ("bert_mini",), "smaller": "5,000 batches of 128 passages for a million of 256"},
)
