"""Checkpoints by Orbax: atomic, written while training goes on; the last and the best are kept."""

import logging
from pathlib import Path
from typing import Any, Literal

import orbax.checkpoint as ocp

from train.core import State
from zoo.errors import UserError


class Checkpoints:
    """The checkpoints of one run. `score` says which is best: higher is better."""

    def __init__(self, folder: Path, *, read_only: bool = False) -> None:
        logging.getLogger("absl").setLevel(logging.ERROR)  # orbax reports each of its steps as a warning
        self.folder = folder
        keep = ocp.checkpoint_managers
        self._manager = ocp.CheckpointManager(
            folder.absolute(),
            item_handlers={"state": ocp.StandardCheckpointHandler(), "extra": ocp.JsonCheckpointHandler()},
            options=ocp.CheckpointManagerOptions(
                preservation_policy=keep.AnyPreservationPolicy(
                    [keep.LatestN(1), keep.BestN(get_metric_fn=lambda m: m["score"], n=1)]
                ),
                read_only=read_only,
                create=not read_only,
            ),
        )

    def save(self, state: State, step: int, score: float, reader: Any = None) -> None:
        """Begin to write; returns once the arrays are copied. `reader` is the data iterator's state (JSON)."""
        extra = {"score": score, "reader": reader}
        self._guard(
            lambda: self._manager.save(
                step,
                args=ocp.args.Composite(state=ocp.args.StandardSave(state), extra=ocp.args.JsonSave(extra)),
                metrics={"score": score},
            ),
            f"checkpoint of step {step} was not written",
        )

    def wait(self) -> None:
        """Until the last `save` is on disk."""
        self._guard(self._manager.wait_until_finished, "the last checkpoint was not written")

    def steps(self) -> list[int]:
        return sorted(self._manager.all_steps())

    def restore(self, abstract: State, which: Literal["last", "best"] = "last") -> tuple[State, dict[str, Any]]:
        """(state, {"score", "reader"}) of the last or best checkpoint, shaped and placed like `abstract`."""
        steps = self.steps()
        if not steps:
            raise UserError(f"{self.folder} holds no finished checkpoint: start the run again")
        read_extra = ocp.args.Composite(extra=ocp.args.JsonRestore())
        extras = {step: self._manager.restore(step, args=read_extra).extra for step in steps}
        step = steps[-1] if which == "last" else max(steps, key=lambda step: extras[step]["score"])
        try:
            self._compare(abstract, step)
            args = ocp.args.Composite(state=ocp.args.StandardRestore(abstract))
            state = self._manager.restore(step, args=args).state
        except UserError:
            raise
        except Exception as error:  # whatever the file system or a damaged file gives
            reason = str(error).splitlines()[0][:200]
            raise UserError(f"checkpoint {self.folder / str(step)} cannot be read: {reason}") from None
        return state, extras[step]

    def _compare(self, abstract: State, step: int) -> None:
        """Raise UserError where the saved arrays are not those of `abstract`."""
        saved, wanted = _shapes(self._manager.item_metadata(step).state), _shapes(abstract)
        for name in sorted(saved.keys() | wanted.keys()):
            if saved.get(name) != wanted.get(name):
                there, here = saved.get(name, "not there"), wanted.get(name, "not there")
                raise UserError(
                    f"checkpoint {self.folder / str(step)} is of another model or config: "
                    f"{name} is {there} in the checkpoint, {here} in the config"
                )

    def close(self) -> None:
        self._manager.close()

    def _guard(self, write: Any, what: str) -> None:
        try:
            write()
        except Exception as error:  # whatever the file system did: full, read-only, gone
            kept = self.steps()
            older = f"; step {kept[-1]} is kept" if kept else ""
            raise UserError(f"{what} ({str(error).splitlines()[0][:160]}){older}") from None


def _shapes(tree: Any) -> dict[str, tuple[int, ...]]:
    flat = ocp.tree.to_flat_dict(tree, sep="/")
    return {name: tuple(leaf.shape) for name, leaf in flat.items() if hasattr(leaf, "shape")}
