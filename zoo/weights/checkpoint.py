"""The checkpoints in a run folder: which one is the last, which one is the best, and are their bits those saved?

`train` writes them with Orbax. Every command that reads a checkpoint finds it here, and no array is used before its
checksum is compared.
"""

import contextlib
import errno
import json
import logging
import math
import os
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from zoo.errors import UserError, note

EXTRA_CHECKSUM = "checksum_extra"  # key in the JSON of an Extra: of all its other keys. Older checkpoints have none.
BLOCK = 1 << 20  # words that a checksum takes at a time


class Extra(NamedTuple):
    """What a checkpoint holds besides its State, as JSON."""

    score: float | None  # of the evaluation at this step, higher is better; None: the step was not evaluated
    checksum: int  # of the State
    reader: Any = None  # where the data reader continues
    tokenizer: str | None = None  # fingerprint of the tokenizer that the model was trained with
    stopping: Sequence[Mapping[str, Any]] = ()  # the standings of early stopping
    checksum_kept: int | None = None  # of the best State that early stopping keeps; None where there is none
    best: int | None = None  # the step with the best score when this one was saved; None where no score is known

    def to_json(self) -> dict[str, Any]:
        content = self._asdict() | {"stopping": list(self.stopping)}
        # Fields without a value are left out, as in the run folders of all versions.
        optional = ("stopping", "checksum_kept", "best")
        content = {name: value for name, value in content.items() if name not in optional or value not in ([], None)}
        return content | {EXTRA_CHECKSUM: _checksum_of_json(content)}


def steps(folder: Path) -> list[int]:
    """Return the steps of all finished checkpoints, ascending. An unfinished one has another name."""
    return sorted(int(path.name) for path in folder.glob("*") if path.name.isdigit())


def rank(step: int, score: float) -> tuple[float, int]:
    """Return what the best checkpoint has most of. A score that is not finite is the worst; of equals the earlier."""
    return (score if math.isfinite(score) else -math.inf, -step)


def find(folder: Path, which: Literal["last", "best"]) -> tuple[int, Extra]:
    """Return (step, extra) of the last or the best checkpoint.

    Raise UserError where there is none, and where the one that is asked for is damaged: another one is never taken in
    its place.
    """
    there = steps(folder)
    if not there:
        raise UserError(f"{folder} holds no finished checkpoint: start the run again")
    if which == "last":
        return there[-1], read_extra(folder, there[-1])
    best = find_best(folder)
    if best is None:
        raise UserError(f"no checkpoint in {folder} was evaluated yet: zoo train --resume {folder.parent}")
    return best


def find_best(folder: Path) -> tuple[int, Extra] | None:
    """Return (step, extra) of the best checkpoint; None where none was evaluated yet."""
    there = steps(folder)
    if not there:
        return None
    last = read_extra(folder, there[-1])
    if last.best in there:
        return last.best, read_extra(folder, last.best)
    # A checkpoint without this file is what a kill left of one that was being removed.
    extras = {step: read_extra(folder, step) for step in there if _file(folder, step).is_file()}
    scores = {step: extra.score for step, extra in extras.items() if extra.score is not None}
    if not scores:
        return None
    step = max(scores, key=lambda step: rank(step, scores[step]))
    if last.best is not None:
        note(f"{folder / str(last.best)}, the best, is not there any more: step {step} is read")
    return step, extras[step]


def read_extra(folder: Path, step: int) -> Extra:
    """Return what the checkpoint of `step` holds besides its State."""
    with reading(folder, step):
        content = json.loads(_file(folder, step).read_text(encoding="utf-8"))
        expected = content.pop(EXTRA_CHECKSUM, None)
        if expected is not None and _checksum_of_json(content) != expected:
            raise ValueError("its score is not the one that was saved")
        extra = Extra(**{name: value for name, value in content.items() if name in Extra._fields})
        if not _is_sound(extra):
            raise ValueError("its score or its checksum is no number")
    return extra


def read_arrays(folder: Path, step: int, extra: Extra) -> dict[tuple[str, ...], np.ndarray]:
    """Return all arrays of a checkpoint by their keys: ("params", "net", "head", "kernel").

    They are read as a whole, optimizer state included, because the checksum is that of all of them.
    """
    import jax
    import orbax.checkpoint as ocp

    jax.local_devices()  # its errors are not the checkpoint's
    state = (folder / str(step) / "state").absolute()
    with reading(folder, step), _quiet():
        saved: Any = ocp.Checkpointer(ocp.PyTreeCheckpointHandler()).metadata(state)
        tree = getattr(saved, "item_metadata", saved).tree
        how = jax.tree.map(lambda _: ocp.RestoreArgs(restore_type=np.ndarray), tree)
        restored = ocp.Checkpointer(ocp.PyTreeCheckpointHandler()).restore(
            state, args=ocp.args.PyTreeRestore(item=tree, restore_args=how)
        )
        flat = {_names(keys): np.asarray(leaf) for keys, leaf in jax.tree_util.tree_leaves_with_path(restored)}
        arrays = {names: flat[names] for names in _order(state) if names in flat}
        if arrays.keys() != flat.keys() or not _is_as_saved(list(arrays.values()), extra.checksum):
            raise ValueError("its arrays are not those that were saved")
    return arrays


def checksum(leaves: Sequence[np.ndarray], *, whole: bool = True) -> int:
    """Return the checksum of the arrays of a State, in its order; `train.loop.checkpoints.checksum` on the host.

    whole: of words of 64 bits take both halves; older versions took the low one alone.
    """
    total = 0
    for leaf in leaves:
        words = np.ascontiguousarray(leaf).reshape(-1)
        if leaf.dtype != bool:
            bits = 32 if leaf.dtype.itemsize == 8 and whole else 8 * leaf.dtype.itemsize
            words = words.view(f"<u{bits // 8}")
        of_leaf = 0
        for start in range(0, words.size, BLOCK):
            block = words[start : start + BLOCK].astype(np.uint32)
            odd = 2 * np.arange(start, start + block.size, dtype=np.uint32) + np.uint32(1)
            of_leaf += int((block * odd).sum(dtype=np.uint32))
        total = (total * 31 + of_leaf) % 2**32
    return total


def _is_as_saved(leaves: Sequence[np.ndarray], expected: int) -> bool:
    return any(checksum(leaves, whole=whole) == expected for whole in (True, False))


@contextlib.contextmanager
def reading(folder: Path, step: int) -> Iterator[None]:
    """Turn an error while reading a checkpoint into a UserError that says how to continue without it."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:  # a damaged file can raise anything
        path, code = folder / str(step), error_code(error)
        if isinstance(error, MemoryError) or "RESOURCE_EXHAUSTED" in str(error):
            raise UserError(f"checkpoint {path} does not fit into memory ({reason(error)})") from error
        if code not in (None, errno.ENOENT, errno.ENOTDIR, errno.EISDIR):  # a part that is missing is damage
            raise UserError(f"checkpoint {path} cannot be read: {os.strerror(code)}") from error
        others = [other for other in steps(folder) if other != step]
        remedy = f"remove that folder to use step {others[-1]}" if others else "start the run again"
        raise UserError(f"checkpoint {path} is damaged ({reason(error)}): {remedy}") from error


def reason(error: Exception) -> str:
    """Return the operating system's words for an error ("No space left on device"), else the error's first line."""
    code = error_code(error)
    if code is not None:
        return os.strerror(code)
    line = (str(error).splitlines() or [""])[0][:120]
    if isinstance(error, ValueError | OSError | RuntimeError) and line:
        return line
    return f"{type(error).__name__}: {line}" if line else type(error).__name__


def error_code(error: Exception) -> int | None:
    """Return the operating system's number of an error; None where it is not the system's."""
    number = re.search(r"os_error_code='(\d+)'", str(error))  # how TensorStore reports an error of the system
    return (int(number[1]) if number else getattr(error, "errno", None)) or None


def _file(folder: Path, step: int) -> Path:
    return folder / str(step) / "extra" / "metadata"


def _checksum_of_json(content: Mapping[str, Any]) -> int:
    return zlib.crc32(json.dumps(content, sort_keys=True).encode())


def _is_sound(extra: Extra) -> bool:
    def is_number(value: Any) -> bool:
        return isinstance(value, int | float) and not isinstance(value, bool)

    return (extra.score is None or is_number(extra.score)) and is_number(extra.checksum)


def _order(state: Path) -> list[tuple[str, ...]]:
    """Return the keys of the saved leaves in the order of the State. Orbax sorts them when it restores."""
    entries = json.loads((state / "_METADATA").read_text(encoding="utf-8"))["tree_metadata"].values()
    return [tuple(str(part["key"]) for part in entry["key_metadata"]) for entry in entries]


def _names(keys: Sequence[Any]) -> tuple[str, ...]:
    return tuple(str(getattr(key, "key", getattr(key, "idx", key))) for key in keys)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silence Orbax's log: every problem becomes a UserError of one line."""
    log = logging.getLogger("absl")
    level = log.level
    log.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        log.setLevel(level)
