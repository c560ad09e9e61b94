"""The outputs of a network for many image files: read ahead by threads, in batches of one shape."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from train.core import machine
from zoo.errors import UserError


class Answer(NamedTuple):
    """What a network says of one file: its output, or why there is none."""

    path: Path
    output: np.ndarray | None  # (outputs,) or (H, W, outputs) float; None where the file cannot be read
    error: str = ""


def answers(
    apply: Callable[[np.ndarray], Any], read: Callable[[Path], np.ndarray], paths: Sequence[Path], batch: int
) -> Iterator[Answer]:
    """Yield an Answer for each file, in their order.

    apply: x (batch, ...) -> outputs (batch, ...), compiled. The last batch is padded, so that one program serves all.
    read: a file -> x of one example, run in threads while `apply` runs; it raises UserError for a broken file.
    """
    size = min(batch, len(paths))
    with ThreadPoolExecutor(machine.cores()) as pool:

        def begin(first: int) -> list[Future[np.ndarray | UserError]]:
            return [pool.submit(_try, read, path) for path in paths[first : first + size]]

        try:
            ahead = begin(0)
            for first in range(0, len(paths), size):
                found, ahead = [future.result() for future in ahead], begin(first + size)
                yield from _answers(apply, paths[first : first + size], found, size)
        except BaseException:  # Ctrl-C as well: do not wait for what is still to be read
            pool.shutdown(cancel_futures=True)
            raise


def _try(read: Callable[[Path], np.ndarray], path: Path) -> np.ndarray | UserError:
    try:
        return read(path)
    except UserError as error:
        return error


def _answers(
    apply: Callable[[np.ndarray], Any], paths: Sequence[Path], found: Sequence[np.ndarray | UserError], size: int
) -> Iterator[Answer]:
    """Yield the Answers of one batch."""
    examples = [own for own in found if isinstance(own, np.ndarray)]
    outputs = iter(())
    if examples:
        padding = np.zeros((size - len(examples), *examples[0].shape), examples[0].dtype)
        outputs = iter(np.asarray(apply(np.concatenate([np.stack(examples), padding])), np.float32))
    for path, own in zip(paths, found, strict=True):
        if isinstance(own, UserError):
            yield Answer(path, None, str(own))
            continue
        output = next(outputs)
        finite = bool(np.isfinite(output).all())
        yield Answer(path, output if finite else None, "" if finite else f"{path}: the output is not finite")
