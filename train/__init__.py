"""Training for the models of `zoo`. `train.run(experiment)` does in Python what `zoo train` does in a shell."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from train.config import Experiment
    from train.loop.summary import Summary

__all__ = ["run"]


def run(experiment: "Experiment", *, name: str = "run", workdir: str | Path = "runs", quiet: bool = False) -> "Summary":
    """Train a run of `experiment` in the new folder WORKDIR/NAME/<time>, and return its summary.

    The summary has `.test` and `.validation` (metric -> value), `.replicas`, `.seconds` and more; it is also in the
    folder, as summary.json. quiet: print nothing.

    Raises zoo.UserError for bad input, before anything is compiled, and train.core.signals.Stopped where the run ends
    early, by Ctrl-C or by a loss that is not finite.
    """
    from train.core import machine
    from train.core.console import Console
    from train.loop.fit import fit
    from train.loop.restore import assemble_run
    from train.loop.run import create

    machine.prepare_backend()
    setup = assemble_run(experiment)
    folder = create(name, experiment, Path(workdir), setup.tokenizer)
    console = Console(quiet=quiet)
    console.print(f"{name}: run folder {folder.path}", soft_wrap=True, highlight=False)
    for remark in setup.remarks:
        console.print(f"{name}: {remark}", soft_wrap=True, highlight=False)
    return fit(folder, setup, console, lines="text")
