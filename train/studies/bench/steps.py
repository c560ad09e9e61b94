"""`zoo bench`: the time of a training step of each model on this machine, in the loop, alone, and in PyTorch.

A round times the same number of steps in three ways, one after the other: as a jitted step that is called from Python,
as the chunk that the training loop runs, and as a PyTorch step. Other load on the machine slows all three alike, so
the ratios are computed within a round and their median is reported.
"""

import dataclasses
import statistics
import time
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
from jax.stages import Compiled

import zoo
from train.core import State, machine, run_chunk
from train.core.console import Console
from train.studies.bench import LINE
from train.studies.bench import decode as bench_decode
from train.studies.bench import peers as torch_peers
from train.studies.bench.workloads import first_batch, forward_flops, measurable, text_length, training
from zoo.cards import Card
from zoo.errors import UserError, unknown

SHORTEST = 8  # tokens: two texts of two tokens each, and BERT's special tokens
ROUND_SECONDS = 0.5
FORWARD_PASSES = 3  # FLOPs of a training step in forward passes: the gradient costs two more


@dataclasses.dataclass(frozen=True)
class Row:
    """The timings of one model: milliseconds per step, one entry per round."""

    name: str
    batch: int
    length: int | None  # tokens per text; None for images
    loop_ms: list[float]  # in the chunk that the training loop runs
    bare_ms: list[float]  # as a jitted step that is called from Python
    peer_ms: list[float]  # in PyTorch; empty if not measured
    compile_seconds: float  # tracing and compiling the chunk, without the persistent cache
    memory_bytes: int  # state, data and temporaries of the chunk, as planned by XLA
    peak_share: float  # FLOPs per second, as a share of those of a large matrix multiplication

    @property
    def examples_per_second(self) -> float:
        return self.batch / statistics.median(self.loop_ms) * 1e3

    @property
    def loop_over_bare(self) -> float:
        """The throughput of the loop over that of single steps; above 1 the loop is faster."""
        return _ratio(self.bare_ms, self.loop_ms)

    @property
    def over_peer(self) -> float | None:
        """The throughput of the loop over that of PyTorch; above 1 the loop is faster."""
        return _ratio(self.peer_ms, self.loop_ms) if self.peer_ms else None


def bench(
    names: Sequence[str],
    *,
    batch: int = 32,
    length: int | None = None,
    steps: int | None = None,
    rounds: int = 7,
    peers: bool = False,
) -> list[Row]:
    """Return one row for each model that matches a name or shell pattern in `names`.

    length: tokens per text; None: that of the card, at most 128. steps: in a round; None: as many as fill half a
    second. Raises UserError for an unknown name, a number that is too small, a text longer than a model's context, and
    for `peers` without PyTorch or its models.
    """
    _demand(("batch", batch, 1), ("length", length, SHORTEST), ("steps", steps, 2), ("rounds", rounds, 1))
    cards = _find(names, measurable, "has no task here: it measures classifiers, models of text and GANs", length)
    torch_step = torch_peers.load() if peers else None
    peak = peak_flops()
    console = Console(stderr=True)
    rows = []
    for card in cards:
        with console.status(f"{card.name} …"):
            tokens = text_length(card, length)
            peer = torch_step(card.name, batch, tokens, machine.cores()) if torch_step else None
            rows.append(measure(card, batch, tokens, steps, rounds, peak, peer))
    return rows


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


def measure(
    card: Card,
    batch: int,
    length: int | None,
    steps: int | None,
    rounds: int,
    peak: float,
    peer: Callable[[], object] | None,
) -> Row:
    """Time one model. `peer` runs one step in PyTorch and returns when it is done."""
    task, data = training(card, batch, length)
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
    steps = steps or _fill(lambda: programs["bare"](1))

    start = time.perf_counter()
    chunk = run_chunk.lower(task, init(key), data, key, steps).compile()
    compile_seconds = time.perf_counter() - start
    once = _repeat(lambda state: chunk(state, data, key)[0], init(key))
    programs["loop"] = lambda _: once(1)
    if peer:
        programs["peer"] = lambda n: [peer() for _ in range(n)] and None
    times = _interleave(programs, steps, rounds)
    seconds = statistics.median(times["loop"]) / 1e3
    share = FORWARD_PASSES * forward_flops(task, data) / seconds / peak
    memory = _planned_bytes(chunk)
    return Row(
        card.name, batch, length, times["loop"], times["bare"], times.get("peer", []), compile_seconds, memory, share
    )


def _planned_bytes(program: Compiled) -> int:
    """Return the bytes of arguments, results and temporaries. A result in the place of an argument counts once."""
    plan = program.memory_analysis()
    assert plan is not None, "XLA plans the memory of every program"
    return plan.argument_size_in_bytes + plan.output_size_in_bytes - plan.alias_size_in_bytes + plan.temp_size_in_bytes


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


def _interleave(programs: dict[str, Callable[[int], object]], steps: int, rounds: int) -> dict[str, list[float]]:
    """Return the milliseconds per step for each program and round. A first round warms up and is not counted."""
    times: dict[str, list[float]] = {name: [] for name in programs}
    for _ in range(rounds + 1):
        for name, run in programs.items():
            start = time.perf_counter()
            run(steps)
            times[name].append((time.perf_counter() - start) / steps * 1e3)
    return {name: each[1:] for name, each in times.items()}


def _ratio(above: list[float], below: list[float]) -> float:
    return statistics.median(a / b for a, b in zip(above, below, strict=True))
