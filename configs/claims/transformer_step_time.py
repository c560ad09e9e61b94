"""A recurrent net's step takes longer the longer its texts are, since each token waits for the one before.

Paper:   Vaswani et al. 2017, Table 1 and section 4: a recurrent layer needs as many operations one after the other as
         there are tokens, self-attention a number that does not depend on them
Run:     zoo claim transformer_step_time
Here:    two language models of 804,000 parameters, two LSTMs of 220 units and a Transformer of four blocks of 128; one
         training step on 2,048 tokens, as 64 texts of 32 up to 4 texts of 512. A value is the least of three
         times, the nets and lengths taking turns; a seed is such a measurement anew.
Departs: measured on whatever runs it. On a CPU few operations are done at once anyway, and self-attention's own cost,
         which grows with the length, shows as well; the paper's point is about hardware that does thousands at once.
Measured: see results/claims.json
"""

import functools
import time
from collections.abc import Callable, Mapping
from operator import truediv

import jax

import zoo
from train.algorithms.optimizers import make_optimizer
from train.config import Optim
from train.core import run_chunk
from train.data.sources import Windows
from train.history.claims import Claim, DerivedArm, Effect, FunctionArm, Metric, Plot
from train.tasks.text.language import language

LENGTHS = (32, 128, 512)
TOKENS = 2_048  # of a step
ROUNDS = 3
NETS = {"recurrent": "lstm_char", "transformer": "gpt_char_mini"}


@functools.cache
def stepper(net: str, length: int, small: bool) -> Callable[[], float]:
    """Takes one step and says how many milliseconds that took; it is compiled already."""
    fields = {"context": max(LENGTHS)} if net == "transformer" else {}
    model = zoo.create(NETS[net], **fields, **({"width": 8, "depth": 1} if small else {}))
    task = language(model, make_optimizer(Optim("momentum", lr=0.01), 1), length=length)
    text = jax.random.randint(jax.random.key(0), (4 * TOKENS,), 0, model.cfg.vocab)
    data = Windows(text, TOKENS // length, length)
    state = task.init(jax.random.key(0))

    def step() -> float:
        nonlocal state
        began = time.perf_counter()
        state, _ = run_chunk(task, state, data, jax.random.key(0), n=1)
        jax.block_until_ready(state)
        return 1e3 * (time.perf_counter() - began)

    step()
    return step


@functools.cache
def milliseconds(seed: int, small: bool) -> Mapping[tuple[str, int], float]:
    """Of a step of every net at every length."""
    del seed  # measured anew for each
    steppers = {(net, length): stepper(net, length, small) for net in NETS for length in LENGTHS}
    rounds = [{key: step() for key, step in steppers.items()} for _ in range(1 if small else ROUNDS)]
    return {key: min(times[key] for times in rounds) for key in steppers}


def at(net: str, length: int) -> FunctionArm:
    def value(seed: int, small: bool = False) -> float:
        return milliseconds(seed, small)[net, length]

    return FunctionArm(f"{TOKENS // length} texts of {length} tokens", value, functools.partial(value, small=True))


SHORT, LONG = min(LENGTHS), max(LENGTHS)
CLAIM = Claim(
    year=2017,
    paper="Vaswani et al. 2017, Table 1",
    link="https://arxiv.org/abs/1706.03762",
    says="The step of a recurrent net takes longer the longer its texts are, with as many tokens in it; that of a "
    "Transformer does not.",
    models=("lstm_char", "gpt_char_mini"),
    metric=Metric("time of a training step", "ms"),
    arms={f"{net}_{length}": at(net, length) for net in NETS for length in LENGTHS}
    | {
        f"{net}_grows": DerivedArm(
            f"{net}: time with texts of {LONG} over time with texts of {SHORT}",
            (f"{net}_{LONG}", f"{net}_{SHORT}"),
            truediv,
            unit="times",
        )
        for net in NETS
    },
    effects=(
        # The square root of the ratio of the operations one after the other in Table 1: n for n, and n for 1.
        Effect(
            f"recurrent_{LONG}",
            f"recurrent_{SHORT}",
            "higher",
            f"{LONG} against {SHORT} tokens",
            kind="ratio",
            margin=(LONG / SHORT) ** 0.5,
        ),
        Effect(
            "recurrent_grows",
            "transformer_grows",
            "higher",
            "it grows more than the Transformer's",
            kind="ratio",
            margin=(LONG / SHORT) ** 0.5,
        ),
    ),
    seeds=5,
    seconds=90,
    alone=True,
    smaller="804 thousand parameters on a processor for 65 million on eight accelerators",
    varies=("moment of measurement",),
    reason="two cores have no width to spare: a product over a few sequences fills them as one over many does, so the "
    "recurrent net loses little by taking its places in turn, while attention weighs every pair of places, 16 times "
    "as many of them at 512 tokens as at 32. The paper's advantage is that of wide accelerators",
    budget=f"{TOKENS:,} tokens a step, the least of {ROUNDS} steps",
    plot=Plot(
        "points",
        x="tokens of a text",
        y="milliseconds of a training step",
        log_x=True,
        at={net: {f"{net}_{length}": length for length in LENGTHS} for net in NETS},
    ),
)
