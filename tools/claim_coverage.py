"""Write docs/claim_statistics.md: how often intervals hold the truth, and how often equal arms are told apart.

    python tools/claim_coverage.py

Seeds are drawn from known distributions, and judged by the very functions that judge claims. Takes about a minute.
"""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from train.history.claims import Claim, Effect, Fails, FunctionArm, Metric
from train.history.claims.failures import count
from train.history.claims.values import Values
from train.history.claims.verdict import result
from train.metrics import statistics
from train.metrics.statistics import unseen_rate

DOCS = Path(__file__).parents[1] / "docs" / "claim_statistics.md"
SEEDS = (3, 5, 8, 12)
CLAIMS = 600  # of each cell
RESAMPLES = 1_000  # of each bootstrap; claims have ten times as many
FAILING = 0.1  # the share of seeds that fail, by falling 10 standard deviations
MARGIN = 0.25  # in standard deviations of a seed
Draw = Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]


def failing(rng: np.random.Generator, size: tuple[int, ...]) -> np.ndarray:
    return rng.normal(size=size) - 10 * (rng.random(size) < FAILING)


SEED_LAWS: dict[str, Draw] = {
    "normal": lambda rng, size: rng.normal(size=size),
    "exponential": lambda rng, size: rng.exponential(size=size),
    "Student, 3 degrees": lambda rng, size: rng.standard_t(3, size),
    "one seed in ten fails": failing,
}
MEANS = {"normal": 0.0, "exponential": 1.0, "Student, 3 degrees": 0.0, "one seed in ten fails": -10 * FAILING}
FAILS = Fails("below", -5.0)  # between those that failed and the others


class Cell(NamedTuple):
    """What came of the claims of one distribution and one number of seeds, as shares of all claims."""

    covered: float  # the interval of the mean holds the mean
    holds: float  # equal arms of several effects, of which the first decides
    contradicted: float


class Pair(NamedTuple):
    """The same where seeds can fail, and failures are counted apart."""

    covered: float  # the interval of the seeds that did not fail holds their difference
    rate_covered: float  # Clopper and Pearson's interval holds the rate of failure
    holds: float
    contradicted: float


def claim(fails: Fails | None, seeds: int) -> Claim:
    """A claim of three effects between four arms."""
    arms = {name: FunctionArm("", float) for name in "abcd"}
    effects = tuple(Effect("a", other, "higher", "", margin=MARGIN) for other in "bcd")
    return Claim(2000, "", "", "", arms, effects, Metric("m", "", "higher"), seeds=seeds, fails=fails)


def judged(rng: np.random.Generator, draw: Draw, whole: Claim) -> tuple[dict, dict[str, Values]]:
    """Judge a claim whose arms are all drawn alike. Returns its result, and the values of the arms."""
    seeds = tuple(range(whole.seeds))
    arms = {name: Values(seeds, tuple(draw(rng, (len(seeds),)).tolist())) for name in whole.arms}
    return result("", whole, "small", arms), arms


def cell(law: str, seeds: int, claims: int = CLAIMS) -> Cell:
    """Simulate claims without a rule of failure; for each one also the interval of the mean of one arm of its seeds."""
    rng, draw = np.random.default_rng(seeds), SEED_LAWS[law]
    whole, found, covered = claim(None, seeds), [], 0
    for _ in range(claims):
        found.append(judged(rng, draw, whole)[0]["verdict"])
        low, high = statistics.mean_interval(draw(rng, (seeds,)))
        covered += low <= MEANS[law] <= high
    return Cell(covered / claims, found.count("holds") / claims, found.count("contradicted") / claims)


def pair(law: str, seeds: int, claims: int = CLAIMS) -> Pair:
    """Simulate claims whose seeds can fail."""
    rng, whole = np.random.default_rng(seeds), claim(FAILS, seeds)
    verdicts, covered, rates = [], 0, 0
    truth = float(np.mean([FAILS.past(value) for value in SEED_LAWS[law](rng, (200_000,))]))
    for _ in range(claims):
        found, arms = judged(rng, SEED_LAWS[law], whole)
        effect = found["effects"][0]
        verdicts.append(found["verdict"])
        covered += effect["low"] is not None and effect["low"] <= 0 <= effect["high"]
        own = count(whole.arms, arms, FAILS)["a"].to_json("a")
        rates += own["low"] <= truth <= own["high"]
    shares = (verdicts.count("holds") / claims, verdicts.count("contradicted") / claims)
    return Pair(covered / claims, rates / claims, *shares)


HEAD = f"""# How far the verdicts of claims can be trusted

Made by `python tools/claim_coverage.py`: {CLAIMS} claims for each cell, with seeds drawn from known distributions and
judged by the functions that judge claims. Figures are percent; with so many claims they are uncertain by one or two
points.

## The interval of a mean

How often the 95 % interval of a mean (Student's, or the bootstrap's where that is wider) holds the true mean. It does
for bell-shaped values. For skewed ones it is too narrow. Where one seed in ten fails no interval of a mean can do
better: most groups of three seeds have no failure that could tell of it.
"""
EQUAL = f"""
## Arms that are equal

How often a claim of three effects between equal arms holds / is contradicted. The margin is {MARGIN:g} standard
deviations of a seed. The first effect decides, so that further effects make no false verdict likelier.
"""
PAIRS = f"""
## Where seeds can fail

Such a claim says before its run which seeds count as failed (here: those below {FAILS.threshold:g}), and has at least 8
seeds. Two things are reported: the effect of the seeds that did not fail, and how many failed in each arm, with the
interval of Clopper and Pearson. A verdict needs both to agree. Unseen is the rate of failure that in 5 % of all cases
shows itself in no seed; it is printed beside each such effect. The arms are equal.

| values | seeds | effect covered | rate covered | holds | contradicted | unseen |
| --- | --- | --- | --- | --- | --- | --- |
"""


def percent(share: float) -> str:
    return f"{100 * share:.1f}"


def table(rows: dict[str, list[str]]) -> str:
    """Return a table with a column for each number of seeds."""
    lines = [f"| values | {' | '.join(f'{n} seeds' for n in SEEDS)} |", f"| --- |{' --- |' * len(SEEDS)}"]
    return "\n" + "\n".join([*lines, *(f"| {law} | {' | '.join(row)} |" for law, row in rows.items())]) + "\n"


def markdown() -> str:
    """Return the document."""
    cells = {law: [cell(law, n) for n in SEEDS] for law in SEED_LAWS}
    covered = {law: [percent(one.covered) for one in row] for law, row in cells.items()}
    equal = {law: [f"{percent(one.holds)} / {percent(one.contradicted)}" for one in row] for law, row in cells.items()}
    pairs = [
        f"| {law} | {n} | {' | '.join(map(percent, pair(law, n)))} | {100 * unseen_rate(n):.0f} |\n"
        for law in SEED_LAWS
        for n in SEEDS
        if n >= 8
    ]
    return HEAD + table(covered) + EQUAL + table(equal) + PAIRS + "".join(pairs)


def main() -> None:
    statistics.RESAMPLES = RESAMPLES
    DOCS.write_text(markdown(), encoding="utf-8")


if __name__ == "__main__":
    main()
