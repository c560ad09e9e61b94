"""Checkpoints by Orbax: written atomically while training goes on. The last one and the best one are kept."""

import contextlib
import logging
import sys
from collections.abc import Iterator, Sequence
from functools import cache, partial, reduce
from pathlib import Path
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp
from jax import Array

from train.algorithms.averages import without_variables
from train.core import State
from train.loop.older_states import with_idle_moments, without_idle_moments
from train.loop.stopping import Record
from zoo.errors import UserError, note
from zoo.files import require_no_pattern
from zoo.weights import checkpoint
from zoo.weights.checkpoint import Extra, reason


class Checkpoints:
    """The checkpoints of one run, in `folder`: the last one, and the one with the best score."""

    def __init__(self, folder: Path, *, read_only: bool = False) -> None:
        _silence_background_errors()
        _skip_telemetry()
        if not read_only:
            require_no_pattern(folder)
        self.folder = folder
        self._last_saved: int | None = None  # step
        self.best: tuple[int, float] | None = None if read_only else _best_of(folder)  # (step, score)
        options = ocp.CheckpointManagerOptions(
            preservation_policy=_LastAndBest(self), read_only=read_only, create=not read_only
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
        score: float | None,
        reader: Any = None,
        tokenizer: str | None = None,
        stopping: Record | None = None,
    ) -> None:
        """Begin to write a checkpoint, and return as soon as its arrays are copied. See `Extra` for the arguments.

        score: of the evaluation at this step; None where the step was not evaluated, which is never the best.

        Raise UserError where the previous checkpoint did not reach the disk, or this one cannot begin.
        """
        self.wait()
        self._last_saved = step
        if score is not None and (self.best is None or checkpoint.rank(step, score) > checkpoint.rank(*self.best)):
            self.best = step, score
        extra = Extra(score, int(checksum(state)), reader, tokenizer, best=self.best and self.best[0])
        items = {"state": ocp.args.StandardSave(_filled(state))}
        if stopping is not None:
            extra = extra._replace(stopping=stopping.standings)
            if stopping.best is not None:
                extra = extra._replace(checksum_kept=int(checksum(stopping.best)))
                items["kept"] = ocp.args.StandardSave(_filled(stopping.best))
        args = ocp.args.Composite(**items, extra=ocp.args.JsonSave(extra.to_json()))
        with self._saving():
            self._manager.save(step, args=args)

    def wait(self) -> None:
        """Block until the last `save` is on disk."""
        with self._saving():
            self._manager.wait_until_finished()

    def steps(self) -> list[int]:
        """Return the steps of all finished checkpoints, ascending."""
        return checkpoint.steps(self.folder)

    def remove_others(self) -> None:
        """Remove every checkpoint but the last and the best: a kill can leave one that was about to be removed."""
        # The steps that were there at the start, so that several processes remove the same ones.
        there = sorted(self._manager.all_steps())
        with _one_line_errors(f"old checkpoints in {self.folder} cannot be removed"):
            for step in there[:-1]:
                if self.best is None or step != self.best[0]:
                    self._manager.delete(step)

    def restore(
        self, abstract: State, which: Literal["last", "best"] = "last", tokenizer: str | None = None
    ) -> tuple[State, Extra]:
        """Return (state, extra) of the last or the best checkpoint, with the shapes and the sharding of `abstract`.

        Raise UserError where there is no checkpoint, or it is of another model, was saved with another `tokenizer`, or
        its bits have changed since it was saved.
        """
        step, extra = checkpoint.find(self.folder, which)
        with checkpoint.reading(self.folder, step):
            if tokenizer and extra.tokenizer != tokenizer:
                raise UserError(
                    f"{self.folder.parent}: tokenizer.json is not the one that step {step} was trained with"
                )
            abstract, saved = self._as_saved(abstract, step, "state")
            args = ocp.args.Composite(state=ocp.args.StandardRestore(_filled(saved)))
            state = _emptied(self._manager.restore(step, args=args)["state"], saved)
            if not is_as_saved(state, extra.checksum):
                raise ValueError("its arrays are not those that were saved")
        return without_idle_moments(state, abstract), extra

    def restore_kept(self, abstract: State) -> State | None:
        """Return the best State that early stopping keeps in the last checkpoint; None where it keeps none."""
        step, extra = checkpoint.find(self.folder, "last")
        if extra.checksum_kept is None:
            return None
        with checkpoint.reading(self.folder, step):
            abstract, saved = self._as_saved(abstract, step, "kept")
            args = ocp.args.Composite(kept=ocp.args.StandardRestore(_filled(saved)))
            kept = _emptied(self._manager.restore(step, args=args)["kept"], saved)
            if not is_as_saved(kept, extra.checksum_kept):
                raise ValueError("the arrays of its best State are not those that were saved")
        return without_idle_moments(kept, abstract)

    def networks(self) -> dict[str, np.ndarray]:
        """Return the parameters and variables of the best checkpoint by their path, whatever the model.

        Paths are those of the State: "params/net/block0/up/kernel", "vars/net/batch_stats/norm/mean".
        """
        step, extra = checkpoint.find(self.folder, "best")
        arrays = checkpoint.read_arrays(self.folder, step, extra)
        return {"/".join(names): array for names, array in arrays.items() if names[0] in ("params", "vars")}

    def close(self) -> None:
        with self._saving():
            self._manager.close()

    def _as_saved(self, abstract: State, step: int, item: Literal["state", "kept"]) -> tuple[State, State]:
        """Return `abstract` as it is restored, and as this checkpoint has it, which only older versions tell apart.

        Raise UserError where names or shapes of arrays differ. Older versions averaged the parameters alone, so their
        checkpoints have no averages of other variables, and they kept moments of frozen parameters.
        """
        saved = _shapes(self._manager.item_metadata(step)[item])
        if not saved:
            raise ValueError("its list of arrays is missing")
        expected = _shapes(_filled(abstract))
        for like in (abstract, without_variables(abstract)):
            older = with_idle_moments(like, saved)
            if saved != _shapes(_filled(older)):
                continue
            if like is not abstract:
                note(
                    f"{self.folder.parent} is judged by the weights of its last step: an older version trained it, "
                    "which kept no averaged batch statistics beside the averaged weights"
                )
            return like, older
        for name in sorted(saved.keys() | expected.keys()):
            if saved.get(name) != expected.get(name):
                there, here = _unlike(saved.get(name), expected.get(name))
                raise UserError(
                    f"checkpoint {self.folder / str(step)} is of another model or config: "
                    f"{name} is {there} in the checkpoint, {here} in the config"
                )
        raise AssertionError("what differs has a name")

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
            raise UserError(f"{error}; {rest}") from error


def _filled(state: State) -> State:
    """Return `state`, or an abstract one, with a zero in place of each array without numbers: Orbax saves none such."""

    def one(leaf: Any) -> Any:
        if leaf.size:
            return leaf
        if isinstance(leaf, jax.ShapeDtypeStruct):
            return jax.ShapeDtypeStruct((1,), leaf.dtype, sharding=leaf.sharding)
        return jnp.zeros(1, leaf.dtype)

    return jax.tree.map(one, state)


def _emptied(state: State, abstract: State) -> State:
    """Return `state`, restored, with the arrays without numbers that `abstract` has."""
    return jax.tree.map(lambda like, leaf: leaf if like.size else jnp.zeros(like.shape, like.dtype), abstract, state)


class _LastAndBest:
    """Tells Orbax, which asks once a checkpoint is begun, that the last and the best checkpoint stay."""

    def __init__(self, checkpoints: Checkpoints) -> None:
        self._checkpoints = checkpoints

    def should_preserve(self, checkpoints: Sequence[Any], *, context: Any) -> list[bool]:
        best = self._checkpoints.best
        return [
            found.step == checkpoints[-1].step or (best is not None and found.step == best[0]) for found in checkpoints
        ]


def _best_of(folder: Path) -> tuple[int, float] | None:
    """Return (step, score) of the best checkpoint in `folder`; None where none was evaluated yet."""
    found = checkpoint.find_best(folder)
    if found is None or found[1].score is None:
        return None
    return found[0], found[1].score


def checksum(state: State) -> Array:
    """Return a checksum of all bits of `state`, () uint32. It changes when any one word changes.

    It is computed where the arrays are, so a sharded State is not gathered.
    """
    return _checksum(state, whole=True)


def is_as_saved(state: State, expected: int) -> bool:
    """Return whether `state` has the checksum that was saved with it.

    Older versions took the low half alone of words of 64 bits, which a State has under JAX_ENABLE_X64.
    """
    return any(int(_checksum(state, whole=whole)) == expected for whole in (True, False))


@partial(jax.jit, static_argnames="whole")
def _checksum(state: State, *, whole: bool) -> Array:
    def words(leaf: Array) -> Array:
        if leaf.dtype == bool:
            return leaf
        if leaf.dtype.itemsize == 8 and whole:
            return jax.lax.bitcast_convert_type(leaf, jnp.uint32)  # (..., 2), the low half first
        return jax.lax.bitcast_convert_type(leaf, jnp.dtype(f"uint{8 * leaf.dtype.itemsize}"))

    def add(total: Array, leaf: Array) -> Array:
        bits = words(leaf)
        # index: the position of each word in the flattened array.
        index, stride = jnp.zeros(bits.shape, jnp.uint32), 1
        for axis in reversed(range(bits.ndim)):
            index += stride * jax.lax.broadcasted_iota(jnp.uint32, bits.shape, axis)
            stride *= bits.shape[axis]
        # Multiplying by an odd number loses no bits; a different one for each position notices words that are swapped.
        return total * 31 + jnp.sum(bits.astype(jnp.uint32) * (2 * index + 1), dtype=jnp.uint32)

    return reduce(add, jax.tree.leaves(state), jnp.uint32(0))


def _shapes(tree: Any) -> dict[str, tuple[tuple[int, ...], str]]:
    """Return (shape, dtype) of each array."""
    flat = ocp.tree.to_flat_dict(tree, sep="/")
    return {name: (tuple(leaf.shape), str(leaf.dtype)) for name, leaf in flat.items() if hasattr(leaf, "shape")}


def _unlike(*arrays: tuple[tuple[int, ...], str] | None) -> list[str]:
    """Return what tells arrays apart: their shapes, or their dtypes where the shapes are the same."""
    shapes = {array[0] for array in arrays if array}
    return ["not there" if array is None else str(array[0] if len(shapes) > 1 else array[1]) for array in arrays]


@contextlib.contextmanager
def _one_line_errors(what: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # a file system that is full, read-only or gone can raise anything
        raise UserError(f"{what}: {reason(error)}") from error


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


@cache
def _skip_telemetry() -> None:
    """Keep Orbax from asking TensorStore for its counters, which nobody reads here.

    TensorStore (0.1.86) never frees what it returns as JSON: about 14 kB for each checkpoint, of a small model.
    """
    with contextlib.suppress(ImportError, AttributeError):  # another version of Orbax may keep it elsewhere
        from orbax.checkpoint._src.serialization import tensorstore_utils

        if callable(tensorstore_utils.get_tensorstore_raw_bytes):
            tensorstore_utils.get_tensorstore_raw_bytes = lambda *_: 0
