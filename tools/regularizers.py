"""What each regularizer buys a net that overfits: the table of configs/mnist_mlp_overfit.py.

    python tools/regularizers.py --choose     the strength of each, on validation alone, by seeds that the table has not
    python tools/regularizers.py              none, each one alone, all together, and the ensemble of the first

Runs that are finished are not trained again. Every replica is measured on the training images as on the others: out of
training, that is without dropout and on the images as they are.
"""

import dataclasses
import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tyro
from rich.console import Console

import train.loop.run
from train.config import Experiment, files, override
from train.core import machine
from train.loop import summary as summary_module
from train.loop.fit import fit
from train.loop.restore import opened, restore_replicas
from train.loop.run import RUNS, Run
from train.studies import ensemble

NAME = "mnist_mlp_overfit"
CHOICE_SEED = 100
STRENGTHS: dict[str, list[tuple[str, Any]]] = {  # name -> (field, value)
    "none": [("patience", None)],
    "dropout": [("model.fields.dropout", rate) for rate in (0.2, 0.5, 0.7)],
    "weight decay": [("optim.weight_decay", decay) for decay in (0.1, 0.5, 2.0)],
    "early stopping": [("patience", evaluations) for evaluations in (5, 10)],
    "label smoothing": [("task.label_smoothing", share) for share in (0.1, 0.3)],
    "mixup": [("data.augment", (f"mixup_{alpha}",)) for alpha in (0.2, 1)],
    "cutmix": [("data.augment", (f"cutmix_{alpha}",)) for alpha in (0.2, 1)],
    "augmentation": [("data.augment", (f"shift_{pixels}",)) for pixels in (1, 2, 3)],
}


@dataclasses.dataclass(frozen=True)
class Options:
    """Train the arms of the regularizer table and print it."""

    choose: bool = False
    """Try the strengths on validation; print the best of each."""
    seeds: int = 5
    """Seeds of each arm, from 0; with `choose` from 100."""
    steps: int | None = None
    """Steps of each run; None: as the config has them."""
    workdir: Path = RUNS
    """Runs are kept in WORKDIR/regularizers/<arm>."""


def main() -> None:
    """Either half of the work."""
    options = tyro.cli(Options)
    machine.prepare_backend()
    (choose if options.choose else table)(options)


def loaded() -> tuple[Experiment, dict[str, Mapping[str, Any]]]:
    """CONFIG and REGULARIZED of the config file."""
    spec = importlib.util.spec_from_file_location(NAME, files.FOLDER / f"{NAME}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.CONFIG, module.REGULARIZED


def together(arms: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """All overrides at once; of augmentations one after the other."""
    whole: dict[str, Any] = {}
    for change in arms.values():
        whole = _joined(whole, change)
    return whole


def _joined(one: Mapping[str, Any], two: Mapping[str, Any]) -> dict[str, Any]:
    joined = dict(one)
    for name, value in two.items():
        if isinstance(value, Mapping):
            joined[name] = _joined(joined.get(name, {}), value)
        else:
            joined[name] = joined.get(name, ()) + value if name == "augment" else value
    return joined


def trained(arm: str, experiment: Experiment, workdir: Path) -> Run:
    """The finished run of an arm, trained now if it was not before."""
    folder = workdir / "regularizers" / arm.replace(" ", "_")
    run, setup, resume = opened(folder.name, experiment, folder.parent)
    if setup is not None:
        fit(run, setup, Console(), resume=resume)
    return run


def choose(options: Options) -> None:
    """Print validation accuracy at each strength, mean over seeds."""
    config = loaded()[0]
    base = dataclasses.replace(config, seed=CHOICE_SEED, seeds=options.seeds, steps=options.steps or config.steps)
    for arm, tries in STRENGTHS.items():
        for field, value in tries:
            run = trained(f"{arm} choice", changed(base, field, value), options.workdir)
            accuracy = train.loop.run.read_summary(run.path).validation["accuracy"]
            print(f"{arm}: {field}={value}: validation accuracy {100 * accuracy:.2f} %", flush=True)


def changed(experiment: Experiment, field: str, value: Any) -> Experiment:
    """`experiment` with another value in one field; of the model's own, model.fields.NAME."""
    change = value
    for part in reversed(field.split(".")):
        change = {part: change}
    if field.startswith("model.fields."):  # beside those that are there
        change = {"model": {"fields": experiment.model.fields | change["model"]["fields"]}}
    return override(experiment, change)


def table(options: Options) -> None:
    """Print the table, in Markdown."""
    config, arms = loaded()
    base = dataclasses.replace(config, seeds=options.seeds, steps=options.steps or config.steps)
    print("| regularizer | test accuracy | training accuracy | gap | test loss | stopped at | seconds |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for arm, change in {"none": {}, **arms, "all together": together(arms)}.items():
        run = trained(arm, override(base, change), options.workdir)
        print(_row(arm, run), flush=True)
        if arm == "none":
            print(_ensemble_row(run), flush=True)


def _row(arm: str, run: Run) -> str:
    setup, replicas, state = restore_replicas(run)
    on_train = [setup.evaluator("train", None)(one)["accuracy"] for one in replicas.each(state)]
    summary = train.loop.run.read_summary(run.path)
    on_test, losses = ([replica.test[name] for replica in summary.replicas] for name in ("accuracy", "loss"))
    gaps = [a - b for a, b in zip(on_train, on_test, strict=True)]
    stops = [replica.stopped_at_step for replica in summary.replicas if replica.stopped_at_step is not None]
    cells = [
        *(_percent(values) for values in (on_test, on_train, gaps)),
        f"{np.mean(losses):.3f} ± {_spread(losses):.3f}",
    ]
    ends = sorted({*stops, *([] if stops else [summary.steps])})
    stopped = " to ".join(f"{step:,}" for step in (ends[0], *ends[1:][-1:]))
    return f"| {arm} | {' | '.join(cells)} | {stopped} | {summary.seconds:.0f} |"


def _ensemble_row(run: Run) -> str:
    members = ensemble.members([run])
    found = ensemble.judge(members)["test"]["ensemble"]
    labels = members[0].setup.dataset.train.arrays()["y"]
    on_train = ensemble.average([ensemble.log_probabilities(member, "train")[0] for member in members])
    accuracy = float((on_train.argmax(-1) == labels).mean())
    cells = [f"{100 * value:.2f} %" for value in (found["accuracy"], accuracy, accuracy - found["accuracy"])]
    return f"| ensemble of these {len(members)} | {' | '.join(cells)} | {found['loss']:.3f} | | |"


def _percent(values: list[float]) -> str:
    return f"{100 * np.mean(values):.2f} ± {100 * _spread(values):.2f} %"


def _spread(values: list[float]) -> float:
    found = summary_module.spread([{"value": value} for value in values])
    return found["value"].deviation if found else float("nan")


if __name__ == "__main__":
    main()
