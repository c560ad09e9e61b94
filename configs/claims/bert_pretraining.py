"""Pre-training on text without labels, then fine-tuning, beats training from scratch, and most with few labels.

Paper:   Devlin et al. 2018, section 4 and Table 5 (what pre-training is worth); Howard and Ruder 2018, Fig. 3, for the
         few labels
Run:     zoo claim bert_pretraining
Here:    which of the ten longest topics of Python's language reference is a paragraph from? 693 labelled paragraphs, or
         a tenth of them; a BERT of two blocks 64 wide, pre-trained for 6,000 batches of 32 passages of the reference
         by BERT's two tasks, or as it began; 300 batches of 16 paragraphs of fine-tuning. Both arms have one
         vocabulary and begin with the same initial network, before and after its pre-training, and each has the better
         of two learning rates by its validation loss after 100 steps with the first seed. Seeds 5 to 16: 0 to 4 were a
         pilot with a quarter of the pre-training, which had found only 14 % of the hidden tokens of validation and was
         still gaining; it left all three undecided: +6.19 points (-1.73 to 14.62) with all labels, +3.45 (-3.30 to
         10.20) with a tenth, -2.74 (-14.72 to 9.02) from the one to the other.
Departs: a thousandth of the paper's net and of its text; one pre-training seed. The passages of pre-training hold the
         test paragraphs as well, without their topics: what is measured is worth for text that could be read before.
Measured: see results/claims.json, from before the embeddings decayed
"""

from train.config import Classify, Experiment, Masked, Model, Optim, Text, override
from train.history.claims import Claim, Difference, Effect, Plot, TrainedArm, Tune

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
    optim=Optim("adamw", lr=2e-3, weight_decay=0.01, clip_norm=1.0, schedule="cosine", warmup_steps=100),
    steps=6_000,
    eval_every_steps=1_500,
    smoke=SMOKE,
)
UNTRAINED = override(PRETRAINED, {"steps": 1, "eval_every_steps": 1, "optim": {"lr": 1e-12, "warmup_steps": 0}})
TOPICS = Experiment(
    model=NET,
    task=Classify(),
    data=Text("python_docs/topic", batch=16, **WORDS),
    optim=Optim("adamw", lr=1e-3, weight_decay=0.01, clip_norm=1.0, schedule="cosine", warmup_steps=20),
    steps=300,
    seed=5,
    eval_every_steps=100,
    smoke=SMOKE,
)
TUNE = Tune(("optim.lr=0.0005,0.002",), steps=100, by="validation loss")


def tuned(start: str, says: str, labels: float = 1.0) -> TrainedArm:
    return TrainedArm(says, override(TOPICS, {"data": {"labels": labels}}), tune=TUNE, start=start)


CLAIM = Claim(
    year=2018,
    paper="Devlin et al. 2018, section 4",
    link="https://arxiv.org/abs/1810.04805",
    says="A network that has learned to fill gaps in text is better at a task than one from scratch, most of all with "
    "few labels.",
    models=("bert_tiny",),
    metric="test accuracy",
    starts={"pretrained": PRETRAINED, "untrained": UNTRAINED},
    arms={
        "scratch_all": tuned("untrained", "from scratch, all labels"),
        "pretrained_all": tuned("pretrained", "pre-trained, all labels"),
        "scratch_tenth": tuned("untrained", "from scratch, a tenth of the labels", 0.1),
        "pretrained_tenth": tuned("pretrained", "pre-trained, a tenth of the labels", 0.1),
        "gain_all": Difference("what pre-training gains with all labels", "pretrained_all", "scratch_all"),
        "gain_tenth": Difference("what it gains with a tenth of them", "pretrained_tenth", "scratch_tenth"),
    },
    effects=(
        # Of Howard and Ruder's net from scratch, TREC-6, 5.0 points more errors with all labels (Table 4) and some 20
        # with 100 (Fig. 3): half, lessened, since the text here is a thousandth. Devlin et al. have no such arm.
        Effect("pretrained_all", "scratch_all", "higher", "pre-training helps with all labels", margin=0.02),
        Effect(
            "pretrained_tenth", "scratch_tenth", "higher", "pre-training helps with a tenth of the labels", margin=0.05
        ),
        Effect("gain_tenth", "gain_all", "higher", "it helps more with a tenth than with all", margin=0.02),
    ),
    seeds=12,
    seconds=570,
    smaller="a thousandth of the paper's net and of its text",
    pilots="seeds 0 to 4 with a quarter of the pre-training left all three effects undecided",
    reason="300 batches from scratch leave the net half-trained even with all labels (42 % right, 8 points apart from "
    "seed to seed), so that pre-training gains as much there as with a tenth of them",
    plot=Plot("bars", arms=("scratch_all", "pretrained_all", "scratch_tenth", "pretrained_tenth")),
    full={"model": {"fields": {"context": 64}}},
)
