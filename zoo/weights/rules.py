"""Rules that convert the arrays of another library to ours and back: one table for both directions.

A `Rule` names the arrays of the other library that make one of ours, and the `Transform`, a pair of inverse functions.
So exported weights are read back bit for bit, and shapes are known before anything is read: those that `write` returns.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

Arrays = list[np.ndarray]


class Transform(NamedTuple):
    """`read` converts one or more of their arrays to one of ours; `write` is its inverse."""

    read: Callable[[Arrays], np.ndarray]
    write: Callable[[np.ndarray], Arrays]


class Split(NamedTuple):
    """A `Transform` to several arrays of ours that are parts of the same arrays of theirs."""

    read: Callable[[Arrays], Arrays]
    write: Callable[[Arrays], Arrays]


@dataclasses.dataclass(frozen=True)
class Rule:
    """An array of ours, by its path "params/stem/conv/kernel", and the arrays of theirs that it is made from."""

    ours: tuple[str, ...]  # one path, or several with a Split
    theirs: tuple[str, ...]
    transform: Transform | Split
    copies: tuple[str, ...] = ()  # names of further copies of the first of `theirs` in a file (tied weights)

    def read(self, parts: Arrays) -> dict[str, np.ndarray]:
        """Convert their arrays to ours, by path."""
        if isinstance(self.transform, Split):
            return dict(zip(self.ours, self.transform.read(parts), strict=True))
        (path,) = self.ours
        return {path: self.transform.read(parts)}

    def write(self, arrays: Mapping[str, np.ndarray]) -> Arrays:
        """Convert our arrays, by path, to theirs."""
        ours = [arrays[path] for path in self.ours]
        if isinstance(self.transform, Split):
            return self.transform.write(ours)
        return self.transform.write(ours[0])

    def shapes(self, ours: Mapping[str, tuple[int, ...]]) -> list[tuple[int, ...]]:
        """Return the shapes of `theirs` from those of ours by path. The broadcast arrays need no memory."""
        return [
            part.shape for part in self.write({path: np.broadcast_to(np.float32(0), ours[path]) for path in self.ours})
        ]


def rule(ours: str, theirs: str | Sequence[str], transform: Transform, copies: Sequence[str] = ()) -> Rule:
    return Rule((ours,), (theirs,) if isinstance(theirs, str) else tuple(theirs), transform, tuple(copies))


def transposed(*axes: int) -> Transform:
    """Return a Transform that transposes their array to our order of axes."""
    back = tuple(np.argsort(axes))
    return Transform(lambda parts: parts[0].transpose(axes), lambda ours: [ours.transpose(back)])


SAME = Transform(lambda parts: parts[0], lambda ours: [ours])
LINEAR = transposed(1, 0)
"""torch.nn.Linear (outputs, inputs) -> Dense (inputs, outputs)."""
CONV = transposed(2, 3, 1, 0)
"""torch.nn.Conv2d (F, C, kh, kw) -> (kh, kw, C, F)."""
CONV_TRANSPOSE = Transform(
    lambda parts: parts[0].transpose(2, 3, 0, 1)[::-1, ::-1],
    lambda ours: [ours[::-1, ::-1].transpose(2, 3, 0, 1)],
)
"""torch.nn.ConvTranspose2d (C, F, kh, kw) -> (kh, kw, C, F), rotated by 180 degrees."""
ONE_ROW = Transform(lambda parts: parts[0][0], lambda ours: [ours[None]])
"""(1, N) -> (N,)."""


def reordered(axis: int, order: Sequence[int], then: Transform = SAME) -> Transform:
    """Return a Transform that reorders one axis of their array and then applies `then`."""
    back = np.argsort(order)
    return Transform(
        lambda parts: then.read([parts[0].take(order, axis)]), lambda ours: [then.write(ours)[0].take(back, axis)]
    )


def patches(patch: int) -> Transform:
    """Return the Transform of a patch convolution (D, C, patch, patch) -> Dense (patch * patch * C, D)."""
    return Transform(
        lambda parts: parts[0].transpose(2, 3, 1, 0).reshape(-1, parts[0].shape[0]),
        lambda ours: [ours.reshape(patch, patch, -1, ours.shape[-1]).transpose(3, 2, 0, 1)],
    )


def flat_maps(channels: int) -> Transform:
    """Return the Transform of a Linear (outputs, C * H * W) -> Dense (H * W * C, outputs) on a flattened map.

    PyTorch flattens the channels first, we flatten them last.
    """

    def read(parts: Arrays) -> np.ndarray:
        outputs, inputs = parts[0].shape
        return parts[0].reshape(outputs, channels, inputs // channels).transpose(2, 1, 0).reshape(inputs, outputs)

    def write(ours: np.ndarray) -> Arrays:
        inputs, outputs = ours.shape
        return [ours.reshape(inputs // channels, channels, outputs).transpose(2, 1, 0).reshape(outputs, inputs)]

    return Transform(read, write)


def joined(part: Transform, number: int) -> Transform:
    """Return a Transform that applies `part` to each of `number` arrays and concatenates them along the last axis."""
    return Transform(
        lambda parts: np.concatenate([part.read([one]) for one in parts], axis=-1),
        lambda ours: [part.write(one)[0] for one in np.split(ours, number, axis=-1)],
    )


def flatten_last(*sizes: int) -> Transform:
    """Return the Transform that flattens the last axes, (..., *sizes) -> (..., product); one size may be -1."""
    return Transform(
        lambda parts: parts[0].reshape(*parts[0].shape[: parts[0].ndim - len(sizes)], -1),
        lambda ours: [ours.reshape(*ours.shape[:-1], *sizes)],
    )


def flatten_first(*sizes: int) -> Transform:
    """Return the Transform that flattens the first axes, (*sizes, N) -> (product, N); one size may be -1."""
    return Transform(
        lambda parts: parts[0].reshape(-1, parts[0].shape[-1]), lambda ours: [ours.reshape(*sizes, ours.shape[-1])]
    )


def linear(ours: str, theirs: str, transform: Transform = LINEAR, bias: bool = True) -> list[Rule]:
    """Return the rules for kernel and bias of a Dense, or of a convolution with its transform."""
    rules = [rule(f"{ours}/kernel", f"{theirs}.weight", transform)]
    return [*rules, rule(f"{ours}/bias", f"{theirs}.bias", SAME)] if bias else rules


def layer_norm(ours: str, theirs: str, bias: bool = True) -> list[Rule]:
    """Return the rules for scale and bias of a LayerNorm."""
    rules = [rule(f"{ours}/scale", f"{theirs}.weight", SAME)]
    return [*rules, rule(f"{ours}/bias", f"{theirs}.bias", SAME)] if bias else rules


def batch_norm(ours: str, theirs: str, transform: Transform = SAME) -> list[Rule]:
    """Return the rules for scale, bias and statistics of a BatchNorm; `ours` has no collection in front."""
    return [
        rule(f"params/{ours}/scale", f"{theirs}.weight", transform),
        rule(f"params/{ours}/bias", f"{theirs}.bias", transform),
        rule(f"batch_stats/{ours}/mean", f"{theirs}.running_mean", transform),
        rule(f"batch_stats/{ours}/var", f"{theirs}.running_var", transform),
    ]
