"""Checkpoints by Orbax: written atomically while training goes on. The last one and the best one are kept."""

import contextlib
import logging
import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import cache, reduce
from pathlib import Path
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import orbax.checkpoint as ocp
from jax import Array

from train.algorithms.averages import without_variables
from train.core import State
from train.loop.stopping import Record
from zoo.errors import UserError


class Extra(NamedTuple):
    """What a checkpoint holds besides its State, as JSON."""

    score: float  # higher is better
    checksum: int  # of the State
    reader: Any = None  # where the data reader continues
    tokenizer: str | None = None  # fingerprint of the tokenizer that the model was trained with
    stopping: Sequence[Mapping[str, Any]] = ()  # the standings of early stopping
    checksum_kept: int | None = None  # of the best State that early stopping keeps; None where there is none

    def to_json(self) -> dict[str, Any]:
        content = self._asdict() | {"stopping": list(self.stopping)}
        # Fields without a value are left out, as in the run folders of all versions.
        optional = ("stopping", "checksum_kept")
        return {name: value for name, value in content.items() if name not in optional or value not in ([], None)}


class Checkpoints:
    """The checkpoints of one run, in `folder`. The best is the one with the highest score."""

    def __init__(self, folder: Path, *, read_only: bool = False) -> None:
        _silence_background_errors()
        self.folder = folder
        self._last_saved: int | None = None  # step
        policies = ocp.checkpoint_managers

        def score(metrics: Mapping[str, float]) -> float:
            return metrics["score"]

        # Keep the last checkpoint and the one with the highest score; Orbax removes all others. A checkpoint without a
        # score is the remains of one that was being removed when the process was killed.
        last = policies.LatestN(1)
        best = policies.BestN(get_metric_fn=score, n=1, keep_checkpoints_without_metrics=False)
        options = ocp.CheckpointManagerOptions(
            preservation_policy=policies.AnyPreservationPolicy([last, best]),
            best_fn=score,  # Orbax writes scores only if it has this too, and a resumed run needs the written ones
            read_only=read_only,
            create=not read_only,
        )
        handlers = {
            "state": ocp.StandardCheckpointHandler(),
            "kept": ocp.StandardCheckpointHandler(),
            "extra": ocp.JsonCheckpointHandler(),
        }
        with _one_line_errors(f"{folder} cannot be opened"):
            self._manager = ocp.CheckpointManager(folder.absolute(), item_handlers=handlers, options=options)

    def save(
        self,
        state: State,
        step: int,
        score: float,
        reader: Any = None,
        tokenizer: str | None = None,
        stopping: Record | None = None,
    ) -> None:
        """Begin to write a checkpoint, and return as soon as its arrays are copied. See `Extra` for the arguments.

        Raise UserError where the previous checkpoint did not reach the disk, or this one cannot begin.
        """
        self.wait()
        self._last_saved = step
        extra = Extra(score, int(checksum(state)), reader, tokenizer)
        items = {"state": ocp.args.StandardSave(state)}
        if stopping is not None:
            extra = extra._replace(stopping=stopping.standings)
            if stopping.best is not None:
                extra = extra._replace(checksum_kept=int(checksum(stopping.best)))
                items["kept"] = ocp.args.StandardSave(stopping.best)
        args = ocp.args.Composite(**items, extra=ocp.args.JsonSave(extra.to_json()))
        with self._saving():
            self._manager.save(step, args=args, metrics={"score": score})

    def wait(self) -> None:
        """Block until the last `save` is on disk."""
        with self._saving():
            self._manager.wait_until_finished()

    def steps(self) -> list[int]:
        """Return the steps of all finished checkpoints, ascending. An unfinished one has another name."""
        return sorted(int(path.name) for path in self.folder.glob("*") if path.name.isdigit())

    def restore(
        self, abstract: State, which: Literal["last", "best"] = "last", tokenizer: str | None = None
    ) -> tuple[State, Extra]:
        """Return (state, extra) of the last or the best checkpoint, with the shapes and the sharding of `abstract`.

        Raise UserError where there is no checkpoint, or it is of another model, was saved with another `tokenizer`, or
        its bits have changed since it was saved.
        """
        step, extra = self._find(which)
        with self._reading(step):
            if tokenizer and extra.tokenizer != tokenizer:
                raise UserError(
                    f"{self.folder.parent}: tokenizer.json is not the one that step {step} was trained with"
                )
            abstract = self._as_saved(abstract, step, "state")
            args = ocp.args.Composite(state=ocp.args.StandardRestore(abstract))
            state = self._manager.restore(step, args=args)["state"]
            if int(checksum(state)) != extra.checksum:
                raise ValueError("its arrays are not those that were saved")
        return state, extra

    def restore_kept(self, abstract: State) -> State | None:
        """Return the best State that early stopping keeps in the last checkpoint; None where it keeps none."""
        step, extra = self._find("last")
        if extra.checksum_kept is None:
            return None
        with self._reading(step):
            abstract = self._as_saved(abstract, step, "kept")
            args = ocp.args.Composite(kept=ocp.args.StandardRestore(abstract))
            kept = self._manager.restore(step, args=args)["kept"]
            if int(checksum(kept)) != extra.checksum_kept:
                raise ValueError("the arrays of its best State are not those that were saved")
        return kept

    def networks(self) -> dict[str, Array]:
        """Return the parameters and variables of the best checkpoint by their path, whatever the model.

        Paths are those of the State: "params/net/block0/up/kernel", "vars/net/batch_stats/norm/mean".
        """
        step, _ = self._find("best")
        with self._reading(step):
            device = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
            abstract = jax.tree.map(
                lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=device),
                self._manager.item_metadata(step).state.tree,
            )
            args = ocp.args.Composite(state=ocp.args.StandardRestore(abstract))
            state = self._manager.restore(step, args=args)["state"]
        flat = ocp.tree.to_flat_dict({name: state.get(name, {}) for name in ("params", "vars")}, sep="/")
        # A network without variables leaves an empty dictionary behind.
        return {name: leaf for name, leaf in flat.items() if hasattr(leaf, "shape")}

    def close(self) -> None:
        with self._saving():
            self._manager.close()

    def _find(self, which: Literal["last", "best"]) -> tuple[int, Extra]:
        """Return (step, extra) of the last or the best checkpoint."""
        steps = self.steps()
        if not steps:
            raise UserError(f"{self.folder} holds no finished checkpoint: start the run again")
        extras = {steps[-1]: self._extra(steps[-1])}
        if which == "best":
            for step in steps[:-1]:
                with contextlib.suppress(UserError):  # a checkpoint that was being removed
                    extras[step] = self._extra(step)
        step = max(extras, key=lambda step: (extras[step].score, step))
        return step, extras[step]

    def _extra(self, step: int) -> Extra:
        with self._reading(step):
            content = self._manager.restore(step, args=ocp.args.Composite(extra=ocp.args.JsonRestore()))["extra"]
            return Extra(**{name: value for name, value in content.items() if name in Extra._fields})

    def _as_saved(self, abstract: State, step: int, item: Literal["state", "kept"]) -> State:
        """Return `abstract` as this checkpoint has it; raise UserError where names or shapes of arrays differ.

        Older versions averaged the parameters alone, so their checkpoints have no averages of other variables.
        """
        saved = _shapes(self._manager.item_metadata(step)[item])
        if not saved:
            raise ValueError("its list of arrays is missing")
        expected, older = _shapes(abstract), without_variables(abstract)
        if saved != expected and saved == _shapes(older):
            print(
                f"{self.folder.parent} is judged by the weights of its last step: an older version trained it, which "
                "kept no averaged batch statistics beside the averaged weights",
                file=sys.stderr,
            )
            return older
        for name in sorted(saved.keys() | expected.keys()):
            if saved.get(name) != expected.get(name):
                there, here = saved.get(name, "not there"), expected.get(name, "not there")
                raise UserError(
                    f"checkpoint {self.folder / str(step)} is of another model or config: "
                    f"{name} is {there} in the checkpoint, {here} in the config"
                )
        return abstract

    @contextlib.contextmanager
    def _reading(self, step: int) -> Iterator[None]:
        """Turn an error while reading a checkpoint into a UserError that says how to continue without it."""
        try:
            yield
        except UserError:
            raise
        except Exception as error:  # a damaged file can raise anything
            others = [other for other in self.steps() if other != step]
            remedy = f"remove that folder to use step {others[-1]}" if others else "start the run again"
            raise UserError(f"checkpoint {self.folder / str(step)} is damaged ({_reason(error)}): {remedy}") from None

    @contextlib.contextmanager
    def _saving(self) -> Iterator[None]:
        """Turn an error while writing a checkpoint into a UserError that says which one is still there."""
        try:
            with _one_line_errors(f"the checkpoint of step {self._last_saved} was not written"):
                yield
        except UserError as error:
            steps = self.steps()
            resume = f"zoo train --resume {self.folder.parent}"
            rest = f"that of step {steps[-1]} is kept: {resume}" if steps else "none is kept"
            raise UserError(f"{error}; {rest}") from None


@jax.jit
def checksum(state: State) -> Array:
    """Return a checksum of all bits of `state`, () uint32. It changes when any one word changes.

    It is computed where the arrays are, so a sharded State is not gathered.
    """

    def add(total: Array, leaf: Array) -> Array:
        word = jnp.dtype(f"uint{8 * leaf.dtype.itemsize}")
        bits = leaf if leaf.dtype == bool else jax.lax.bitcast_convert_type(leaf, word)
        # index: the position of each element in the flattened array.
        index, stride = jnp.zeros(leaf.shape, jnp.uint32), 1
        for axis in reversed(range(leaf.ndim)):
            index += stride * jax.lax.broadcasted_iota(jnp.uint32, leaf.shape, axis)
            stride *= leaf.shape[axis]
        # Multiplying by an odd number loses no bits; a different one for each position notices words that are swapped.
        return total * 31 + jnp.sum(bits.astype(jnp.uint32) * (2 * index + 1), dtype=jnp.uint32)

    return reduce(add, jax.tree.leaves(state), jnp.uint32(0))


def _shapes(tree: Any) -> dict[str, tuple[int, ...]]:
    flat = ocp.tree.to_flat_dict(tree, sep="/")
    return {name: tuple(leaf.shape) for name, leaf in flat.items() if hasattr(leaf, "shape")}


@contextlib.contextmanager
def _one_line_errors(what: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # a file system that is full, read-only or gone can raise anything
        raise UserError(f"{what}: {_reason(error)}") from None


def _reason(error: Exception) -> str:
    """Return the operating system's words for an error ("No space left on device"), else the error's first line."""
    number = re.search(r"os_error_code='(\d+)'", str(error))  # how TensorStore reports an error of the system
    code = int(number[1]) if number else getattr(error, "errno", None)
    if code:
        return os.strerror(code)
    return (str(error).splitlines() or [type(error).__name__])[0][:120]


@cache
def _silence_background_errors() -> None:
    """Silence the stack traces of Orbax's threads: what goes wrong is raised here, as one UserError."""
    for name in ("absl", "asyncio"):  # Orbax's own log, and the tasks that it abandons
        logging.getLogger(name).setLevel(logging.CRITICAL)
    before = sys.unraisablehook

    def hook(unraisable: Any) -> None:
        if str(unraisable.exc_value) != "Event loop is closed":  # of reads and writes that TensorStore abandons
            before(unraisable)

    sys.unraisablehook = hook
