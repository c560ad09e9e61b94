"""Data that a user registers: images, text or an environment under a name of his own, wherever a data name goes."""

import dataclasses
import traceback
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np

from train.config.registry import Registry
from train.data.split import Arrays
from train.data.text.dataset import Corpus, Examples
from zoo.errors import UserError

Kind = Literal["images", "text", "environment"]
SPLITS = ("train", "validation", "test")
TAKEN = ("digits", "scenes", "python_docs", "dates")
VERSION = "own"


@dataclasses.dataclass(frozen=True)
class OwnData:
    """A registered data set or environment. `loader` takes no arguments; `register` says what it returns."""

    name: str
    kind: Kind
    loader: Callable[[], Any]
    class_names: tuple[str, ...] = ()


class Dynamics(NamedTuple):
    """An environment of a user: pure functions of one copy, which JAX can compile."""

    reset: Callable[[Any], tuple[Any, Any]]  # key -> observation, state
    step: Callable[[Any, Any, Any], tuple[Any, Any, Any, Any]]
    """key, state, action () -> state, observation, reward, whether the episode is over."""
    actions: int
    time_limit: int  # steps after which an episode is cut off; `data.time_limit` replaces it
    solved: float | None = None  # the mean return from which it counts as solved


DATA: Registry[OwnData] = Registry("data set")


def register(
    name: str,
    loader: Callable[..., Any],
    *,
    kind: Kind = "images",
    classes: Sequence[str] = (),
) -> None:
    """Make a data set or an environment of your own available under `name`.

    loader: called without arguments when the data are needed; it must give the same on every call. It returns
        kind "images": one split (x, y), or several by name: {"train": (x, y), "test": (x, y)}; also "validation".
            x is uint8 (N, H, W, C), or float32 (N, ...) of any shape; y (N,) holds labels 0, 1, … or, for a task
            that takes such, other numbers;
        kind "text": one split, or several by name, each a list of documents, a pair of lists (sentences and their
            translations), or a list of sentences with an array of labels;
        kind "environment": a `train.data.Dynamics`.
    classes: names of the classes; without them they are numbered.

    A split that is missing is cut from the training split, as with every other set. Raises UserError for a taken name.
    """
    if kind not in typing.get_args(Kind):
        raise UserError(f"{name}: kind must be images, text or environment, not {kind!r}")
    if not callable(loader):
        raise UserError(f"{name}: data are registered with a function that returns them, not {loader!r}")
    if name.partition("/")[0] in TAKEN or ":" in name:
        raise UserError(f"the data set name {name!r} is taken, or one that only this project may give: choose another")
    DATA.register(name, OwnData(name, kind, loader, tuple(map(str, classes))))


def kind_of(name: str) -> Kind | None:
    """The kind of a registered name; None for a name that is not registered."""
    return DATA[name].kind if name in DATA else None


def images(name: str) -> tuple[dict[str, Arrays], tuple[str, ...]]:
    """The splits of a registered set of images, and the names of its classes (none where y holds no labels)."""
    own = DATA[name]
    parts = {split: _arrays(name, split, part) for split, part in _splits(name, _load(own), tuple).items()}
    labels = [part.y for part in parts.values()]
    if len({part.shape for part in parts.values()}) > 1 or len({part.x.dtype for part in parts.values()}) > 1:
        raise UserError(f"{name}: its splits differ in the shape or the type of x")
    if not all(np.issubdtype(y.dtype, np.integer) and y.min() >= 0 for y in labels):
        return parts, ()
    count = 1 + max(int(y.max()) for y in labels)
    if own.class_names and len(own.class_names) < count:
        raise UserError(
            f"{name}: {len(own.class_names)} names of classes were given, and y has labels up to {count - 1}"
        )
    return parts, own.class_names or tuple(map(str, range(count)))


def text(name: str) -> Corpus:
    """A registered set of text."""
    own = DATA[name]
    parts = {split: _examples(name, split, part) for split, part in _splits(name, _load(own), (list, tuple)).items()}
    labels = [part.labels for part in parts.values() if part.labels is not None]
    count = 1 + max((int(y.max()) for y in labels), default=-1)
    return Corpus(name, VERSION, parts, own.class_names or tuple(map(str, range(count))))


def dynamics(name: str) -> Dynamics:
    """A registered environment."""
    found = _load(DATA[name])
    if not isinstance(found, Dynamics):
        raise UserError(f"{name}: its loader must return a train.data.Dynamics, not {type(found).__name__}")
    return found


def _load(own: OwnData) -> Any:
    """What the loader returns; UserError with the line of the user's file where it raises an exception."""
    try:
        return own.loader()
    except UserError:
        raise
    except Exception as error:
        frames = traceback.extract_tb(error.__traceback__)[1:]
        file = getattr(getattr(own.loader, "__code__", None), "co_filename", None)
        last = ([frame for frame in frames if frame.filename == file] or frames or [None])[-1]
        where = f"{last.filename}, line {last.lineno}: " if last else ""
        said = (str(error).strip().splitlines() or [""])[0]
        raise UserError(f"{own.name}: {where}{type(error).__name__}: {said}") from error


def _splits(name: str, found: Any, whole: type | tuple[type, ...]) -> dict[str, Any]:
    """What a loader returned, by split; one split alone is the training split."""
    if isinstance(found, whole):
        return {"train": found}
    if not isinstance(found, Mapping) or "train" not in found or not set(found) <= set(SPLITS):
        said = f"splits {sorted(map(str, found))}" if isinstance(found, Mapping) else type(found).__name__
        raise UserError(f"{name}: its loader must return a dict of train, validation and test, not {said}")
    return dict(found)


def _arrays(name: str, split: str, part: Any) -> Arrays:
    if not isinstance(part, tuple | list) or len(part) != 2:
        raise UserError(f"{name}: its {split} split must be a pair (x, y), not {type(part).__name__}")
    x, y = (np.asarray(each) for each in part)
    floating, whole = np.issubdtype(x.dtype, np.floating), np.issubdtype(y.dtype, np.integer)
    x = x.astype(np.float32) if floating else x
    if not len(x) or y.shape != (len(x),):
        raise UserError(f"{name}: its {split} split has x of shape {x.shape} and y of shape {y.shape}: y must be (N,)")
    if not floating and (x.dtype != np.uint8 or x.ndim != 4):
        raise UserError(f"{name}: x must be uint8 (N, H, W, C) or float32 (N, ...), not {x.dtype} {x.shape}")
    if not np.issubdtype(y.dtype, np.number) or (floating and not np.isfinite(x).all()):
        raise UserError(f"{name}: its {split} split holds values that are no numbers")
    return Arrays(x, y.astype(np.int32 if whole else np.float32))


def _examples(name: str, split: str, part: Any) -> Examples:
    if isinstance(part, str):
        part = [part]
    if isinstance(part, tuple) and len(part) == 2:
        texts, second = list(part[0]), part[1]
        if len(texts) != len(second):
            raise UserError(
                f"{name}: its {split} split has {len(texts)} sentences and {len(second)} of what goes with them"
            )
        if len(second) and isinstance(second[0], str):
            return Examples(texts, list(second))
        return Examples(texts, labels=np.asarray(second).astype(np.int32))
    texts = list(part) if isinstance(part, list | tuple) else []
    if not texts or not all(isinstance(each, str) for each in texts):
        raise UserError(
            f"{name}: its {split} split must be a list of texts, or a pair of lists, not {type(part).__name__}"
        )
    return Examples(texts)
