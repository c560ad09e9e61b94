"""`zoo extract RUN NUMBER`: one replica of a run as an ordinary run, which can be resumed, measured and used."""

import dataclasses
import math
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

import train.data
import train.loop.run
from train.commands.console import say
from train.commands.options import OwnParts
from train.config import Data
from train.config.parse import parse
from train.config.replicas import Member, alone, members
from train.loop.run import Run
from train.loop.summary import Results, setting_results
from zoo.errors import UserError

if TYPE_CHECKING:
    from train.tasks.setup import Setup


@dataclasses.dataclass(frozen=True)
class ExtractOptions(OwnParts):
    """Take one replica out of a run of several: a new run folder, as if it had been trained alone."""

    run: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="RUN")]
    """Folder of the run of several replicas."""
    number: Annotated[tyro.conf.Positional[int], tyro.conf.arg(metavar="NUMBER")]
    """Which of them, from 0: all seeds under the first setting of the sweep, then under the next; all folds of
    each."""
    workdir: Path | None = None
    """The new run is WORKDIR/<config>/<time>; by default beside the run that it comes from."""


def extract_command(args: Sequence[str]) -> None:
    """`zoo extract RUN NUMBER`."""
    options = parse(ExtractOptions, args, prog="zoo extract")
    run = train.loop.run.load(options.run, options.config)
    there = members(run.experiment)
    if len(there) == 1:
        raise UserError(f"{run.path} holds one replica only: it is an ordinary run already")
    if not 0 <= options.number < len(there):
        raise UserError(f"{run.path} holds the replicas 0 to {len(there) - 1}, not {options.number}")
    from train.core import machine

    machine.prepare_backend()
    made = extract(run, options.number, options.workdir or run.path.parent.parent)
    say(f"{_said(there[options.number])}: {made.path}")


def _said(member: Member) -> str:
    setting = "".join(f", {field}={value:g}" for field, value in member.setting.items())
    fold = "" if member.fold is None else f", fold {member.fold}"
    return f"seed {member.seed}{setting}{fold}"


def extract(run: Run, number: int, workdir: Path) -> Run:
    """A new run in `workdir` with what replica `number` of `run` came to: its last checkpoint, metrics and summary."""
    summary = train.loop.run.read_summary(run.path)
    if run.experiment.patience and not summary:
        raise UserError(f"{run.path} stops its replicas early and is not finished: zoo train --resume {run.path}")
    from train.loop import known_data
    from train.loop.checkpoints import Checkpoints
    from train.loop.restore import restore_replicas

    parts, team, state = restore_replicas(run)
    member = team.members[number]
    experiment = alone(run.experiment, member)
    new = train.loop.run.create(run.name, experiment, workdir, parts.tokenizer, source=run.source, config=run.config)
    dataset = parts.dataset
    if isinstance(experiment.data, Data) and member.fold is not None:  # its training split and moments are its own
        dataset = train.data.load(experiment.data)
    known_data.keep(new, dataset)
    own = summary.replicas[number] if summary else None
    step = (own and own.stopped_at_step) or int(state.step.max())
    lines = [_of_one(line, number) for line in train.loop.run.read_metrics(run.path)]
    lines = [
        line | {"step": min(line["step"], step)} for line in lines if line["step"] <= step or line["split"] == "test"
    ]
    new.write_metrics(lines)
    with closing(Checkpoints(new.checkpoints)) as checkpoints:
        evaluated = step % experiment.eval_every_steps == 0 or step == experiment.steps or own is not None
        at_step = {line["split"]: line for line in lines if line["step"] == step}
        score = _score(parts, own.validation if own else {}, at_step) if evaluated else None
        checkpoints.save(team.each(state)[number], step, score, tokenizer=parts.fingerprint)
    if summary and own:
        alone_result = dataclasses.replace(own, setting={}, fold=None)
        new.summarize(
            dataclasses.replace(
                summary,
                steps=step,
                examples=step * experiment.data.batch,
                seed=member.seed,
                validation=own.validation,
                test=own.test,
                settings=setting_results([alone_result], parts.score),
                replicas=(alone_result,),
                groups=summary.groups and summary.groups.alone(number),
                validation_groups=None,  # validation of one replica has no interval
            )
        )
    return new


def _score(setup: "Setup", validation: Results, lines: dict[str, dict[str, Any]]) -> float:
    """Return the score of an evaluated checkpoint, as training would have given it to this replica alone.

    validation: from the summary; {} where there is none. lines: the last line of each split at the checkpoint's step.
    """
    results = validation or lines.get("validation")
    if results:
        return math.nan if results[setup.best] is None else setup.score(results)
    if "loss" not in (trained := lines.get("train", {})):
        return trained.get("step", 0)
    return math.nan if trained["loss"] is None else -trained["loss"]


def _of_one(line: dict[str, Any], number: int) -> dict[str, Any]:
    """A line of metrics.jsonl with one replica's values for the means over all. UserError where it has none."""
    each = line.pop("replicas", {})
    if not each or any(len(values) <= number for values in each.values()):
        raise UserError(f"metrics.jsonl has no values of replica {number} for step {line['step']}")
    return line | {name: values[number] for name, values in each.items()}
