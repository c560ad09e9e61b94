"""A recurrent net multiplies matrices one after the other as often as its texts have tokens; a Transformer does not.

Paper:   Vaswani et al. 2017, Table 1: sequential operations O(n) of a recurrent layer and O(1) of self-attention
Run:     zoo claim transformer_step_time
Here:    two language models of 1.6 million parameters and equal width d = 256: an LSTM of three layers and a
         Transformer of two blocks. The headline is counted on the traced program of the forward pass: the longest chain
         of matrix products of which each needs the result of the one before. It depends on no machine and no seed.
         This counts what the architectures imply and cannot fail; it is a demonstration.
         Beside it stands the time of a training step on 2,048 tokens, as 64 texts of 32 tokens or 16 of 128: the least
         of three times, the nets and lengths taking turns; a seed is such a measurement anew. The times are compared
         with nothing: section 4 says that self-attention is faster where n is smaller than d, but of one layer, and by
         operations.
Departs: the program runs one LSTM layer after the other, in 3 n + 1 products; layers that overlap would need n + 3,
         which also grows with n. A step that is timed has backward pass, embedding and output too, and is timed on
         whatever runs it.
"""

import functools
import time
from collections.abc import Callable, Mapping
from operator import truediv
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

import zoo
from train.algorithms.optimizers import make_optimizer
from train.config import Optim
from train.core import run_chunk
from train.data.sources import Windows
from train.history.claims import Claim, DerivedArm, Effect, FunctionArm, Metric, Plot
from train.tasks.text.language import language

WIDTH = 256  # d
COUNTED = (32, 128, 512)  # tokens of a text whose chain is counted
TIMED = (32, 128)  # below the width
TOKENS = 2_048  # of a step that is timed
ROUNDS = 3
SHORT, LONG = min(COUNTED), max(COUNTED)
NETS = {
    "recurrent": ("lstm_char", {"depth": 3}),
    "transformer": ("gpt_char_mini", {"depth": 2, "context": LONG}),
}
PRODUCTS = ("dot_general", "conv_general_dilated")


def create(net: str, width: int = WIDTH) -> nn.Module:
    name, fields = NETS[net]
    return zoo.create(name, width=width, **fields)


def longest_chain(program: Any, before: list[int]) -> list[int]:
    """Return, for each output of a jaxpr, the products on the longest path to it. before: the same of its inputs."""
    known = dict(zip(program.invars, before, strict=True)) | dict.fromkeys(program.constvars, 0)
    for line in program.eqns:
        given = [known.get(one, 0) if not hasattr(one, "val") else 0 for one in line.invars]
        known |= dict(zip(line.outvars, outputs_of(line, given), strict=True))
    return [known.get(one, 0) if not hasattr(one, "val") else 0 for one in program.outvars]


def outputs_of(line: Any, given: list[int]) -> list[int]:
    """Return the chain of each output of one line of a jaxpr."""
    name, inner = line.primitive.name, line.params
    if name == "scan":
        return through_scan(inner, given)
    if name in ("while", "cond"):
        raise NotImplementedError(f"the products of a {name} cannot be counted before it runs")
    for key in ("jaxpr", "call_jaxpr", "fun_jaxpr"):
        if key in inner:
            return longest_chain(getattr(inner[key], "jaxpr", inner[key]), given)
    return [max(given, default=0) + (name in PRODUCTS)] * len(line.outvars)


def through_scan(scan: Mapping[str, Any], given: list[int]) -> list[int]:
    """Return the chain of each output of a scan: what is carried goes through its body once for each round."""
    consts, carried = scan["num_consts"], scan["num_carry"]
    fixed, carry, rows = given[:consts], given[consts : consts + carried], given[consts + carried :]
    stacked = [0] * (len(scan["jaxpr"].jaxpr.outvars) - carried)
    for _ in range(scan["length"]):
        found = longest_chain(scan["jaxpr"].jaxpr, [*fixed, *carry, *rows])
        carry, stacked = found[:carried], [max(pair) for pair in zip(stacked, found[carried:], strict=True)]
    return [*carry, *stacked]


def products_in_turn(net: str, length: int) -> int:
    """The longest chain of dependent products in the forward pass of a net on one text."""
    model, tokens = create(net), jnp.zeros((1, length), jnp.int32)
    variables = jax.eval_shape(lambda: model.init(jax.random.key(0), tokens, train=False))
    program = jax.make_jaxpr(lambda v: model.apply(v, tokens, train=False))(variables).jaxpr
    return max(longest_chain(program, [0] * len(program.invars)))


@functools.cache
def stepper(net: str, length: int, small: bool) -> Callable[[], float]:
    """Takes one step and says how many milliseconds that took; it is compiled already."""
    model = create(net, 8 if small else WIDTH)
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
    steppers = {(net, length): stepper(net, length, small) for net in NETS for length in TIMED}
    rounds = [{key: step() for key, step in steppers.items()} for _ in range(1 if small else ROUNDS)]
    return {key: min(times[key] for times in rounds) for key in steppers}


def counted(net: str, length: int) -> FunctionArm:
    def value(seed: int) -> float:
        del seed  # it is counted
        return products_in_turn(net, length)

    return FunctionArm(f"{net}: texts of {length} tokens", value, exact=True)


def timed(net: str, length: int) -> FunctionArm:
    def value(seed: int, small: bool = False) -> float:
        return milliseconds(seed, small)[net, length]

    says = f"{net}: a step on {TOKENS // length} texts of {length} tokens"
    return FunctionArm(says, value, functools.partial(value, small=True), unit="ms")


def grows(net: str) -> DerivedArm:
    says = f"{net}: the chain of {LONG} tokens over that of {SHORT}"
    return DerivedArm(says, (f"{net}_{LONG}", f"{net}_{SHORT}"), truediv, unit="times")


CLAIM = Claim(
    year=2017,
    paper="Vaswani et al. 2017, Table 1",
    link="https://arxiv.org/abs/1706.03762",
    says="A recurrent net needs more operations one after the other the longer its texts are, a Transformer does not.",
    models=("lstm_char", "gpt_char_mini"),
    metric=Metric("longest chain of dependent products", "products"),
    arms={f"{net}_{length}": counted(net, length) for net in NETS for length in COUNTED}
    | {f"{net}_grows": grows(net) for net in NETS}
    | {f"{net}_{length}_time": timed(net, length) for net in NETS for length in TIMED},
    effects=(
        # The square root of the ratio in Table 1: n against 1 operations one after the other, where n grows 16 times.
        Effect(
            "recurrent_grows",
            "transformer_grows",
            "higher",
            f"from {SHORT} to {LONG} tokens the recurrent chain grows more",
            kind="ratio",
            margin=(LONG / SHORT) ** 0.5,
        ),
    ),
    seeds=5,
    seconds=120,
    alone=True,
    smaller="1.6 million parameters on a processor for 65 million on eight accelerators",
    varies=("moment of measurement",),
    budget=f"the forward pass on one text, counted; {TOKENS:,} tokens a step, the least of {ROUNDS} steps, timed",
    plot=Plot(
        "points",
        x="tokens of a text",
        y="matrix products one after the other",
        log_x=True,
        log_y=True,
        at={net: {f"{net}_{length}": length for length in COUNTED} for net in NETS},
    ),
)
