"""`zoo data prepare NAME`: run TFDS's builder, which writes array_record, without TensorFlow where possible."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from train.data.tfds import read
from train.data.tfds.without_tensorflow import NeedsTensorFlow, stand_in
from zoo.errors import UserError, unknown

CONNECT_SECONDS = 5
"""Timeout of a server. TFDS itself would retry for minutes."""


def prepare(name: str, data_dir: Path | None = None) -> Path:
    """Download and prepare a TFDS data set (`mnist`, `emnist/balanced`) if it is not there. Returns its folder.

    data_dir: by default $TFDS_DATA_DIR, else ~/tensorflow_datasets. Archives that are under `data_dir/downloads` are
    not downloaded again. The folder of a data set appears only when it is complete. Raises UserError with one line.
    """
    root = read.data_dir() if data_dir is None else Path(data_dir).expanduser()
    builder = _builder(name, root)
    target = Path(os.fspath(builder.data_path))
    if builder.is_prepared():
        return target
    read.array_record()  # reports a missing package before anything is downloaded
    import tensorflow_datasets as tfds

    config = tfds.download.DownloadConfig(try_download_gcs=False)
    try:
        with stand_in(), _quick_network_check():
            builder.download_and_prepare(download_config=config, file_format="array_record")
    except Exception as error:  # the builders are 445 scripts by different authors, which can raise any exception
        raise _explained(name, builder, error) from error
    return target


def _builder(name: str, root: Path) -> Any:
    """Return TFDS's builder for a name with its optional config and version."""
    import tensorflow_datasets as tfds

    base, _, config = name.partition(":")[0].partition("/")
    if base not in (names := read.registered()):
        raise unknown("TFDS data set", base, names)
    try:
        with stand_in():
            configs = list(tfds.builder_cls(base).builder_configs)
            if config and config not in configs:
                raise unknown(f"config of {base}", config, configs) if configs else UserError(f"{base} has no configs")
            return tfds.builder(name, data_dir=root, file_format="array_record")
    except UserError:
        raise
    except Exception as error:  # see `prepare`
        raise _explained(name, None, error) from error


@contextlib.contextmanager
def _quick_network_check() -> Iterator[None]:
    """Make downloads from an unreachable server fail within seconds. Files that are already there need no server."""
    from tensorflow_datasets.core.download import downloader

    download = downloader._Downloader._sync_download

    def checked(self: Any, url: str, *arguments: Any, **options: Any) -> Any:
        if url.startswith("http"):
            try:
                urlopen(Request(url, method="HEAD"), timeout=CONNECT_SECONDS).close()
            except HTTPError as error:
                error.close()  # the server has answered
            except OSError:
                raise UserError(f"no answer from {urlsplit(url).netloc}; is there a network?") from None
        return download(self, url, *arguments, **options)

    downloader._Downloader._sync_download = checked
    try:
        yield
    finally:
        downloader._Downloader._sync_download = download


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and its causes, the innermost last."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _explained(name: str, builder: Any, error: Exception) -> UserError:
    """Return the one-line error for any exception of a builder."""
    first_line = next(line for line in [*str(error).splitlines(), type(error).__name__] if line.strip())
    for cause in _chain(error):
        if isinstance(cause, UserError):
            return UserError(f"{name} could not be prepared: {cause}")
        missing = cause.name if isinstance(cause, ModuleNotFoundError) else None
        if isinstance(cause, NeedsTensorFlow) or missing == "tensorflow":
            wanted = getattr(cause, "wanted", "import tensorflow")
            return UserError(
                f"{name} cannot be prepared without TensorFlow ({wanted}): `pip install tensorflow` and try again; "
                "reading it will not need TensorFlow"
            )
        if missing:
            return UserError(f"preparing {name} needs another package: `pip install {missing}` and try again")
        if isinstance(cause, AssertionError) and "Manual directory" in str(cause):
            folder = str(cause).split()[2]
            return UserError(
                f"{name} cannot be downloaded automatically: download its files from {builder.info.homepage} and put "
                f"them into {folder}"
            )
        if isinstance(cause, OSError) and cause.strerror:
            return UserError(f"{name} could not be prepared: {cause.strerror} ({cause.filename})")
    return UserError(f"{name} could not be prepared: {type(error).__name__}: {first_line.strip()[:200]}")
