"""Measure a trained network as its weight matrices are truncated to fewer singular values."""

import dataclasses
import os
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from train.algorithms.averages import evaluation_variables
from train.config import Experiment, Text
from train.core import State, machine
from train.metrics.evaluation import Evaluator
from zoo import low_rank
from zoo.low_rank import Call, Path_, Spectrum, Truncated
from zoo.measure import count_flops

ENERGIES = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 0.999)
BATCH = 256  # examples of a timed forward pass, of text at most a batch of training
LEAST_ROUNDS, ROUNDS = 5, 21
ROUND_SECONDS = 0.05
MOST_SECONDS = 30.0  # of all rounds together; after that, only the first LEAST_ROUNDS are run

Evaluate = Callable[[State], Mapping[str, float]]


@dataclasses.dataclass(frozen=True)
class Point:
    """One measured network: the full one (`energy` and `rank` None), or the one truncated to an energy or a rank."""

    energy: float | None
    rank: int | None
    ranks: Mapping[str, int]  # of each layer that was factorized
    params: int
    flops: int  # one forward pass of one example
    validation: Mapping[str, float]
    milliseconds: float = 0.0  # a forward pass of `Network.batch` examples, in the fastest round
    speed: float = 1.0  # the full network's time over this network's


@dataclasses.dataclass(frozen=True)
class Network:
    """A trained network with the singular values of its matrices."""

    model: nn.Module
    state: State
    call: Call
    spectra: Mapping[Path_, Spectrum]
    batch: int = BATCH  # examples of a timed forward pass

    @property
    def params(self) -> Any:
        return evaluation_variables(self.state)["params"]

    @property
    def statistics(self) -> Any:
        """The other variables that belong to `params`, such as batch statistics."""
        return {name: tree for name, tree in evaluation_variables(self.state).items() if name != "params"}

    def cut(self, **how: Any) -> Truncated:
        """Truncate the network by `energy=` or `rank=`; see `zoo.low_rank.truncate`."""
        return low_rank.truncate(self.params, self.spectra, **how)

    def with_params(self, params: Any) -> State:
        """Return a State for the evaluation of `params`."""
        return State(self.state.step, {"net": jax.tree.map(jnp.asarray, params)}, {"net": ()}, {"net": self.statistics})


def timed_batch(experiment: Experiment) -> int:
    """Return how many examples a timed forward pass has. A batch of long texts is as large as memory allows."""
    return min(BATCH, experiment.data.batch) if isinstance(experiment.data, Text) else BATCH


def levels(network: Network, energy: float | None, rank: int | None) -> list[dict[str, Any]]:
    """Return the arguments of `Network.cut` for each point of the curve, the chosen one included.

    They are energies, or powers of two where a rank was chosen.
    """
    if rank is None:
        assert energy is not None, "neither an energy nor a rank"
        return [{"energy": each} for each in sorted({*ENERGIES, energy})]
    most = max(len(spectrum.s) for spectrum in network.spectra.values())
    ranks = {2**k for k in range(most.bit_length()) if 2**k <= most}
    return [{"rank": each} for each in sorted(ranks | {rank})]


def trace(
    network: Network, levels: Sequence[dict[str, Any]], validate: Evaluator, on_point: Callable[[], None]
) -> list[Point]:
    """Measure the full network, then the network truncated to each of `levels`. `on_point` is called after each."""
    points, forwards = [], []
    for level in ({}, *levels):
        cut = network.cut(**level) if level else Truncated(network.params, {})
        with low_rank.run_factors():
            validation = validate(network.with_params(cut.params))
        variables = {"params": cut.params, **network.statistics}
        count = sum(leaf.size for leaf in jax.tree.leaves(cut.params))
        points.append(
            Point(level.get("energy"), level.get("rank"), cut.ranks, count, _flops(network, variables), validation)
        )
        forwards.append(_forward(network, variables))
        on_point()
    # A level that truncates no matrix is the full network, which is timed once.
    timed = [0, *(i for i, point in enumerate(points) if point.ranks)]
    times = dict(zip(timed, _interleave([forwards[i] for i in timed]), strict=True))
    return [_with_speed(point, times[0], times.get(i, times[0])) for i, point in enumerate(points)]


def busy() -> str:
    """Return a warning if other programs load this machine too much for timings; else an empty string."""
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    if load <= 2 * machine.cores():
        return ""
    return f"this machine is busy (load {load:.0f} on {machine.cores()} cores): do not trust ms and speed"


def _with_speed(point: Point, full: Sequence[float], own: Sequence[float]) -> Point:
    """Add the timings of the fastest round, which other load disturbed least."""
    return dataclasses.replace(point, milliseconds=1e3 * min(own), speed=min(full) / min(own))


def _flops(network: Network, variables: Any) -> int:
    args, kwargs = network.call.args, network.call.kwargs
    arrays, rest = _split(kwargs)
    return count_flops(lambda v, a, x: low_rank.apply(network.model, v, *a, **x, **rest), variables, args, arrays)


def _forward(network: Network, variables: Any) -> Callable[[], Any]:
    """Return a compiled forward pass of `network.batch` examples."""

    def example(leaf: jax.ShapeDtypeStruct) -> jax.Array:
        shape = (network.batch, *leaf.shape[1:])
        if jnp.issubdtype(leaf.dtype, jnp.floating):
            return jax.random.normal(jax.random.key(0), shape, leaf.dtype)
        return jnp.ones(shape, leaf.dtype)

    arrays, rest = _split(network.call.kwargs)
    args, arrays = jax.tree.map(example, (network.call.args, arrays))
    program = jax.jit(lambda v, a, x: low_rank.apply(network.model, v, *a, **x, **rest))
    placed = jax.tree.map(jnp.asarray, variables)
    return lambda: jax.block_until_ready(program(placed, args, arrays))


def _split(kwargs: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the arguments that are arrays, and the others, such as train=False."""
    arrays = {name: value for name, value in kwargs.items() if isinstance(value, jax.ShapeDtypeStruct)}
    return arrays, {name: value for name, value in kwargs.items() if name not in arrays}


def _interleave(programs: Sequence[Callable[[], Any]]) -> list[list[float]]:
    """Return the seconds of each program in each round. Other load on the machine slows all programs of a round."""
    repeats = []
    for program in programs:
        program()  # compiles
        trials = []
        for _ in range(3):
            start = time.perf_counter()
            program()
            trials.append(time.perf_counter() - start)
        repeats.append(max(1, round(ROUND_SECONDS / min(trials))))
    times: list[list[float]] = [[] for _ in programs]
    began = time.perf_counter()
    for done in range(ROUNDS):
        if done >= LEAST_ROUNDS and time.perf_counter() - began > MOST_SECONDS:
            break
        for program, repeat, own in zip(programs, repeats, times, strict=True):
            start = time.perf_counter()
            for _ in range(repeat):
                program()
            own.append((time.perf_counter() - start) / repeat)
    return times
