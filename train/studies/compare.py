"""Several runs side by side: their figures, their curves, and the fields in which their configs differ."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import zoo
from train.algorithms.optimizers import constants
from train.config import Data, Experiment, Text
from train.config.metrics import Metric, metric, score
from train.config.replicas import members
from train.config.ways import Way, way_of
from train.loop import summary
from train.loop.groups import GroupInterval
from train.loop.run import Run, read_metrics, read_summary
from train.loop.summary import Spread, Summary
from zoo.errors import UserError

Curve = list[tuple[int, float]]
"""(step, value), the mean over the seeds of the best setting."""

SPLITTING = (
    *("data.validation", "data.split_seed", "data.fold"),
    *("data.labels", "data.wrong_labels", "data.images"),
)
"""Fields of the data that choose the examples of training and validation. Test stays the same."""
ON_TEST = (
    *("data.image_size", "data.fit", "data.decode", "data.swap", "data.split_by"),
    *("data.size", "data.preset", "data.pieces"),
)
"""Fields that change what is measured on test as well, besides those of the way of learning (`Way.judged_by`)."""
OF_TOKENS = ("data.tokenizer", "data.vocab", "data.lower", "data.length")
"""Fields of the data that change what a token is, or how many are seen at once."""
OF_LOSS = ("task.loss", "task.temperature", "task.penalty")
"""Fields of the task that change the loss, of training and of evaluation."""
OF_TRAINING = ("task.label_smoothing", "task.class_weights")
"""Fields of the task that change the loss of training only."""


@dataclasses.dataclass(frozen=True)
class Entry:
    """One run in a comparison."""

    run: Run
    summary: Summary | None  # None where it is not finished
    curves: dict[tuple[str, str], Curve]  # (split, metric) -> its curve
    best: tuple[int, float] | None  # (step, value) of the best validation; None where nothing is held out

    @property
    def label(self) -> str:
        """Its config and its time."""
        return f"{self.run.path.parent.name}/{self.run.path.name}"

    def on_test(self, name: str) -> tuple[float | None, Spread | None]:
        """Return (the value on test, its spread over seeds)."""
        if self.summary is None:
            return None, None
        return self.summary.test.get(name), self.summary.best_setting.test_spread.get(name)

    def interval(self, name: str) -> GroupInterval | None:
        """The interval of the accuracy on test over groups of its examples; None for another metric, and without."""
        return self.summary.interval() if self.summary is not None and name == "accuracy" else None


@dataclasses.dataclass(frozen=True)
class Comparison:
    """Runs of one way of learning on one data set."""

    way: Way
    data: str
    entries: tuple[Entry, ...]
    differences: dict[str, list[Any]]  # field of the config -> its value in each run; "–" where it has none
    remarks: tuple[str, ...]  # what is not comparable all the same

    @property
    def metric(self) -> Metric:
        """The metric that chooses the best checkpoint."""
        return metric(self.way.best)

    def to_json(self) -> dict[str, Any]:
        names = list(dict.fromkeys((self.way.best, self.way.compared_by)))
        return {
            "task": self.way.name,
            "data": self.data,
            "runs": [_to_json(entry, names) for entry in self.entries],
            "differences": self.differences,
            "remarks": list(self.remarks),
        }


def compare(runs: Sequence[Run]) -> Comparison:
    """Compare runs. Raises UserError, one line, where their figures mean different things."""
    if len(runs) < 2:
        raise UserError("zoo compare needs at least two runs: zoo compare RUN RUN …")
    first = runs[0]
    for number, run in enumerate(runs):
        if any(run.path.resolve() == other.path.resolve() for other in runs[:number]):
            raise UserError(f"{run.path} is given twice")
        _require_alike(first, run)
    entries = tuple(map(_entry, runs))
    fields = differences([run.experiment for run in runs])
    way = way_of(first.experiment.task)
    return Comparison(way, first.experiment.data.name, entries, fields, tuple(_remarks(entries, fields)))


def _require_alike(first: Run, run: Run) -> None:
    one, two = first.experiment, run.experiment
    if one.task.name != two.task.name:
        raise UserError(
            f"{run.path} cannot be compared with {first.path}: its task is {two.task.name}, and that of the other "
            f"{one.task.name}, so their metrics differ"
        )
    if one.data.name != two.data.name or type(one.data) is not type(two.data):
        raise UserError(
            f"{run.path} cannot be compared with {first.path}: its data are {two.data.name}, and those of the other "
            f"{one.data.name}"
        )


def _entry(run: Run) -> Entry:
    found = read_summary(run.path)
    curves = _curves(run, found)
    way = way_of(run.experiment.task)
    validation = curves.get(("validation", way.best))
    best = max(validation, key=lambda point: score(way.best, point[1])) if validation else None
    return Entry(run, found, curves, best)


def _curves(run: Run, found: Summary | None) -> dict[tuple[str, str], Curve]:
    """Return the curves of metrics.jsonl. The last line of a step counts; values that are not finite are left out."""
    replicas = members(run.experiment)
    best = None if found is None else found.best_setting.setting
    shown = [number for number, replica in enumerate(replicas) if best is None or replica.setting == best]
    points: dict[tuple[str, str], dict[int, float]] = {}
    for line in read_metrics(run.path):
        each = line.get("replicas", {})
        for name, value in line.items():
            if name in ("step", "split", "seconds", "replicas"):
                continue
            own = each.get(name, [])
            if len(own) == len(replicas):
                means = summary.mean([{name: float("nan") if own[i] is None else own[i]} for i in shown])
                value = means[name] if means[name] == means[name] else None
            if value is not None:
                points.setdefault((line["split"], name), {})[line["step"]] = float(value)
    return {key: sorted(own.items()) for key, own in points.items()}


def differences(experiments: Sequence[Experiment]) -> dict[str, list[Any]]:
    """Return the fields in which configs differ, with the value in each; "–" where a config has no such field.

    A field that is None and stands for a value on a card counts as that value.
    """
    each = [_flat(experiment) for experiment in experiments]
    names = sorted(
        dict.fromkeys(name for facts in each for name in facts), key=lambda name: not name.startswith("model")
    )
    columns = {name: [facts.get(name, "–") for facts in each] for name in names}
    return {name: values for name, values in columns.items() if any(value != values[0] for value in values)}


def _flat(experiment: Experiment) -> dict[str, Any]:
    """Flatten an Experiment to {"optim.lr": 0.1, …}, as JSON has its values."""
    facts = _plain(experiment)
    facts.pop("smoke")
    facts["optim"] |= constants(experiment.optim)
    model = facts.pop("model")
    config = zoo.card(experiment.model.name).config
    usual = _plain(config) if dataclasses.is_dataclass(config) else {}
    usual.pop("classes", None)  # from the data
    found = {"model": model["name"]} | {f"model.{name}": value for name, value in (usual | model["fields"]).items()}
    for name, value in facts.items():
        found |= {f"{name}.{inner}": own for inner, own in value.items()} if isinstance(value, dict) else {name: value}
    return found


def _plain(value: Any) -> Any:
    """Return a value as JSON has it: a Config may hold a mapping that it froze."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(name): _plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def _remarks(entries: Sequence[Entry], fields: Mapping[str, Any]) -> list[str]:
    """Say which figures cannot be compared although task and data are the same."""
    experiment = entries[0].run.experiment
    data, way = experiment.data, way_of(experiment.task)

    def differ(names: Sequence[str]) -> str:
        return ", ".join(name for name in names if name in fields)

    remarks = []
    if given := differ(SPLITTING) if isinstance(data, Data | Text) else "":
        remarks.append(f"the runs train or validate on different examples ({given}): compare them on test")
    elif "folds" in fields:
        remarks.append("the runs train and validate on different examples (folds): compare them on test")
    if given := differ(ON_TEST):
        remarks.append(f"the runs are measured on other examples or inputs ({given})")
    if given := differ([name for name in way.judged_by if name not in ON_TEST]):
        remarks.append(f"the runs are judged in other ways ({given})")
    if isinstance(data, Text) and (given := differ(OF_TOKENS)):
        remarks.append(f"losses and perplexities are for each token, and the tokens differ ({given})")
    if given := differ(OF_LOSS):
        remarks.append(f"losses cannot be compared ({given})")
    if given := differ(OF_TRAINING):
        remarks.append(f"losses of training cannot be compared ({given}); those of validation and test can")
    devices = {entry.summary.device for entry in entries if entry.summary}
    if len(devices) > 1:
        remarks.append("seconds cannot be compared: the devices differ")
    open_runs = [entry.label for entry in entries if entry.summary is None]
    if open_runs:
        remarks.append(f"not finished, so without test: {', '.join(open_runs)}")
    return remarks


def _to_json(entry: Entry, names: Sequence[str]) -> dict[str, Any]:
    own = entry.summary
    content: dict[str, Any] = {
        "run": str(entry.run.path),
        "model": entry.run.experiment.model.name,
        "finished": own is not None,
        "best_validation": None if entry.best is None else {"step": entry.best[0], names[0]: entry.best[1]},
    }
    if own is not None:
        spread = {name: each._asdict() for name, each in own.best_setting.test_spread.items()}
        content |= {"params": own.params, "validation": own.validation, "test": own.test, "test_spread": spread}
        if interval := entry.interval("accuracy"):
            content["test_interval"] = {"accuracy": interval._asdict()}
        content |= {"setting": own.best_setting.setting, "seeds": list(own.best_setting.seeds), "steps": own.steps}
        content |= {"seconds": own.seconds, "device": own.device, "date": own.date}
    content["curves"] = {f"{split} {name}": points for (split, name), points in entry.curves.items()}
    return content
