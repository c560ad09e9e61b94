"""`datasets:NAME`: sets that the library `datasets` reads, of the Hugging Face hub or of this machine.

NAME is `owner/name` or `owner/name/config` on the hub, or here a folder that `save_to_disk` wrote, a folder of Parquet,
JSON, CSV or image files, or one such file; FOLDER/config where a folder has several configs. The library runs no code
of a data set (it stopped to with version 4), and pickles are refused.
"""

import importlib
import re
import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from train.data.images.folder import SPLIT_OF as SPLITS
from zoo.errors import UserError

NAME = re.compile(r"[\w.-]+(/[\w.-]+){0,2}")
FORMATS = {".parquet": "parquet", ".arrow": "arrow", ".json": "json", ".jsonl": "json", ".csv": "csv", ".tsv": "csv"}
SAVED = ("dataset_dict.json", "state.json")
"""A folder with one of these files was written by `save_to_disk`."""
LABELS = ("label", "labels", "class", "target")


class Opened(NamedTuple):
    """A set by its splits: role (train, validation, test) -> `datasets.Dataset`, all of the same columns."""

    name: str
    splits: dict[str, Any]

    @property
    def features(self) -> dict[str, Any]:
        """Column -> its feature, as `datasets` describes it."""
        return dict(self.splits["train"].features)

    def shown(self) -> str:
        """The columns, for a message."""
        return ", ".join(f"{column} ({kind_of(feature)})" for column, feature in self.features.items())


def library(name: str) -> Any:
    """The module `datasets`; UserError where it is not installed."""
    try:
        return importlib.import_module("datasets")
    except ImportError as error:
        missing = "" if error.name in (None, "datasets") else f" ({error.name} is missing)"
        raise UserError(
            f"datasets:{name} needs the library datasets, the extra `datasets`{missing}: "
            "pip install 'zoo-timeline[datasets]'"
        ) from None


def require_possible(path: str) -> None:
    """Raise UserError unless the library is installed and `path` can be a name. Nothing is looked up."""
    if not path or not (Path(path).expanduser().exists() or _of_config(path) or NAME.fullmatch(path)):
        raise UserError(
            f"datasets:{path}: there is no such folder, and it is no name on the hub, such as owner/name or "
            "owner/name/config"
        )
    library(path)


def find(path: str) -> Opened:
    """Open a set. UserError for whatever the library raises: no network, no such set, a damaged file."""
    require_possible(path)
    datasets, name = library(path), f"datasets:{path}"
    if not sys.stderr.isatty():
        datasets.disable_progress_bars()
    for each in (datasets, importlib.import_module("huggingface_hub")):  # what they log is in the error that they raise
        each.logging.set_verbosity(each.logging.CRITICAL)
    try:
        found = _open(datasets, path)
    except UserError:
        raise
    except Exception as error:  # the library, its formats and its file systems raise many types
        raise UserError(_line(name, error)) from None
    if not isinstance(found, dict):
        found = {"train": found}
    splits = {SPLITS[split]: part for split, part in found.items() if split in SPLITS and len(part)}
    if "train" not in splits:
        raise UserError(f"{name} has no split train, only {', '.join(found) or 'none at all'}")
    for split, part in splits.items():
        if list(part.features) != list(splits["train"].features):
            raise UserError(f"{name}: the columns of {split} are not those of train")
    return Opened(name, splits)


def _open(datasets: Any, path: str) -> Any:
    place = Path(path).expanduser()
    if place.is_dir():
        if any((place / file).is_file() for file in SAVED):
            return datasets.load_from_disk(str(place))
        return datasets.load_dataset(str(place))
    if place.is_file():
        if place.suffix not in FORMATS:
            raise UserError(f"datasets:{path}: a file must be one of {', '.join(FORMATS)}")
        options = {"sep": "\t"} if place.suffix == ".tsv" else {}
        return datasets.load_dataset(FORMATS[place.suffix], data_files=str(place), **options)
    if (folder := _of_config(path)) is not None:
        return datasets.load_dataset(str(folder), place.name)
    repository, _, config = path.partition("/")
    if path.count("/") == 2:
        owner, repository, config = path.split("/")
        return datasets.load_dataset(f"{owner}/{repository}", config)
    try:
        return datasets.load_dataset(path)
    except datasets.exceptions.DatasetNotFoundError:
        if not config:
            raise
    return datasets.load_dataset(repository, config)  # an old name without an owner


def _of_config(path: str) -> Path | None:
    """The folder of FOLDER/config; None where `path` is something else."""
    place = Path(path).expanduser()
    return place.parent if not place.exists() and "/" in path and place.parent.is_dir() else None


def _line(name: str, error: Exception) -> str:
    """One line for what the library raised."""
    reason = " ".join(str(error).split())[:240] or type(error).__name__
    if isinstance(error, ConnectionError) or "OfflineMode" in type(error).__name__:
        return (
            f"{name}: the hub cannot be reached, and the set is not in the library's cache ({reason}); with "
            "HF_HUB_OFFLINE=1 only that is used"
        )
    if "Config name is missing" in reason:
        configs = re.search(r"\[.*?\]", reason)
        return f"{name} has several configs: name one, as in {name}/CONFIG; there are {configs and configs[0]}"
    return f"{name} cannot be opened ({type(error).__name__}: {reason})"


def kind_of(feature: Any) -> str:
    """The name of a feature's type: "Image", "ClassLabel", "string", "int64"."""
    return str(getattr(feature, "dtype", "")) if type(feature).__name__ == "Value" else type(feature).__name__


def label_column(opened: Opened) -> str | None:
    """The column of the class: the only ClassLabel, or one called label; None where there is none.

    Raises UserError where several could be it.
    """
    features = opened.features
    classes = [column for column, feature in features.items() if kind_of(feature) == "ClassLabel"]
    called = [column for column in features if column.lower() in LABELS]
    for candidates in ([column for column in called if column in classes], classes, called):
        if len(candidates) == 1:
            return candidates[0]
        if candidates:
            raise UserError(
                f"{opened.name} has several columns of classes ({', '.join(candidates)}): keep one, with "
                "remove_columns and save_to_disk"
            )
    return None


def labels(opened: Opened, column: str) -> tuple[dict[str, np.ndarray], tuple[str, ...] | None]:
    """The labels of each split, whole numbers or words, and the names of the classes if the set has them.

    A split whose labels are kept secret, all of them -1, is left out.
    """
    found = {}
    for split, part in opened.splits.items():
        values = part.select_columns([column])[:][column]
        if any(value is None for value in values):
            raise UserError(f"{opened.name}: example {values.index(None)} of {split} has no {column}")
        y = np.array(values)
        if y.ndim != 1 or y.dtype.kind not in "biuU":
            kind = kind_of(opened.features[column])
            raise UserError(
                f"{opened.name}: the column {column} is of the type {kind}: a class is a whole number or a word"
            )
        if split == "train" or y.dtype.kind == "U" or (y != -1).any():
            found[split] = y.astype(np.int64) if y.dtype.kind == "b" else y
    names = getattr(opened.features[column], "names", None)
    return found, None if names is None else tuple(map(str, names))
