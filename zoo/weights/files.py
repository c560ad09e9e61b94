"""Open weights: a safetensors file, a sharded one with its index, an npz, or a Hugging Face folder.

Arrays are read one at a time, when they are needed, so the file is never in memory as a whole. No pickle is ever
opened. Every problem with a file is a UserError of one line that names the file.
"""

import contextlib
import dataclasses
import os
import shlex
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from safetensors import SafetensorError, safe_open

from zoo.errors import UserError
from zoo.files import is_file_name, read_json

if TYPE_CHECKING:
    from zoo.weights.table import Row

PICKLES = (".pth", ".pt", ".bin", ".ckpt", ".pkl", ".pickle", ".msgpack", ".h5")
INDEX = "model.safetensors.index.json"
CONVERT = (
    'python -c "import sys, torch; from safetensors.torch import save_file; '
    "files = [torch.load(f, weights_only=True, map_location='cpu') for f in sys.argv[1:-1]]; "
    "d = {k: v for f in files for k, v in f.get('state_dict', f.get('model', f)).items() if torch.is_tensor(v)}; "
    'save_file({k: v.clone().contiguous() for k, v in d.items()}, sys.argv[-1])" '
)
NO_WEIGHTS = ("optimizer", "scheduler", "scaler", "rng_state", "training_args")
"""Beginnings of the names of pickles that trainers put beside the weights."""
DTYPES = ("BOOL", "U8", "I8", "U16", "I16", "F16", "BF16", "U32", "I32", "F32", "U64", "I64", "F64")
"""The types in a safetensors file that NumPy has, BF16 with JAX's help."""
NPZ_MARK = b"zoo "
"""The beginning of the comment of an npz in which `save_weights` records what a safetensors file has as metadata."""
SHORT = 10
"""Number of names that a message lists; then it says how many more there are."""


class Tensor(NamedTuple):
    """One array in a file: its shape, and a function that reads it."""

    shape: tuple[int, ...]
    read: Callable[[], np.ndarray]


@dataclasses.dataclass(frozen=True)
class Opened:
    """A source of weights: arrays by name, and the metadata that came with them."""

    name: str  # for messages
    tensors: Mapping[str, Tensor]
    metadata: Mapping[str, str] = dataclasses.field(default_factory=dict)  # of a safetensors file
    config: Mapping[str, Any] = dataclasses.field(default_factory=dict)  # config.json of a folder
    preprocessor: Mapping[str, Any] = dataclasses.field(default_factory=dict)  # preprocessor_config.json of a folder
    folder: Path | None = None
    row: "Row | None" = None  # of the table, for weights by name


def listed(names: list[str]) -> str:
    """Join the first ten names and say how many more there are: "a, b and 3 more"."""
    more = f" and {len(names) - SHORT} more" if len(names) > SHORT else ""
    return ", ".join(names[:SHORT]) + more


def open_path(path: str | os.PathLike[str]) -> Opened:
    """Open the file or folder at `path`. UserError if it cannot contain weights."""
    path = Path(path).expanduser()
    if path.is_dir():
        return _open_folder(path)
    if not path.exists():
        raise UserError(f"no file or folder at {path}")
    if path.suffix == ".npz":
        tensors, metadata = _open_npz(path)
        return Opened(str(path), tensors, metadata, folder=path.parent)
    if path.name.endswith(".safetensors.index.json"):
        return dataclasses.replace(_open_index(path), **_beside(path.parent))
    _refuse_pickle(path)
    tensors, metadata = open_safetensors(path)
    return Opened(str(path), tensors, metadata, **_beside(path.parent))


def merged(parts: Mapping[str, Opened]) -> Opened:
    """Merge several sources into one; the key becomes a prefix of the names: "netG" -> "netG.main.0.weight"."""
    tensors = {f"{lead}.{name}": tensor for lead, part in parts.items() for name, tensor in part.tensors.items()}
    return Opened(" + ".join(part.name for part in parts.values()), tensors)


def open_safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return (arrays, metadata) of a safetensors file. The header is checked, but no array is read."""
    start = _start(path)
    if (other := _foreign(start)) is not None:
        raise UserError(f"{path} is not a safetensors file: it is {other}")
    with _reading(path):
        # Positioned reads ("pread") instead of memory mapping: mapped pages would count as this process's memory.
        file = safe_open(path, framework="numpy", backend="pread")
        slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118
        shapes = {name: tuple(part.get_shape()) for name, part in slices.items()}
    for name, part in slices.items():
        if part.get_dtype() not in DTYPES:
            raise UserError(f"{path}: {name} is {part.get_dtype()}, which NumPy does not have: convert it to F16")

    def reader(name: str) -> Callable[[], np.ndarray]:
        def read() -> np.ndarray:
            with _reading(path):
                return file.get_tensor(name)

        return read

    return {name: Tensor(shape, reader(name)) for name, shape in shapes.items()}, dict(file.metadata() or {})


def _open_npz(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return (arrays, metadata) of an npz file; only headers are read. Arrays of Python objects are refused."""
    tensors = {}
    with _reading(path):
        archive = zipfile.ZipFile(path)
        for entry in archive.namelist():
            with archive.open(entry) as file:
                version = np.lib.format.read_magic(file)
                head = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
                shape, _, dtype = head(file)
            if dtype.hasobject:
                raise UserError(f"{path}: {entry} contains Python objects, that is a pickle, which is not opened")
            tensors[entry.removesuffix(".npy")] = Tensor(shape, _npz_reader(path, archive, entry))
        ours = archive.comment.startswith(NPZ_MARK)
        metadata = {"zoo": archive.comment.removeprefix(NPZ_MARK).decode()} if ours else {}
    return tensors, metadata


def _npz_reader(path: Path, archive: zipfile.ZipFile, entry: str) -> Callable[[], np.ndarray]:
    def read() -> np.ndarray:
        with _reading(path), archive.open(entry) as file:
            return np.lib.format.read_array(file, allow_pickle=False)

    return read


def _open_folder(folder: Path) -> Opened:
    """Open model.safetensors, otherwise the shards of the index, otherwise the only safetensors or npz file."""
    around = _beside(folder)
    if (folder / "model.safetensors").is_file():
        tensors, metadata = open_safetensors(folder / "model.safetensors")
        return Opened(str(folder), tensors, metadata, **around)
    if (folder / INDEX).is_file():
        return dataclasses.replace(_open_index(folder / INDEX), **around)
    found = sorted(path for path in folder.iterdir() if path.suffix in (".safetensors", ".npz"))
    if len(found) == 1:
        return dataclasses.replace(open_path(found[0]), **around)
    if found:
        shards = [path.name for path in found if "-of-" in path.name]
        hint = f"the shards need their index, {INDEX}" if shards else "name one of them"
        raise UserError(f"{folder} has {len(found)} weight files ({listed([p.name for p in found])}): {hint}")
    if pickles := _pickles(folder):
        _refuse_pickle(*pickles, target=folder / "model.safetensors")
    raise UserError(f"{folder} contains no weights: no model.safetensors, {INDEX}, .safetensors or .npz")


def _open_index(index: Path) -> Opened:
    """Open the shards that an index names. UserError if one is missing, or if an array is not where the index says."""
    content = read_json(index)
    places = content.get("weight_map") if isinstance(content, Mapping) else None
    if not isinstance(places, Mapping) or not all(isinstance(name, str) for name in places.values()):
        raise UserError(f"{index} is not an index of shards: it has no weight_map")
    if not places:
        raise UserError(f"{index} is an index of no arrays: its weight_map is empty")
    names = sorted(set(places.values()))
    if outside := [name for name in names if not is_file_name(name)]:
        raise UserError(f"{index} names files outside its folder: {listed(outside)}")
    if gone := [name for name in names if not (index.parent / name).is_file()]:
        raise UserError(f"{index.parent}: {len(gone)} of {len(names)} shards are missing: {listed(gone)}")
    shards = {name: open_safetensors(index.parent / name) for name in names}
    if lost := [key for key, name in places.items() if key not in shards[name][0]]:
        raise UserError(f"{index}: {len(lost)} arrays are not in the shards it names for them: {listed(lost)}")
    tensors = {key: shards[name][0][key] for key, name in places.items()}
    return Opened(str(index.parent), tensors, shards[names[0]][1])


def _beside(folder: Path) -> dict[str, Any]:
    """Read the config files that Hugging Face stores next to weights."""
    found: dict[str, Any] = {"folder": folder}
    for field, name in (("config", "config.json"), ("preprocessor", "preprocessor_config.json")):
        if (folder / name).is_file():
            found[field] = content = read_json(folder / name)
            if not isinstance(content, dict):
                raise UserError(f"{folder / name} must be a JSON object, not {str(content)[:60]!r}")
    return found


def _pickles(folder: Path) -> list[Path]:
    """Return the pickle that holds the weights of a folder, or its shards; [] if it has none."""
    found = sorted(path for path in folder.iterdir() if path.suffix in PICKLES)
    found = [path for path in found if not path.name.startswith(NO_WEIGHTS)] or found
    torch = [path for path in found if path.suffix not in (".msgpack", ".h5")] or found
    shards = [path for path in torch if "-of-" in path.name]
    usual = [path for path in torch if path.name == "pytorch_model.bin"]
    return usual or shards or torch[:1]


def _refuse_pickle(path: Path, *more: Path, target: Path | None = None) -> None:
    """Raise UserError for a pickle, or one in several files; it says how to convert them to `target`."""
    start = _start(path)
    if path.suffix in (".msgpack", ".h5"):
        raise UserError(f"{path}: {path.suffix} files are not supported; save the weights as safetensors or npz")
    protocol = start[:1] == b"\x80" and start[1:2] in (b"\2", b"\3", b"\4", b"\5") and start[8:9] != b"{"
    if path.suffix in PICKLES or start.startswith(b"PK") or protocol:  # a safetensors header may also start with 0x80
        files = [str(each) for each in (path, *more, target or path.with_suffix(".safetensors"))]
        raise UserError(
            f"{path} is a pickle, which can run any program when it is opened, so it is not read here; "
            f"if PyTorch is installed, convert it to safetensors: {CONVERT}{shlex.join(files)}"
        )


def _start(path: Path) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(512)
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from None


def _foreign(start: bytes) -> str | None:
    """Return what a file is, by its first bytes, if it is something that people save by mistake."""
    head = start.lstrip()[:64].lower()
    if head.startswith((b"<!doctype", b"<html", b"<?xml", b"<head")):
        return "a web page, probably the error of a failed download"
    if head.startswith(b"version https://git-lfs"):
        return "a Git LFS pointer: fetch the file itself with `git lfs pull`"
    if head.startswith(b"{"):
        return "JSON text"
    if not start:
        return "empty"
    return None


@contextlib.contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Convert the libraries' errors about a damaged file to a UserError of one line."""
    try:
        yield
    except UserError:
        raise
    except SafetensorError as error:
        raise UserError(f"{path} is damaged or not a safetensors file: {_first_line(error)}") from None
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or _first_line(error)}") from error
    except Exception as error:  # zipfile, zlib and NumPy raise many types, RuntimeError for an encrypted entry
        raise UserError(f"{path} is damaged: {_first_line(error)}") from error


def _first_line(error: Exception) -> str:
    line = (str(error).splitlines() or [type(error).__name__])[0][:160]
    return line.removeprefix("Error while deserializing header: ")
