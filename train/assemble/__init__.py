"""Joins the parts of an Experiment: checks it, loads its data, builds model, optimizer and task."""

from pathlib import Path

from train.assemble.parts import Parts, check, starting_run
from train.config import Data, Experiment, Text, World

__all__ = ["Parts", "assemble", "check"]


def assemble(experiment: Experiment, folder: Path | None = None) -> Parts:
    """Check `experiment`, load its data, build its parts. Compiles nothing, allocates no parameters.

    `folder`: of a run that is there already; its tokenizer is taken, not learned anew.
    """
    check(experiment)
    if folder is None:
        starting_run(experiment)  # says so at once where there is none
    match experiment.data, experiment.task.name:  # imported here, as each needs libraries that the others do not
        case Text(), _:
            from train.assemble import text

            return text.assemble(experiment, folder)
        case Data(), "classify" if experiment.folds:
            from train.assemble import folds

            return folds.assemble(experiment)
        case Data(), "classify":
            from train.assemble import images

            return images.assemble(experiment)
        case Data(), "contrast":
            from train.assemble import contrast

            return contrast.assemble(experiment)
        case Data(), "adversarial":
            from train.assemble import adversarial

            return adversarial.assemble(experiment)
        case World(), _:
            from train.assemble import agent

            return agent.assemble(experiment)
