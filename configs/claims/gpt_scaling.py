"""The loss of a language model falls with its size.

Paper:   Radford et al. 2019, Fig. 1 and 4 (four sizes, perplexity falls with each on WebText and elsewhere); Kaplan et
         al. 2020, equation 1.1: L(N) = (N_c / N)^a, N the parameters without embeddings, a = 0.076
Run:     zoo claim gpt_scaling
Here:    four GPTs of four blocks, 16 to 96 wide (12,432 to 443,232 parameters without embeddings), on the characters of
         Python's language reference; all read the same 800 batches of 16 x 64 characters, under three passes. Initial
         weights have a deviation of 0.02 sqrt(768 / width), which is GPT-2's 0.02 at its width. Each size has the best
         of three learning rates by its validation loss after 250 steps, over 3 seeds that are not compared. The
         exponent is the slope of log test loss over log size, fitted to each seed's four losses; how far the losses lie
         off that line is printed beside it, and so is the loss of a table of bigrams, of which a size that knows more
         of the text than pairs of characters has to be ahead. Seeds 30 to 34, which no earlier design had.
Departs: a thousandth of the paper's sizes, and of one shape family (width only); no size is trained until it is done
         (the paper's law is for that), so the exponent is of the loss after equal tokens; natural text is replaced by
         documentation and byte pairs by characters, places begin with the deviation of tokens (GPT-2's code has half),
         so that the two exponents are not of the same loss. The exponent is that of underfit nets after 0.8 million
         characters; its agreement with 0.076 would be chance. That the fall is a power law is not tested.
"""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np

import train.data.text
import zoo
from train.config import Experiment, Language, Model, Optim, Text, override
from train.history.claims import Claim, DerivedArm, Effect, FunctionArm, Plot, TrainedArm, Tune

WIDTHS = (16, 32, 64, 96)
RATES = "0.003,0.01,0.03"
TEXT = Text("python_docs", batch=16, tokenizer="char", length=64)
FULL_TEXT = Text("text:data/openwebtext", batch=64, tokenizer="char", length=64, vocab=256)
BASE = Experiment(
    model=Model("gpt_char_mini"),
    task=Language(),
    data=TEXT,
    optim=Optim("adamw", lr=1e-2, b2=0.99, weight_decay=0.1, clip_norm=1.0, schedule="cosine", warmup_steps=30),
    steps=800,
    seed=30,
    eval_every_steps=400,
    smoke={
        "steps": 2,
        "eval_every_steps": 2,
        "data": {"batch": 2, "length": 8},
        "model": {"fields": {"depth": 1, "context": 8}},
        "optim": {"warmup_steps": 0},
    },
)


def size(width: int) -> int:
    """Parameters without the tables of tokens and places, counted on the net itself."""
    model = zoo.create("gpt_char_mini", width=width)
    shapes = jax.eval_shape(lambda: model.init(jax.random.key(0), jnp.zeros((1, 2), jnp.int32), train=False))["params"]
    tables = [shapes.pop("tokens"), shapes.pop("positions")]
    assert len(tables) == 2
    return sum(leaf.size for leaf in jax.tree.leaves(shapes))


SIZES = {f"width_{width}": size(width) for width in WIDTHS}


def line(losses: tuple[float, ...]) -> np.ndarray:
    """(slope, height) of log loss over log size."""
    return np.polyfit(np.log(list(SIZES.values())), np.log(losses), 1)


def exponent(*losses: float) -> float:
    return float(line(losses)[0])


def off_the_line(*losses: float) -> float:
    """The largest factor between a loss and the line."""
    return float(np.exp(np.abs(np.log(losses) - np.polyval(line(losses), np.log(list(SIZES.values())))).max()))


def bigrams(text: Text, seed: int) -> float:
    """Test loss of a table of the probability of each character after each one, counted on the training split.

    Each row has one more character, spread as all characters are, so that what was never seen has a probability.
    """
    del seed
    dataset = train.data.text.load(text, "stream")
    learned, judged = (part.arrays["tokens"].astype(int) for part in (dataset.train, dataset.test))
    single = np.bincount(learned, minlength=dataset.vocab) + 1.0
    pairs = np.zeros((dataset.vocab, dataset.vocab)) + single / single.sum()
    np.add.at(pairs, (learned[:-1], learned[1:]), 1)
    table = np.log(pairs / pairs.sum(1, keepdims=True))
    return float(-table[judged[:-1], judged[1:]].mean())


def gpt(width: int) -> TrainedArm:
    deviation = round(0.02 * (768 / width) ** 0.5, 4)
    fields = {"width": width, "deviation": deviation, "position_deviation": deviation}
    return TrainedArm(
        f"{SIZES[f'width_{width}']:,} parameters without embeddings",
        override(BASE, {"model": {"fields": fields}}),
        tune=Tune((f"optim.lr={RATES}",), steps=250, by="validation loss"),
    )


def table(text: Text) -> FunctionArm:
    return FunctionArm("a table of bigrams", functools.partial(bigrams, text), exact=True)


NETS = {f"width_{width}": gpt(width) for width in WIDTHS}
NAMES = tuple(NETS)
# Blind, before any run: the square root of what the law says of each step in size, lessened where the larger one has
# used up the least of its text.
MARGINS = {"width_32": 1.05, "width_64": 1.03, "width_96": 1.01}
CLAIM = Claim(
    year=2019,
    paper="Radford et al. 2019, Fig. 4; Kaplan et al. 2020, eq. 1.1",
    link="https://arxiv.org/abs/2001.08361",
    says="The loss of a language model falls with its size.",
    models=("gpt_char_mini",),
    metric="test loss",
    arms=NETS
    | {
        "exponent": DerivedArm(
            "slope of log loss over log parameters, fitted to all four sizes", NAMES, exponent, unit=""
        ),
        "off_the_line": DerivedArm("the largest factor between a loss and that line", NAMES, off_the_line, unit=""),
        "bigrams": table(TEXT),
    },
    effects=(
        # Half of the law's exponent, 0.076; and of each size against its neighbour, see MARGINS.
        Effect("exponent", 0.0, "lower", "the loss falls with size: the exponent is negative", margin=0.038),
        *(
            Effect(
                large,
                small,
                "lower",
                f"{large.split('_')[1]} wide is better than {small.split('_')[1]}",
                kind="ratio",
                margin=MARGINS[large],
                differs=("model.fields.width", "model.fields.deviation", "model.fields.position_deviation"),
            )
            for small, large in itertools.pairwise(NAMES)
        ),
        # No figure in the papers: 1 %, the least margin of these, below which a net is a table of pairs.
        Effect("width_16", "bigrams", "lower", "16 wide is better than bigrams", kind="ratio", margin=1.01),
    ),
    seeds=5,
    seconds=700,
    smaller="a thousandth of the paper's sizes",
    reason="all sizes read equally little text, of which the larger nets use up the least",
    plot=Plot(
        "points",
        x="parameters without embeddings",
        y="test loss",
        log_x=True,
        log_y=True,
        at={"GPT, four blocks": SIZES},
    ),
    full={
        "steps": 5_000,
        "eval_every_steps": 500,
        "data": {"name": FULL_TEXT.name, "batch": FULL_TEXT.batch, "vocab": FULL_TEXT.vocab},
    },
    full_arms={"bigrams": table(FULL_TEXT)},
    full_seeds=3,
)
