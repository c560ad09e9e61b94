"""Reading the source backwards lowers the perplexity of an encoder-decoder and raises its BLEU.

Paper:   Sutskever et al. 2014, section 3.3: perplexity falls from 5.8 to 4.7, BLEU rises from 25.9 to 30.6, on English
         to French; their reason is that the first words of the source then stand near the first ones of the target
Run:     zoo claim seq2seq_reversal
Here:    dates, times, numbers, sums of money and measures from English to French, character by character, by two LSTMs
         of 96 units; 1,200 batches of 32, so few that neither net has learned all of it. The arms differ in
         `reverse_source` alone. Perplexity and BLEU are of the test split, with the weights of the last step.
Departs: one layer of 96 units, not four of 1,000; characters, not words; greedy, not beam search; and what is said
         comes from the tables of CLDR by Babel.
Measured: see results/claims.json
"""

from train.config import Experiment, Model, Optim, Text, Translate, override
from train.history.claims import Claim, Effect, Plot, RemeasuredArm, TrainedArm, metric

NET = {"embed": 48, "width": 96, "depth": 1, "dropout": 0.0}
BASE = Experiment(
    model=Model("seq2seq_mini", NET),
    task=Translate(),
    data=Text("dates/en-fr", batch=32, tokenizer="char", length=40),
    optim=Optim("adam", lr=3e-3, clip_norm=1.0, schedule="cosine"),
    steps=1_200,
    eval_every_steps=300,
    smoke={
        "steps": 2,
        "eval_every_steps": 2,
        "data": {"batch": 2, "length": 5},
        "model": {"fields": {"embed": 4, "width": 4, "depth": 1}},
    },
)
BLEU = metric("test bleu")

CLAIM = Claim(
    year=2014,
    paper="Sutskever et al. 2014, section 3.3",
    link="https://arxiv.org/abs/1409.3215",
    says="Reading the source backwards lowers an encoder-decoder's perplexity and raises its BLEU.",
    models=("seq2seq_mini",),
    metric="test perplexity",
    arms={
        "backwards": TrainedArm("source reversed", BASE),
        "forwards": TrainedArm(
            "source as it is written", override(BASE, {"model": {"fields": NET | {"reverse_source": False}}})
        ),
        "backwards_bleu": RemeasuredArm("BLEU with the source reversed", "backwards", BLEU),
        "forwards_bleu": RemeasuredArm("BLEU with the source as it is written", "forwards", BLEU),
    },
    effects=(
        # Half of the difference between 30.6 and 25.9; and the square root of the ratio of 5.8 to 4.7, which is 1.11,
        # lessened since a perplexity here is of a character and not of a word.
        Effect("backwards", "forwards", "lower", "lower perplexity", kind="ratio", margin=1.05),
        Effect("backwards_bleu", "forwards_bleu", "higher", "higher BLEU", margin=2.35),
    ),
    seeds=3,
    seconds=200,
    smaller="one layer of 96 units for four of 1,000, and dates for the news of WMT 2014",
    plot=Plot("curve", y="validation perplexity", of="validation perplexity", log_y=True),
    full={
        "steps": 20_000,
        "eval_every_steps": 1_000,
        "model": {"fields": {"embed": 256, "width": 512, "depth": 2, "dropout": 0.5}},
        "data": {"name": "tsv:data/multi30k/en-fr", "batch": 128, "tokenizer": "bpe", "vocab": 8_000},
    },
)
