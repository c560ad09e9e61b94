"""What a run keeps of its data: the numbers that its weights need, and digests that show whether the data have changed.

A run is thereby used without its data (`zoo predict`, `zoo export`), normalizes as it did in training whatever has been
added to them since, and is not evaluated on other classes in silence.
"""

import dataclasses
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from train.data import decode
from train.data.split import Dataset
from train.data.text.dataset import Part, TextDataset
from zoo.errors import UserError
from zoo.files import parse_json, require_as_written

FILE = "data.json"
SPLITS = ("train", "validation", "test")


class SplitRecord(NamedTuple):
    """One split: how many examples it has, and a digest of them."""

    examples: int
    digest: str


@dataclasses.dataclass(frozen=True)
class Record:
    """What a run keeps of its data. Of text: without `shape`, `mean`, `std` and `decoder`."""

    name: str
    version: str
    class_names: tuple[str, ...]
    splits: Mapping[str, SplitRecord]
    shape: tuple[int, ...] = ()  # of one example
    mean: tuple[float, ...] = ()  # of each channel, of pixels scaled to 0..1
    std: tuple[float, ...] = ()
    decoder: str = ""  # what turned files into pixels

    def to_json(self) -> dict[str, Any]:
        return dataclasses.asdict(self) | {"splits": {name: part._asdict() for name, part in self.splits.items()}}

    def changed(self, now: "Record", *splits: str) -> list[str]:
        """Say in what those of the `splits` that can be compared differ from `now`, such as "test has 7 examples"."""
        found = []
        for split in splits:
            before, after = self.splits[split], now.splits[split]
            if before.examples != after.examples:
                found.append(f"{split} has {after.examples:,} examples, and had {before.examples:,}")
            # Digests of files and of pixels cannot be compared: whether they are read while training may change.
            elif before.digest != after.digest and before.digest.split()[0] == after.digest.split()[0]:
                found.append(f"{split} has other examples")
        return found


def record(dataset: Any) -> Record | None:
    """The record of a data set; None for an environment, which has no examples."""
    if isinstance(dataset, TextDataset):
        splits = {name: _of_text(getattr(dataset, name)) for name in SPLITS}
        return Record(dataset.name, dataset.version, dataset.class_names, splits)
    return of_images(dataset) if isinstance(dataset, Dataset) else None


def of_images(dataset: Dataset) -> Record:
    """The record of a set of images."""
    parts = {name: getattr(dataset, name) for name in SPLITS}
    splits = {name: SplitRecord(len(part), part.store.digest(part.indices)) for name, part in parts.items()}
    mean, std = (tuple(map(float, each)) for each in (dataset.mean, dataset.std))
    names = (dataset.name, dataset.version, dataset.class_names)
    return Record(*names, splits, dataset.shape, mean, std, decode.STAMP)


def _of_text(part: Part) -> SplitRecord:
    found = hashlib.blake2b(digest_size=16)
    for name, leaf in sorted(part.arrays.items()):
        found.update(repr((name, leaf.dtype.str, leaf.shape)).encode())
        found.update(np.ascontiguousarray(leaf).data)
    return SplitRecord(len(part), f"tokens {found.hexdigest()}")


def read(folder: Path, name: str = FILE) -> Record | None:
    """The record in a run's folder; None in a run of before there were records. UserError where it is damaged.

    name: of its file.
    """
    file = folder / name
    try:
        content = parse_json(file.read_bytes())
        require_as_written(content, file)
        splits = {
            name: SplitRecord(int(part["examples"]), str(part["digest"])) for name, part in content["splits"].items()
        }
        if set(splits) != set(SPLITS) or not all(part.digest for part in splits.values()):
            raise ValueError(f"it must have the splits {', '.join(SPLITS)}")
        return Record(
            str(content["name"]),
            str(content["version"]),
            tuple(map(str, content["class_names"])),
            splits,
            tuple(map(int, content["shape"])),
            tuple(map(float, content["mean"])),
            tuple(map(float, content["std"])),
            str(content["decoder"]),
        )
    except FileNotFoundError:
        return None
    except UserError:
        raise
    except OSError as error:
        raise UserError(f"cannot read {file}: {error.strerror}") from None
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise UserError(f"{file} is damaged ({type(error).__name__}: {error}): restore it from a copy") from None
