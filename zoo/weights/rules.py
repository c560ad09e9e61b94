"""How the arrays of a layout become ours and ours become theirs: one table for both ways.

A `Rule` says which arrays of the other library make one of ours, and by which `Transform`, a pair of functions each of
which undoes the other. So what was exported reads back bit by bit, and a shape is known before anything is read:
it is the shape that `write` gives.
"""

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

Arrays = list[np.ndarray]


class Transform(NamedTuple):
    """`read` makes one array of ours from one or more of theirs, `write` theirs from ours."""

    read: Callable[[Arrays], np.ndarray]
    write: Callable[[np.ndarray], Arrays]


class Split(NamedTuple):
    """A `Transform` for several arrays of ours that are parts of the same ones of theirs."""

    read: Callable[[Arrays], Arrays]
    write: Callable[[Arrays], Arrays]


@dataclasses.dataclass(frozen=True)
class Rule:
    """An array of ours, by its path "params/stem/conv/kernel", and those that it is made of."""

    ours: tuple[str, ...]  # one path, or with a Split several
    theirs: tuple[str, ...]
    transform: Transform | Split
    copies: tuple[str, ...] = ()  # names under which a file may hold the first of `theirs` once more (tied weights)

    def read(self, parts: Arrays) -> dict[str, np.ndarray]:
        """Ours, by path, from theirs."""
        made = self.transform.read(parts)
        return dict(zip(self.ours, made if isinstance(self.transform, Split) else [made], strict=True))

    def write(self, arrays: Mapping[str, np.ndarray]) -> Arrays:
        """Theirs from ours by path."""
        ours = [arrays[path] for path in self.ours]
        return self.transform.write(ours if isinstance(self.transform, Split) else ours[0])

    def shapes(self, ours: Mapping[str, tuple[int, ...]]) -> list[tuple[int, ...]]:
        """Of `theirs`, from those of ours by path. Arrays that are one number repeated take no memory."""
        return [
            part.shape for part in self.write({path: np.broadcast_to(np.float32(0), ours[path]) for path in self.ours})
        ]


def rule(ours: str, theirs: str | Sequence[str], transform: Transform, copies: Sequence[str] = ()) -> Rule:
    return Rule((ours,), (theirs,) if isinstance(theirs, str) else tuple(theirs), transform, tuple(copies))


def transposed(*axes: int) -> Transform:
    """Axes of theirs in the order in which ours has them."""
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
"""torch.nn.ConvTranspose2d (C, F, kh, kw), scatters its kernel; ours (kh, kw, C, F) slides: turned around."""
ONE_ROW = Transform(lambda parts: parts[0][0], lambda ours: [ours[None]])
"""(1, N) -> (N,)."""


def reordered(axis: int, order: Sequence[int], then: Transform = SAME) -> Transform:
    """Places along one axis of theirs in another order, then `then`."""
    back = np.argsort(order)
    return Transform(
        lambda parts: then.read([parts[0].take(order, axis)]), lambda ours: [then.write(ours)[0].take(back, axis)]
    )


def patches(patch: int) -> Transform:
    """A convolution (D, C, patch, patch) of stride `patch` -> Dense (patch * patch * C, D) of the pixels of a patch."""
    return Transform(
        lambda parts: parts[0].transpose(2, 3, 1, 0).reshape(-1, parts[0].shape[0]),
        lambda ours: [ours.reshape(patch, patch, -1, ours.shape[-1]).transpose(3, 2, 0, 1)],
    )


def flat_maps(channels: int) -> Transform:
    """Linear (outputs, C * H * W) of a square map flattened channel by channel -> Dense (H * W * C, outputs) of one
    flattened place by place.
    """

    def read(parts: Arrays) -> np.ndarray:
        outputs, inputs = parts[0].shape
        side = math.isqrt(inputs // channels)
        return parts[0].reshape(outputs, channels, side, side).transpose(2, 3, 1, 0).reshape(inputs, outputs)

    def write(ours: np.ndarray) -> Arrays:
        inputs, outputs = ours.shape
        side = math.isqrt(inputs // channels)
        return [ours.reshape(side, side, channels, outputs).transpose(3, 2, 0, 1).reshape(outputs, inputs)]

    return Transform(read, write)


def joined(part: Transform, number: int) -> Transform:
    """`number` arrays of theirs, each through `part` -> one, side by side along the last axis."""
    return Transform(
        lambda parts: np.concatenate([part.read([one]) for one in parts], axis=-1),
        lambda ours: [part.write(one)[0] for one in np.split(ours, number, axis=-1)],
    )


def flatten_last(*sizes: int) -> Transform:
    """(..., *sizes) -> (..., product); -1 for one size that follows."""
    return Transform(
        lambda parts: parts[0].reshape(*parts[0].shape[: parts[0].ndim - len(sizes)], -1),
        lambda ours: [ours.reshape(*ours.shape[:-1], *sizes)],
    )


def flatten_first(*sizes: int) -> Transform:
    """(*sizes, N) -> (product, N); -1 for one size that follows."""
    return Transform(
        lambda parts: parts[0].reshape(-1, parts[0].shape[-1]), lambda ours: [ours.reshape(*sizes, ours.shape[-1])]
    )


def linear(ours: str, theirs: str, transform: Transform = LINEAR, bias: bool = True) -> list[Rule]:
    """Kernel, and bias, of a Dense (or of a convolution, by its transform)."""
    rules = [rule(f"{ours}/kernel", f"{theirs}.weight", transform)]
    return [*rules, rule(f"{ours}/bias", f"{theirs}.bias", SAME)] if bias else rules


def layer_norm(ours: str, theirs: str, bias: bool = True) -> list[Rule]:
    """Scale, and bias, of a LayerNorm."""
    rules = [rule(f"{ours}/scale", f"{theirs}.weight", SAME)]
    return [*rules, rule(f"{ours}/bias", f"{theirs}.bias", SAME)] if bias else rules


def batch_norm(ours: str, theirs: str, transform: Transform = SAME) -> list[Rule]:
    """Scale, bias and statistics of a BatchNorm; `ours` without the collection."""
    return [
        rule(f"params/{ours}/scale", f"{theirs}.weight", transform),
        rule(f"params/{ours}/bias", f"{theirs}.bias", transform),
        rule(f"batch_stats/{ours}/mean", f"{theirs}.running_mean", transform),
        rule(f"batch_stats/{ours}/var", f"{theirs}.running_var", transform),
    ]
