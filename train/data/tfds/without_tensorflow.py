"""Replacements of the few TensorFlow functions that TFDS's image builders call, in Python and Pillow.

TFDS needs TensorFlow to read an archive (`tf.io.gfile`) and to encode an array (`tf.image.encode_png`), but not to read
the result. `stand_in` temporarily puts these functions in the place of TFDS's lazily imported TensorFlow. This uses
internals of TFDS, so only tested versions are supported. A builder that uses any other function fails with
`NeedsTensorFlow` and never writes wrong data.
"""

import contextlib
import glob
import importlib.util
import io
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import IO, Any

import numpy as np
from PIL import Image

TESTED = ("4.9.10",)
"""Versions of tensorflow-datasets that were tested: their prepared data equal those prepared with TensorFlow."""


class NeedsTensorFlow(Exception):
    """A function of TensorFlow is needed that is not among those below. `wanted` is its name."""

    def __init__(self, wanted: str) -> None:
        super().__init__(wanted)
        self.wanted = wanted


class Module:
    """A namespace that raises NeedsTensorFlow for a missing name."""

    def __init__(self, path: str, **members: Any) -> None:
        self.__dict__.update(members, _path=path)

    def __getattr__(self, name: str) -> Any:
        raise NeedsTensorFlow(f"{self._path}.{name}")


def _encoded(image: np.ndarray, **options: Any) -> SimpleNamespace:
    """Encode uint8 (H, W, 1 to 4) as an image file. The result has a `numpy` method like an eager tensor."""
    if image.dtype != np.uint8:
        raise NeedsTensorFlow(f"tf.image.encode of {image.dtype}")
    buffer = io.BytesIO()
    Image.fromarray(image.squeeze(2) if image.shape[2] == 1 else image).save(buffer, **options)
    return SimpleNamespace(numpy=buffer.getvalue)


def encode_png(image: np.ndarray) -> SimpleNamespace:
    return _encoded(image, format="PNG")


def encode_jpeg(image: np.ndarray, quality: int = 95) -> SimpleNamespace:
    return _encoded(image, format="JPEG", quality=quality)


def as_text(value: str | bytes | os.PathLike) -> str:
    value = os.fspath(value) if isinstance(value, os.PathLike) else value
    return value.decode() if isinstance(value, bytes) else value


def _open(path: str | os.PathLike, mode: str = "r") -> IO[Any]:
    return open(path, mode, encoding=None if "b" in mode else "utf-8")


def _listdir(path: str | os.PathLike) -> list[str]:
    return sorted(os.listdir(path))


def _glob(pattern: str | os.PathLike | list) -> list[str]:
    patterns = pattern if isinstance(pattern, list) else [pattern]
    return sorted(name for one in patterns for name in glob.glob(os.fspath(one)))


def _makedirs(path: str | os.PathLike) -> None:
    Path(path).mkdir(parents=True, exist_ok=True)


def _copy(source: str | os.PathLike, target: str | os.PathLike, overwrite: bool = False) -> None:
    if not overwrite and os.path.exists(target):
        raise FileExistsError(target)
    shutil.copyfile(source, target)


GFILE = Module(
    "tf.io.gfile",
    GFile=_open,
    exists=os.path.exists,
    isdir=os.path.isdir,
    listdir=_listdir,
    glob=_glob,
    walk=os.walk,
    makedirs=_makedirs,
    copy=_copy,
)
TENSORFLOW = Module(
    "tf",
    io=Module("tf.io", gfile=GFILE),
    image=Module("tf.image", encode_png=encode_png, encode_jpeg=encode_jpeg),
    compat=Module("tf.compat", as_text=as_text),
    executing_eagerly=lambda: True,
)


@contextlib.contextmanager
def stand_in() -> Iterator[None]:
    """Give TFDS the functions above in place of TensorFlow, within this context. Does nothing if TensorFlow is there.

    Raises NeedsTensorFlow for an untested version of TFDS.
    """
    if importlib.util.find_spec("tensorflow"):
        yield
        return
    import tensorflow_datasets as tfds
    from tensorflow_datasets.core.utils import lazy_imports_utils

    if tfds.__version__ not in TESTED:
        raise NeedsTensorFlow(f"tensorflow-datasets {tfds.__version__} (without it only {', '.join(TESTED)})")
    held = lazy_imports_utils.tensorflow.__dict__  # a lazy module keeps the imported module in "_module"
    held["_module"] = TENSORFLOW
    try:
        yield
    finally:
        del held["_module"]
