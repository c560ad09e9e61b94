"""Checkpoints by Orbax: atomic, written while training goes on; the last and the best are kept."""

import contextlib
import logging
import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import cache, reduce
from pathlib import Path
from typing import Any, Literal

import jax
import jax.numpy as jnp
import orbax.checkpoint as ocp
from jax import Array

from train.core import State
from zoo.errors import UserError


class Checkpoints:
    """The checkpoints of one run. `score` says which is best: higher is better."""

    def __init__(self, folder: Path, *, read_only: bool = False) -> None:
        _say_things_once()
        self.folder = folder
        self._last: int | None = None  # the step of the last `save`
        keep, score = ocp.checkpoint_managers, lambda metrics: metrics["score"]
        # Without a score there is only what a kill left of a checkpoint that was just being removed.
        best = keep.BestN(get_metric_fn=score, n=1, keep_checkpoints_without_metrics=False)
        with _writing(f"{folder} cannot be opened"):
            self._manager = ocp.CheckpointManager(
                folder.absolute(),
                item_handlers={
                    "state": ocp.StandardCheckpointHandler(),
                    "kept": ocp.StandardCheckpointHandler(),
                    "extra": ocp.JsonCheckpointHandler(),
                },
                options=ocp.CheckpointManagerOptions(
                    preservation_policy=keep.AnyPreservationPolicy([keep.LatestN(1), best]),
                    best_fn=score,  # without it the scores are not written, and a resumed run removes nothing
                    read_only=read_only,
                    create=not read_only,
                ),
            )

    def save(
        self,
        state: State,
        step: int,
        score: float,
        reader: Any = None,
        tokenizer: str | None = None,
        stopping: Sequence[Mapping[str, Any]] = (),
        kept: State | None = None,
    ) -> None:
        """Begin to write; returns once the arrays are copied.

        reader: the data iterator's state (JSON); tokenizer: the fingerprint of the one whose tokens the model knows;
        stopping, kept: how far early stopping has come (JSON), and the best State that it keeps beside this one.

        Raises UserError where the last `save` did not reach the disk, or this one cannot begin.
        """
        self.wait()
        self._last = step
        extra = {"score": score, "reader": reader, "tokenizer": tokenizer, "checksum": int(checksum(state))}
        items = {"state": ocp.args.StandardSave(state)}
        if stopping:
            extra["stopping"] = list(stopping)
        if kept is not None:
            extra["checksum_kept"] = int(checksum(kept))
            items["kept"] = ocp.args.StandardSave(kept)
        args = ocp.args.Composite(**items, extra=ocp.args.JsonSave(extra))
        with self._saving():
            self._manager.save(step, args=args, metrics={"score": score})

    def wait(self) -> None:
        """Until the last `save` is on disk."""
        with self._saving():
            self._manager.wait_until_finished()

    def steps(self) -> list[int]:
        """Of the checkpoints that were written to the end: those that have their final name."""
        return sorted(int(path.name) for path in self.folder.glob("*") if path.name.isdigit())

    def restore(
        self, abstract: State, which: Literal["last", "best"] = "last", tokenizer: str | None = None
    ) -> tuple[State, dict[str, Any]]:
        """(state, {"score", "reader", ...}) of the last or best checkpoint, shaped and placed like `abstract`.

        Raises UserError where there is none, it is of another model, it was saved with another `tokenizer`, or its
        bits are not those that were saved.
        """
        step, extra = self._find(which)
        with self._reading(step):
            if tokenizer and extra["tokenizer"] != tokenizer:
                raise UserError(
                    f"{self.folder.parent}: tokenizer.json is not the one that step {step} was trained with"
                )
            self._compare(abstract, step)
            state = self._manager.restore(step, args=ocp.args.Composite(state=ocp.args.StandardRestore(abstract))).state
            if int(checksum(state)) != extra["checksum"]:
                raise ValueError("its arrays are not those that were saved")
        return state, extra

    def restore_kept(self, abstract: State) -> State | None:
        """The best State that the last checkpoint keeps beside its own; None where it keeps none."""
        step, extra = self._find("last")
        if "checksum_kept" not in extra:
            return None
        with self._reading(step):
            kept = self._manager.restore(step, args=ocp.args.Composite(kept=ocp.args.StandardRestore(abstract))).kept
            if int(checksum(kept)) != extra["checksum_kept"]:
                raise ValueError("the arrays of its best State are not those that were saved")
        return kept

    def networks(self) -> dict[str, Array]:
        """Parameters and variables of the best checkpoint, whatever model they are of, by their path in the State:
        "params/net/block0/up/kernel", "vars/net/batch_stats/norm/mean" -> array."""
        step, _ = self._find("best")
        with self._reading(step):
            place = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
            nested = jax.tree.map(
                lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=place),
                self._manager.item_metadata(step).state.tree,
            )
            whole = self._manager.restore(step, args=ocp.args.Composite(state=ocp.args.StandardRestore(nested))).state
        flat = ocp.tree.to_flat_dict({name: whole.get(name, {}) for name in ("params", "vars")}, sep="/")
        return {name: leaf for name, leaf in flat.items() if hasattr(leaf, "shape")}  # a network may have no variables

    def _find(self, which: Literal["last", "best"]) -> tuple[int, dict[str, Any]]:
        """(step, {"score", "reader", "checksum"}) of the last or best checkpoint."""
        steps = self.steps()
        if not steps:
            raise UserError(f"{self.folder} holds no finished checkpoint: start the run again")
        extras = {steps[-1]: self._extra(steps[-1])}
        for step in steps[:-1] if which == "best" else []:
            with contextlib.suppress(UserError):  # one that was being removed
                extras[step] = self._extra(step)
        step = max(extras, key=lambda step: (extras[step]["score"], step))
        return step, extras[step]

    def _extra(self, step: int) -> dict[str, Any]:
        with self._reading(step):
            return self._manager.restore(step, args=ocp.args.Composite(extra=ocp.args.JsonRestore())).extra

    def _compare(self, abstract: State, step: int) -> None:
        """Raise UserError where the saved arrays are not those of `abstract`."""
        saved, wanted = _shapes(self._manager.item_metadata(step).state), _shapes(abstract)
        if not saved:
            raise ValueError("its list of arrays is missing")
        for name in sorted(saved.keys() | wanted.keys()):
            if saved.get(name) != wanted.get(name):
                there, here = saved.get(name, "not there"), wanted.get(name, "not there")
                raise UserError(
                    f"checkpoint {self.folder / str(step)} is of another model or config: "
                    f"{name} is {there} in the checkpoint, {here} in the config"
                )

    def close(self) -> None:
        with self._saving():
            self._manager.close()

    @contextlib.contextmanager
    def _reading(self, step: int) -> Iterator[None]:
        try:
            yield
        except UserError:
            raise
        except Exception as error:  # whatever the file system or a damaged file gives
            others = [other for other in self.steps() if other != step]
            remedy = f"remove that folder to use step {others[-1]}" if others else "start the run again"
            raise UserError(f"checkpoint {self.folder / str(step)} is damaged ({_reason(error)}): {remedy}") from None

    @contextlib.contextmanager
    def _saving(self) -> Iterator[None]:
        try:
            with _writing(f"the checkpoint of step {self._last} was not written"):
                yield
        except UserError as error:
            kept = self.steps()
            rest = (
                f"that of step {kept[-1]} is kept: zoo train --resume {self.folder.parent}" if kept else "none is kept"
            )
            raise UserError(f"{error}; {rest}") from None


@jax.jit
def checksum(state: State) -> Array:
    """() uint32 over all bits of `state`. Any one changed word changes it; a sharded State stays where it is."""

    def one(total: Array, leaf: Array) -> Array:
        word = jnp.dtype(f"uint{8 * leaf.dtype.itemsize}")
        bits = leaf if leaf.dtype == bool else jax.lax.bitcast_convert_type(leaf, word)
        index, stride = jnp.zeros(leaf.shape, jnp.uint32), 1
        for axis in reversed(range(leaf.ndim)):
            index += stride * jax.lax.broadcasted_iota(jnp.uint32, leaf.shape, axis)
            stride *= leaf.shape[axis]
        # An odd factor loses no bits of a word, and one for each place notices words that change places.
        return total * 31 + jnp.sum(bits.astype(jnp.uint32) * (2 * index + 1), dtype=jnp.uint32)

    return reduce(one, jax.tree.leaves(state), jnp.uint32(0))


def _shapes(tree: Any) -> dict[str, tuple[int, ...]]:
    flat = ocp.tree.to_flat_dict(tree, sep="/")
    return {name: tuple(leaf.shape) for name, leaf in flat.items() if hasattr(leaf, "shape")}


@contextlib.contextmanager
def _writing(what: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # whatever the file system did: full, read-only, gone
        raise UserError(f"{what}: {_reason(error)}") from None


def _reason(error: Exception) -> str:
    """In the system's words where the system is the cause ("No space left on device"), else the first line."""
    number = re.search(r"os_error_code='(\d+)'", str(error))  # TensorStore's way to say it
    if number or getattr(error, "errno", None):
        return os.strerror(int(number[1]) if number else error.errno)
    return (str(error).splitlines() or [type(error).__name__])[0][:120]


@cache
def _say_things_once() -> None:
    """What goes wrong here becomes one UserError: not also stack traces from each thread that had a part in it."""
    for name in ("absl", "asyncio"):  # Orbax's own log, and the tasks that it abandons
        logging.getLogger(name).setLevel(logging.CRITICAL)
    before = sys.unraisablehook

    def hook(unraisable: Any) -> None:
        if str(unraisable.exc_value) != "Event loop is closed":  # TensorStore's reads and writes that it abandons
            before(unraisable)

    sys.unraisablehook = hook
