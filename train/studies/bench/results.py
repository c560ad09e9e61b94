"""Keep the rows of `zoo bench --peers`, in a file for each device, and tell docs/bench.md and the README of them."""

import contextlib
import dataclasses
import datetime
import importlib.metadata
import itertools
import json
import platform
import re
import statistics
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import filelock
import jax

import zoo
from train.core import machine
from train.studies.bench import FAMILIES
from train.studies.bench.steps import Row, Trial, half_spread
from zoo.errors import UserError
from zoo.files import parse_json, write_atomically, writing

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / "results" / "bench"
WAYS = ("eager", "channels_last", "compile")
MOST_SPREAD = 0.25
"""A row is not kept where the ratios of its rounds spread over more than this share of their median on either side.

Those of the rows that are kept spread over 7 to 19 %; where other work ran, over half and more.
"""


@dataclasses.dataclass(frozen=True)
class Record:
    """What is kept of a row: medians over its rounds."""

    model: str
    batch: int
    length: int | None  # tokens per text
    ms: float  # milliseconds per step, ours
    peers: dict[str, float]  # way of PyTorch -> milliseconds per step
    failures: dict[str, str]  # way of PyTorch -> why it did not run
    best_peer: str
    ratio: float  # best peer's time over ours, in the same round
    ratio_spread: float  # half the distance between the quartiles of the rounds' ratios
    compile_seconds: float  # ours
    peer_compile_seconds: float | None  # of torch.compile
    rounds: int
    device: str
    date: str
    jax: str
    torch: str

    @property
    def key(self) -> tuple[str, str, int, int | None]:
        """What a new measurement replaces."""
        return self.device, self.model, self.batch, self.length


def device() -> str:
    """Describe the hardware, on a CPU with the processor's name: "cpu, 2 cores, Intel(R) Xeon(R) Processor"."""
    described = machine.describe()
    return f"{described}, {_processor()}" if jax.default_backend() == "cpu" else described


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def record_of(row: Row, device: str, torch: str) -> Record | None:
    """Return what is kept of a row; None for one without a peer."""
    best, ratio = row.best_peer, row.over_peer
    if best is None or ratio is None:
        return None
    return Record(
        model=row.name,
        batch=row.batch,
        length=row.length,
        ms=_rounded(statistics.median(row.loop_ms)),
        peers={way: _rounded(statistics.median(times)) for way, times in row.peer_ms.items()},
        failures=row.peer_failures,
        best_peer=best,
        ratio=_rounded(ratio),
        ratio_spread=_rounded(half_spread(row.peer_ratios)),
        compile_seconds=_rounded(row.compile_seconds),
        peer_compile_seconds=None if row.peer_compile_seconds is None else _rounded(row.peer_compile_seconds),
        rounds=len(row.loop_ms),
        device=device,
        date=datetime.date.today().isoformat(),
        jax=jax.__version__,
        torch=torch,
    )


def _rounded(value: float) -> float:
    """Keep four digits: more of them are noise."""
    return float(f"{value:.4g}")


def read(path: Path) -> list[Record]:
    """Return the rows in a file, [] if there is none. Raises UserError where the file has something else."""
    if not path.is_file():
        return []
    try:
        return [_parse(row) for row in parse_json(path.read_text(encoding="utf-8"))["rows"]]
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from None
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path} has no rows of zoo bench: {error}") from None


def _parse(row: Any) -> Record:
    record = Record(**row)
    numbers = (record.ms, record.ratio, *record.peers.values())
    if not all(isinstance(number, int | float) and number > 0 for number in numbers):
        raise ValueError(f"{record.model}: a time that is not above 0")
    if record.best_peer not in record.peers:
        raise ValueError(f"{record.model}: the best peer {record.best_peer!r} was not measured")
    return record


def read_all(folder: Path = FOLDER) -> list[Record]:
    """Return the rows of all devices."""
    return [record for path in sorted(folder.glob("*.json")) for record in read(path)]


@dataclasses.dataclass(frozen=True)
class Keeper:
    """Keeps the rows of this device in a folder."""

    folder: Path
    device: str
    torch: str  # version

    @classmethod
    def of(cls, folder: Path) -> "Keeper":
        """Return the keeper of this device.

        Raises UserError where JAX does not run on the CPU, as PyTorch does here, where the device's file has something
        else, and where the folder cannot be written.
        """
        if jax.default_backend() != "cpu":
            raise UserError("zoo bench --peers compares on the CPU: JAX_PLATFORMS=cpu zoo bench --peers")
        keeper = cls(folder, device(), importlib.metadata.version("torch").partition("+")[0])
        read(keeper.path)
        with _locked(folder):
            pass
        return keeper

    @property
    def path(self) -> Path:
        """The file of the device's rows."""
        return self.folder / (re.sub(r"[^a-z0-9]+", "_", self.device.lower()).strip("_") + ".json")

    def has(self, trial: Trial) -> bool:
        """Whether a row of this trial, of the same versions, is kept."""
        sought = (self.device, trial.card.name, trial.batch, trial.length), (jax.__version__, self.torch)
        return sought in [(record.key, (record.jax, record.torch)) for record in read(self.path)]

    def keep(self, row: Row) -> bool:
        """Write a row in the place of that of the same model, batch and length, and return whether it was written.

        A row without a peer is not, and neither is one whose rounds differ too much: something else was running.
        """
        record = record_of(row, self.device, self.torch)
        if record is None or record.ratio_spread > MOST_SPREAD * record.ratio:
            return False
        with _locked(self.folder):
            rows = {kept.key: kept for kept in read(self.path)} | {record.key: record}
            write_atomically(self.path, as_json(sorted(rows.values(), key=_order)))
        return True


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold the lock of a folder, which is made. Raises UserError where the folder cannot be written."""
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        lock = filelock.FileLock(folder / ".lock")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def as_json(records: Iterable[Record]) -> str:
    """Return the content of a file: a line for each row, so that diffs are readable."""
    rows = [json.dumps(dataclasses.asdict(record), ensure_ascii=False, allow_nan=False) for record in records]
    return '{"rows": [\n' + ",\n".join(rows) + "\n]}\n"


def _order(record: Record) -> tuple:
    """Sort rows as the models stand in FAMILIES, other models behind them by name."""
    place = FAMILIES.index(record.model) if record.model in FAMILIES else len(FAMILIES)
    return record.device, place, record.model, record.batch, record.length or 0


def markdown(records: Sequence[Record]) -> str:
    """Return the tables of docs/bench.md, one for each device."""
    if not records:
        return "No rows are recorded yet.\n"
    tables = []
    for device, rows in _by_device(records):
        lines = [
            f"## {device}",
            "",
            "| model | batch | ours, ms | "
            + " | ".join(f"{way}, ms" for way in WAYS)
            + " | best peer | ratio | measured |",
            "| --- " * (len(WAYS) + 6) + "|",
        ]
        lines += ["| " + " | ".join(_cells(record)) + " |" for record in rows]
        tables.append("\n".join([*lines, "", *_reasons(rows)]))
    return "\n".join(tables)


def _by_device(records: Sequence[Record]) -> Iterator[tuple[str, list[Record]]]:
    ordered = sorted(records, key=_order)
    for device, rows in itertools.groupby(ordered, key=lambda record: record.device):
        yield device, list(rows)


def _cells(record: Record) -> list[str]:
    size = f"{record.batch} × {record.length}" if record.length else str(record.batch)
    ways = [f"{record.peers[way]:,g}" if way in record.peers else "–" for way in WAYS]
    measured = f"{record.date}, jax {record.jax}, torch {record.torch}"
    return [f"`{record.model}`", size, f"{record.ms:,g}", *ways, record.best_peer, _with_spread(record), measured]


def _with_spread(record: Record) -> str:
    return f"{record.ratio:.2f} ± {record.ratio_spread:.2f}"


def _reasons(records: Sequence[Record]) -> list[str]:
    """Say which way of PyTorch did not run, and why, once for each reason."""
    reasons: dict[str, list[str]] = {}
    for record in records:
        for way, reason in record.failures.items():
            reasons.setdefault(f"{way} did not run: {reason}", []).append(f"`{record.model}`")
    lines = [f"{', '.join(dict.fromkeys(models))}: {reason}." for reason, models in reasons.items()]
    return [*lines, ""] if lines else []


def sentence(records: Sequence[Record]) -> str:
    """Return what the README says: "" without rows, else a sentence for each device."""
    return "".join(f"{_says(device, rows)}\n" for device, rows in _by_device(records))


def _says(device: str, rows: Sequence[Record]) -> str:
    slowest: dict[str, float] = {}  # family -> its smallest ratio
    for row in rows:
        family = zoo.CARDS[row.model].family if row.model in zoo.CARDS else row.model
        slowest[family] = min(row.ratio, slowest.get(family, row.ratio))
    level = sum(ratio >= 1 for ratio in slowest.values())
    median = statistics.median(row.ratio for row in rows)
    batches = " and ".join(str(batch) for batch in sorted({row.batch for row in rows}))
    return (
        f"Beside the fastest of PyTorch's eager mode, channels_last and torch.compile, a training step is at least as "
        f"fast in {level} of {len(slowest)} families at every batch measured ({batches}); the median ratio is "
        f"{median:.2f} (PyTorch's time over ours; {device}; [every row](docs/bench.md))."
    )
