"""The run folder: config, data, summary (JSON), tokenizer.json, metrics.jsonl, checkpoints/, samples/, events/."""

import contextlib
import dataclasses
import datetime
import json
import math
import os
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TextIO

import filelock

import train.tasks  # noqa: F401  fills the table of ways of learning, from which config.json takes its types
from train.config import Data, Experiment, Model, files, override
from train.config.files import ConfigFile
from train.data import kinds
from train.loop.older import FORMAT, NEWEST, complete
from train.loop.summary import Summary
from zoo.errors import UserError, in_one_line, note
from zoo.files import lists_in_rows, parse_json, require_as_written, require_no_pattern, with_checksum, write_atomically

if TYPE_CHECKING:
    from train.loop.tensorboard import Events

RUNS = Path("runs")
SUMMARY = "summary.json"
TOKENIZER = "tokenizer.json"
SOURCE = "config_file"  # key of config.json
CONFIG = "config"  # key of config.json: the config of a run that is not named after it
CHANGES = "changes"  # key of config.json: what `--resume` changed


class Run:
    """A run on disk. While it is open (`with run:`) no other process can open it.

    writes: whether this process writes the folder; of several processes that train together only the first does.
    weights: the name of weights of this project (`zoo list --pretrained`) that this is the run of. Its folder then has
        model.safetensors in place of checkpoints, and nothing is ever written there.
    """

    def __init__(
        self,
        path: Path,
        experiment: Experiment,
        *,
        writes: bool = True,
        source: ConfigFile | None = None,
        changes: Sequence[Mapping[str, Any]] = (),
        config: str = "",
        weights: str = "",
    ) -> None:
        self.path = path
        self.weights = weights
        self.experiment = experiment
        self.source = source  # the user's own config file that it was made with
        self.changes = tuple(changes)  # {field, from, to, at_step} of each change of the config since it began
        self.config = config  # the name of its config, where that is not the run's own
        self.writes = writes
        self.checkpoints = path / "checkpoints"
        self.outputs = RUNS / "pretrained" / weights if weights else path  # what is measured of it later
        self.samples = self.outputs / "samples"
        self._lock = filelock.FileLock(path / ".lock")
        self._log: _Log | None = None  # None while the run is closed

    @property
    def name(self) -> str:
        """The name of the run: that of its config, or with other data of model and data (see `name_of`)."""
        return self.weights or self.path.parent.name

    def __enter__(self) -> "Run":
        if not self.writes:
            return self
        from train.loop.tensorboard import Events  # here, so that reading a run does not wait for it

        try:
            with _one_line_errors(self.path):
                self._lock.acquire(timeout=0)
                self._log = _Log(self._open_metrics(), Events(self.path / "events"))
        except filelock.Timeout:
            raise UserError(f"{self.path} is in use by another process") from None
        return self

    def __exit__(self, *_: object) -> None:
        if self._log is None:
            return
        log, self._log = self._log, None
        try:
            with _one_line_errors(self.path):
                log.events.close()
                log.metrics.close()
        finally:
            self._lock.release()

    def log(
        self, step: int, split: str, seconds: float, each: Mapping[str, Sequence[float | None]] = {}, **metrics: float
    ) -> None:
        """Append a line to metrics.jsonl and points to the curves of TensorBoard.

        A number that is not finite is null in metrics.jsonl. each: with several replicas the values of each one, of
        which `metrics` are the means.
        """
        if self._log is None:
            return
        line: dict[str, Any] = {"step": step, "split": split, "seconds": round(seconds, 3)}
        line |= {name: json_number(value) for name, value in metrics.items()}
        if each:
            line["replicas"] = {name: [json_number(value) for value in values] for name, values in each.items()}
        with _one_line_errors(self.path):
            self._log.metrics.write(json.dumps(line) + "\n")
            self._log.metrics.flush()
            self._log.events.scalars(step, {f"{split}/{name}": float(value) for name, value in metrics.items()})

    def rewind(self, step: int) -> float:
        """Remove the metrics after `step`, which a resumed run measures again, and return the seconds until then.

        So does the test split, which is measured at the end.
        """
        kept = [line for line in read_metrics(self.path) if line["step"] <= step and line["split"] != "test"]
        if self._log is not None:
            self._log.metrics.close()
            self.write_metrics(kept)
            self._log = self._log._replace(metrics=self._open_metrics())
        return kept[-1]["seconds"] if kept else 0.0

    def write_metrics(self, lines: Sequence[Mapping[str, Any]]) -> None:
        """Replace metrics.jsonl by `lines`."""
        write_atomically(self.path / "metrics.jsonl", "".join(json.dumps(line) + "\n" for line in lines))

    def summarize(self, summary: Summary) -> None:
        """Write summary.json, which says that the run is finished."""
        self.write_json(SUMMARY, summary.to_json(), rows=summary.groups is not None)

    def write_json(self, name: str, content: Mapping[str, Any], *, rows: bool = False) -> None:
        """Write a file of the run folder, with its checksum, if this process writes it. rows: see `lists_in_rows`."""
        if self.writes:
            text = json.dumps(with_checksum(content), indent=2)
            write_atomically(self.path / name, (lists_in_rows(text) if rows else text) + "\n")

    def change(self, experiment: Experiment, changes: Sequence[Mapping[str, Any]]) -> None:
        """Go on with another experiment, and keep what was changed. A finished run is finished no more."""
        self.experiment, self.changes = experiment, (*self.changes, *changes)
        if not self.writes:
            return
        try:
            with _one_line_errors(self.path), self._lock.acquire(timeout=0):
                # In this order: a run without a summary resumes, whichever of the two configs it has.
                (self.path / SUMMARY).unlink(missing_ok=True)
                _write_config(self)
        except filelock.Timeout:
            raise UserError(f"{self.path} is in use by another process") from None

    def _open_metrics(self) -> TextIO:
        return open(self.path / "metrics.jsonl", "a", encoding="utf-8")


class _Log(NamedTuple):
    """The files to which an open run appends."""

    metrics: TextIO
    events: "Events"


def create(
    name: str,
    experiment: Experiment,
    workdir: Path = RUNS,
    tokenizer: Any = None,
    folder: Path | None = None,
    source: ConfigFile | None = None,
    config: str = "",
) -> Run:
    """Create the folder `workdir/name/<time>`, or `folder`, with config.json and, for text, tokenizer.json in it.

    source: the user's own config file that the experiment comes from (`files.source_of`), if it is one.
    config: the name of the config, where `name` is another one (`name_of`).
    """
    time = datetime.datetime.now().strftime("%Y-%m-%d_%H%M%S")
    for attempt in range(1000):
        path = folder or workdir / name / (f"{time}_{attempt}" if attempt else time)
        require_no_pattern(path)
        try:
            path.mkdir(parents=True, exist_ok=folder is not None)
        except FileExistsError:
            if not (workdir / name).is_dir():
                raise UserError(f"cannot make {path}: {workdir / name} is a file") from None
            continue
        except OSError as error:
            raise UserError(f"cannot make {path}: {error.strerror}") from None
        if tokenizer is not None:
            write_atomically(path / TOKENIZER, tokenizer.to_str(pretty=True) + "\n")
        run = Run(path, experiment, source=source, config=config if config != name else "")
        _write_config(run)
        return run
    raise UserError(f"{workdir / name} already has 1000 runs of this second")


def name_of(config: str, experiment: Experiment) -> str:
    """Return the name of a run of `experiment`, which comes from `config`, loaded before.

    It is that of the config; with other data than the config's it would mislead, and names the model and the data:
    "lenet5_on_pets".
    """
    data = experiment.data.name
    if kinds.same_set(data, files.loaded(config).data.name):
        return Path(config).stem
    kind, _, place = data.partition(":")
    if kinds.prefix(data):
        last = Path(os.path.abspath(Path(place).expanduser())).name
        short = last if kind == "folder" else re.sub(r"(\.(npz|csv|tsv|txt|jsonl?|parquet|arrow))?(\.gz)?$", "", last)
    else:
        short = kind.replace("/", "_")
    short = re.sub(r"[^\w.-]+", "-", short).strip("-.")[-60:]
    return f"{experiment.model.name}_on_{short or 'data'}"


def _write_config(run: Run) -> None:
    content = {FORMAT: NEWEST, **dataclasses.asdict(run.experiment)}
    if run.source is not None:
        content[SOURCE] = dataclasses.asdict(run.source)
    if run.config:
        content[CONFIG] = run.config
    if run.changes:
        content[CHANGES] = list(run.changes)
    write_atomically(run.path / "config.json", json.dumps(content, indent=2) + "\n")


def load(path: str | os.PathLike[str], config: str | os.PathLike[str] | None = None) -> Run:
    """Return the run in folder `path`; for the folder of a config, its newest run.

    config: the file that brings its own model, data or task, in place of the file that the run names. Without it, the
        latter is loaded if the user has run just that content himself.

    Raises UserError where the file is needed and cannot be loaded.
    """
    folder = Path(path)
    if not folder.is_dir():
        raise UserError(f"no run folder at {folder}")
    if not (folder / "config.json").is_file():
        runs = sorted(config.parent for config in folder.glob("*/config.json"))
        if not runs:
            raise UserError(f"{folder} is not a run folder: it has no config.json")
        folder = runs[-1]
    return read(folder, "config.json", config)


def read(folder: Path, file: str, config: str | os.PathLike[str] | None) -> Run:
    """Return the run in `folder` whose config is in `file`."""
    try:
        fields = parse_json((folder / file).read_text(encoding="utf-8"))
        source = files.source_from_json(fields.pop(SOURCE, None))
        changes = fields.pop(CHANGES, [])
        if not isinstance(changes, list) or not all(isinstance(change, dict) for change in changes):
            raise UserError(f"{CHANGES} is no list of changes")
        asked = fields.pop(CONFIG, "")
        if not isinstance(asked, str):
            raise UserError(f"{CONFIG} is no name")
        complete(fields, own=source is not None)
    except (OSError, ValueError, AttributeError, TypeError) as error:  # UserError is a ValueError
        raise UserError(f"{folder / file} cannot be read: {error}") from None
    files.load_for(folder, source, config)
    try:
        experiment = override(Experiment(Model(""), Data("")), fields)
        smoke = _tuples(experiment.smoke)  # an Experiment that is read back equals the one that was written
        experiment = dataclasses.replace(experiment, model=_model(experiment.model), smoke=smoke)
    except (AttributeError, UserError) as error:
        raise UserError(f"{folder / file} cannot be read: {in_one_line(error)}") from None
    return Run(folder, experiment, source=source, changes=changes, config=asked)


def require_single(run: Run) -> None:
    """Raise UserError for a run of several replicas; it says how to extract one."""
    if run.experiment.seeds > 1 or run.experiment.sweep or run.experiment.folds:
        place = shlex.quote(str(run.path))
        raise UserError(f"{run.path} holds several replicas: take one out with zoo extract {place} NUMBER, from 0")


def require_seeds(run: Run, seed: int) -> None:
    """Raise UserError where a run of several seeds does not have this one."""
    first, last = run.experiment.seed, run.experiment.seed + run.experiment.seeds - 1
    if not first <= seed <= last:
        raise UserError(
            f"{run.path} has the seeds {first} to {last}, and not {seed}: of a run of several seeds each seed takes "
            "the one of its own number"
        )


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """Return the lines of metrics.jsonl, without one at the end that a crash left unfinished.

    Other damaged lines are left out too, and their number is printed.
    """
    file = path / "metrics.jsonl"
    try:
        content = file.read_bytes() if file.is_file() else b""
    except OSError as error:
        raise UserError(f"cannot read {file}: {error.strerror}") from None
    *whole, _ = content.split(b"\n")
    lines = [_metrics_line(text) for text in whole]
    damaged = sum(line is None for line in lines)
    if damaged:
        note(f"{file}: {damaged} of {len(lines)} lines are damaged and left out")
    return [line for line in lines if line is not None]


def _metrics_line(text: bytes) -> dict[str, Any] | None:
    """Return a line as `Run.log` writes it; None for anything else."""
    try:
        line = parse_json(text)
    except ValueError:
        return None
    if not isinstance(line, dict) or not isinstance(line.get("split"), str):
        return None
    step, seconds, each = line.get("step"), line.get("seconds"), line.get("replicas", {})
    sound = [isinstance(step, int), isinstance(seconds, int | float), isinstance(each, dict)]
    values = [value for name, value in line.items() if name not in ("split", "replicas")]
    if not all(sound) or not all(isinstance(values, list) for values in each.values()):
        return None
    return line if all(_is_number(value) for value in values) else None


def _is_number(value: Any) -> bool:
    """Return whether a value is one that `json_number` makes."""
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))


def read_summary(path: Path) -> Summary | None:
    """Return the summary of the run in folder `path`; None where it is not finished.

    Raise UserError where it is not what was written.
    """
    try:
        content = parse_json((path / SUMMARY).read_bytes())
    except (OSError, ValueError):
        return None
    if not isinstance(content, dict):
        return None
    require_as_written(content, path / SUMMARY)
    return Summary.from_json(content)


def _model(model: Model) -> Model:
    """Return `model` with tuples for the lists that JSON made of them. UserError for a field called "name"."""
    if "name" in model.fields:  # `zoo.create(name, **fields)` takes the model's name
        raise UserError("model.fields: unknown field 'name'")
    return Model(model.name, _tuples(model.fields))


def _tuples(value: Any) -> Any:
    """Return a dictionary of config fields with tuples for the lists that JSON made of them."""
    if isinstance(value, dict):
        return {name: _tuples(inner) for name, inner in value.items()}
    return tuple(value) if isinstance(value, list) else value


def json_number(value: float | None) -> float | None:
    value = math.nan if value is None else float(value)
    return value if math.isfinite(value) else None


@contextlib.contextmanager
def _one_line_errors(folder: Path) -> Iterator[None]:
    try:
        yield
    except filelock.Timeout:  # an OSError as well, but not of the disk
        raise
    except OSError as error:
        raise UserError(f"cannot write in {folder}: {error.strerror}") from None
