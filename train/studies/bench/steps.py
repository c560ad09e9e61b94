"""`zoo bench`: the time of a training step of each model on this machine, in the loop, alone, and in PyTorch.

A round times steps in several ways, one after the other: as a jitted step that is called from Python, as the chunk that
the training loop runs, and as a PyTorch step, eager, with channels_last and compiled. Other load on the machine slows
all of them alike, so the ratios are computed within a round and their median is reported.
"""

import dataclasses
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.stages import Compiled

import zoo
from train.core import State, machine, run_chunk
from train.core.console import Console
from train.studies.bench import FAMILIES, LINE
from train.studies.bench import decode as bench_decode
from train.studies.bench.peers import Load, Peers, warm_up
from train.studies.bench.workloads import first_batch, forward_flops, measurable, text_length, training
from zoo.cards import Card
from zoo.errors import UserError, unknown

SHORTEST = 8  # tokens: two texts of two tokens each, and BERT's special tokens
ROUND_SECONDS = 0.5
FORWARD_PASSES = 3  # FLOPs of a training step in forward passes: the gradient costs two more


@dataclasses.dataclass(frozen=True)
class Trial:
    """What is measured for one row."""

    card: Card
    batch: int
    length: int | None  # tokens per text; None for images and the agent
    steps: int | None = None  # in a round; None: as many as fill half a second
    rounds: int = 7


@dataclasses.dataclass(frozen=True)
class Row:
    """The timings of one model: milliseconds per step, one entry per round."""

    name: str
    batch: int
    length: int | None  # tokens per text; None for images and the agent
    loop_ms: list[float]  # in the chunk that the training loop runs
    bare_ms: list[float]  # as a jitted step that is called from Python
    peer_ms: dict[str, list[float]]  # in PyTorch, by the way it runs; empty if not measured
    compile_seconds: float  # tracing and compiling the chunk, without the persistent cache
    memory_bytes: int  # the most that the chunk needs at once, as planned by XLA: state, data and temporaries
    peak_share: float | None  # FLOPs per second, as a share of those of a large matrix multiplication
    peer_compile_seconds: float | None = None  # of torch.compile
    peer_failures: dict[str, str] = dataclasses.field(default_factory=dict)  # way -> why it does not run here
    state_bytes: int = 0  # of memory_bytes: parameters, optimizer and statistics, whose memory the new ones take
    temporary_bytes: int = 0  # of memory_bytes: what lives within the chunk, mostly activations

    @property
    def examples_per_second(self) -> float:
        return self.batch / statistics.median(self.loop_ms) * 1e3

    @property
    def loop_over_bare(self) -> float:
        """The throughput of the loop over that of single steps; above 1 the loop is faster."""
        return _ratio(self.bare_ms, self.loop_ms)

    @property
    def best_peer(self) -> str | None:
        """The way of PyTorch with the smallest median."""
        return min(self.peer_ms, key=lambda way: statistics.median(self.peer_ms[way]), default=None)

    @property
    def over_peer(self) -> float | None:
        """The throughput of the loop over that of the fastest way of PyTorch; above 1 the loop is faster."""
        return None if self.best_peer is None else _ratio(self.peer_ms[self.best_peer], self.loop_ms)

    @property
    def peer_ratios(self) -> list[float]:
        """The time of the fastest way of PyTorch over that of the loop, in each round; [] without a peer."""
        peer = self.peer_ms.get(self.best_peer or "", [])
        return [theirs / ours for theirs, ours in zip(peer, self.loop_ms, strict=False)]


def half_spread(values: Sequence[float]) -> float:
    """Return half the distance between the quartiles; 0 for a single value."""
    quarters = statistics.quantiles(values, n=4) if len(values) > 1 else [0.0] * 3
    return (quarters[2] - quarters[0]) / 2


def plan(
    names: Sequence[str],
    *,
    batches: Sequence[int] = (32,),
    length: int | None = None,
    steps: int | None = None,
    rounds: int = 7,
    peers: bool = False,
) -> list[Trial]:
    """Return a trial for each batch of each model that matches a name or shell pattern in `names`.

    length: tokens per text; None: that of the card, at most 128. steps: in a round; None: as many as fill half a
    second. peers: the default names of `zoo bench` become one model of each family. Raises UserError for an unknown
    name, a number that is too small, and a text longer than a model's context.
    """
    for batch in batches:
        _demand(("batch", batch, 1))
    _demand(("length", length, SHORTEST), ("steps", steps, 2), ("rounds", rounds, 1))
    if peers and tuple(names) == LINE:
        names = FAMILIES
    does = "it measures classifiers, models of text, SimCLR, GANs and the agent dqn_mlp"
    cards = _find(names, measurable, f"has no task here: {does}", length)
    return [Trial(card, batch, text_length(card, length), steps, rounds) for card in cards for batch in batches]


def bench(
    trials: Sequence[Trial], torch_steps: Load | None = None, begin: Callable[[Trial], object] = lambda trial: None
) -> Iterator[Row]:
    """Yield the row of each trial when it is measured. `begin` is called before each trial.

    torch_steps: what `peers.load` returns, to measure PyTorch beside it.
    """
    peak = None
    for trial in trials:
        begin(trial)
        peak = peak or peak_flops()
        peers = None
        if torch_steps:
            peers = warm_up(torch_steps(trial.card.name, trial.batch, trial.length, machine.cores()))
        yield measure(trial, peak, peers)


def bench_decoding(
    names: Sequence[str], *, batch: int = 32, length: int | None = None, rounds: int = 7
) -> list[bench_decode.DecodeRow]:
    """Return one row for each model that matches a name or shell pattern in `names`; see train/studies/bench/decode.py.

    length: tokens generated per sequence, and tokens of its source; None: that of the card, at most 128. The default
    names of `zoo bench` are reduced to the models that generate sequences.
    """
    _demand(("batch", batch, 1), ("length", length, SHORTEST), ("rounds", rounds, 1))
    if tuple(names) == LINE:
        names = [name for name in LINE if bench_decode.decodes(zoo.card(name))]
    cards = _find(names, bench_decode.decodes, "generates no sequences, so there is nothing to decode", length)
    console = Console(stderr=True)
    rows = []
    for card in cards:
        with console.status(f"{card.name} …"):
            rows.append(bench_decode.measure_decoding(card, batch, length, rounds))
    return rows


def _demand(*options: tuple[str, int | None, int]) -> None:
    """Raise UserError for an option (name, value or None, minimum) below its minimum."""
    for option, value, least in options:
        if value is not None and value < least:
            raise UserError(f"zoo bench: {option} must be at least {least}, not {value}")


def _find(names: Sequence[str], able: Callable[[Card], bool], otherwise: str, length: int | None) -> list[Card]:
    """Return every card that matches a name or pattern and is `able`, without duplicates.

    Raises UserError for a name without such a card (`otherwise` ends the message) and for a context below `length`.
    """
    found: dict[str, Card] = {}
    for name in names:
        matching = zoo.list_models(name)
        if not matching:
            raise unknown("model", name, zoo.CARDS)
        cards = [card for card in map(zoo.card, matching) if able(card)]
        if not cards:
            raise UserError(f"zoo bench: {name} {otherwise}")
        found |= {card.name: card for card in cards}
    for card in found.values():
        context = getattr(card.config, "context", None)
        if length and context and length > context:
            raise UserError(f"zoo bench: length must be at most {context}, the context of {card.name}, not {length}")
    return list(found.values())


def measure(trial: Trial, peak: float, peers: Peers | None = None) -> Row:
    """Time one model. With `peers` SimCLR's views are drawn on neither side."""
    card, batch, length = trial.card, trial.batch, trial.length
    task, data = training(card, batch, length, augment=peers is None)
    key = jax.random.key(0)
    init = jax.jit(task.init)

    def step(state: State, examples: dict[str, jax.Array], key: jax.Array) -> State:
        new, _ = task.step(state, examples, jax.random.fold_in(key, state.step))
        return new.replace(step=state.step + 1)

    bare = jax.jit(step, donate_argnums=0)
    examples = jax.jit(first_batch)(data)
    programs: dict[str, Callable[[int], object]] = {
        "bare": _repeat(lambda state: bare(state, examples, key), init(key))
    }
    programs["bare"](1)  # compiles
    steps = trial.steps or _fill(lambda: programs["bare"](1))

    start = time.perf_counter()
    chunk = run_chunk.lower(task, init(key), data, key, steps).compile()
    compile_seconds = time.perf_counter() - start
    once = _repeat(lambda state: chunk(state, data, key)[0], init(key))
    programs["loop"] = lambda _: once(1)
    peers = peers or Peers()
    counts = dict.fromkeys(programs, steps)
    for way, peer in peers.steps.items():
        programs[way] = partial(_call, peer)
        counts[way] = trial.steps or min(steps, _fill(peer))  # a slower peer takes no longer than we do
    times = _interleave(programs, counts, trial.rounds)
    flops, seconds = forward_flops(task, data), statistics.median(times["loop"]) / 1e3
    planned = _planned(chunk)
    return Row(
        name=card.name,
        batch=batch,
        length=length,
        loop_ms=times.pop("loop"),
        bare_ms=times.pop("bare"),
        peer_ms=times,
        compile_seconds=compile_seconds,
        memory_bytes=planned.most,
        peak_share=None if flops is None else FORWARD_PASSES * flops / seconds / peak,
        peer_compile_seconds=peers.compile_seconds,
        peer_failures=dict(peers.failures),
        state_bytes=planned.kept,
        temporary_bytes=planned.temporary,
    )


def _call(step: Callable[[], object], times: int) -> None:
    for _ in range(times):
        step()


class Planned(NamedTuple):
    """The bytes that XLA plans for a program."""

    most: int  # arguments, results and temporaries; a result in the place of an argument counts once
    kept: int  # results in the place of arguments
    temporary: int


def _planned(program: Compiled) -> Planned:
    plan = program.memory_analysis()
    assert plan is not None, "XLA plans the memory of every program"
    kept, temporary = plan.alias_size_in_bytes, plan.temp_size_in_bytes
    return Planned(plan.argument_size_in_bytes + plan.output_size_in_bytes - kept + temporary, kept, temporary)


def peak_flops() -> float:
    """Return the FLOPs per second of the fastest of ten large float32 matrix multiplications on the default device."""
    size = 2048 if jax.default_backend() == "cpu" else 16_384
    a = jnp.ones((size, size), jnp.float32)
    product = jax.jit(jnp.matmul)
    product(a, a).block_until_ready()
    seconds = []
    for _ in range(10):
        start = time.perf_counter()
        product(a, a).block_until_ready()
        seconds.append(time.perf_counter() - start)
    return 2 * size**3 / min(seconds)


def _repeat(advance: Callable[[State], State], state: State) -> Callable[[int], None]:
    """Return a function that advances its state n times and blocks until it is ready."""
    box = [state]

    def run(n: int) -> None:
        for _ in range(n):
            box[0] = advance(box[0])
        jax.block_until_ready(box[0])

    return run


def _fill(step: Callable[[], object]) -> int:
    """Return how many steps fill a round: at least 2, because XLA compiles a loop of 1 to a single step."""
    start = time.perf_counter()
    done = 0
    while time.perf_counter() - start < ROUND_SECONDS / 2:
        step()
        done += 1
    return max(2, 2 * done)


def _interleave(
    programs: Mapping[str, Callable[[int], object]], steps: Mapping[str, int], rounds: int
) -> dict[str, list[float]]:
    """Return the milliseconds per step for each program and round. A first round warms up and is not counted.

    steps: how many of them each program makes in a round.
    """
    times: dict[str, list[float]] = {name: [] for name in programs}
    for _ in range(rounds + 1):
        for name, run in programs.items():
            start = time.perf_counter()
            run(steps[name])
            times[name].append((time.perf_counter() - start) / steps[name] * 1e3)
    return {name: each[1:] for name, each in times.items()}


def _ratio(above: list[float], below: list[float]) -> float:
    return statistics.median(a / b for a, b in zip(above, below, strict=True))
