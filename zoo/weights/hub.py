"""Weights from and to the Hugging Face hub: hf://owner/name, or hf://owner/name@revision. Needs the extra `hub`."""

import contextlib
import os
import re
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from zoo.errors import UserError
from zoo.weights.files import CONVERT, PICKLES, listed

NAME = re.compile(r"hf://([\w.-]+/[\w.-]+)(?:@([\w./-]+))?")
WANTED = ["*.safetensors", "*.safetensors.index.json", "*.npz", "*.json", "vocab.txt", "merges.txt"]
ELSEWHERE = ["*/*"]  # subfolders: exports to other programs, older copies
SECONDS = 10.0  # that the hub may take to say what a file is
OFFLINE = ("ZOO_OFFLINE", "HF_HUB_OFFLINE")


class Remote(NamedTuple):
    """What the hub says of a file at a commit, before it is downloaded."""

    commit: str
    etag: str  # SHA-256 of a large file (its "linked ETag"), the Git hash of a small one
    bytes: int | None


def is_offline() -> bool:
    """Return whether the user has forbidden the network: ZOO_OFFLINE=1 or HF_HUB_OFFLINE=1."""
    return any(os.environ.get(name, "").lower() in ("1", "true", "yes", "on") for name in OFFLINE)


def download(name: str) -> tuple[Path, str]:
    """Download a repository and return (folder, name with the commit). Files in the cache are not downloaded again.

    With HF_HUB_OFFLINE=1 or ZOO_OFFLINE=1 only the cache is used. Pickles are never downloaded. UserError if there is
    no network, no such repository or revision, no permission, or nothing but pickles.
    """
    match = NAME.fullmatch(name)
    if match is None:
        raise UserError(f"{name!r} is not a hub name: write hf://owner/name, or hf://owner/name@revision")
    library = _library(name)
    repository, revision = match[1], match[2] or "main"
    with _explained(name, repository, revision):
        folder = library.snapshot_download(
            repository,
            revision=revision,
            allow_patterns=WANTED,
            ignore_patterns=ELSEWHERE,
            **({"local_files_only": True} if is_offline() else {}),
        )
    commit = Path(folder).name
    if not any(path.suffix in (".safetensors", ".npz") for path in Path(folder).glob("*")):  # it may not be there
        _refuse_pickles(library, name, repository, commit)
        raise UserError(f"{name} contains no weights: no .safetensors and no .npz")
    return Path(folder), f"hf://{repository}@{commit}"


def _refuse_pickles(library: Any, name: str, repository: str, commit: str) -> None:
    """Raise UserError for a repository whose weights are pickles; do nothing where that cannot be told."""
    try:
        files = library.HfApi().list_repo_files(repository, revision=commit)
    except Exception:  # no network: the message of the folder itself follows
        return
    if pickles := [file for file in files if file.endswith((*PICKLES, ".zip")) and "/" not in file]:
        raise UserError(
            f"{name} has only {listed(pickles)}, a pickle, which can run any program when it is opened, so it is not "
            f"read here: download it yourself, and convert it where PyTorch is installed: {CONVERT}{pickles[0]} "
            "model.safetensors"
        )


def describe(name: str, repository: str, revision: str, file: str) -> Remote:
    """Ask the hub for the commit, the hash and the size of a file. name: for messages."""
    library = _library(name)
    url = library.hf_hub_url(repository, file, revision=revision)
    with _explained(name, repository, revision):
        found = library.get_hf_file_metadata(url, timeout=SECONDS)
    if not found.commit_hash or not found.etag:
        raise UserError(f"{name}: the server of {url} does not say which commit and which file this is")
    return Remote(found.commit_hash, found.etag, found.size)


def download_file(name: str, repository: str, revision: str, file: str, folder: Path) -> Path:
    """Download one file of a repository into `folder`, and return its path. name: for messages."""
    library = _library(name)
    with _explained(name, repository, revision):
        return Path(library.hf_hub_download(repository, file, revision=revision, local_dir=folder))


def require_upload(name: str) -> str:
    """Return "owner/name" of hf://owner/name. UserError for another name, without a token, and offline."""
    match = NAME.fullmatch(name)
    if match is None or match[2]:
        raise UserError(f"{name!r} is no place for an upload: write hf://owner/name")
    if is_offline():
        raise UserError(f"{name} must be uploaded, and {' or '.join(OFFLINE)} forbids the network")
    library = _library(name)
    with _upload_explained(name, match[1].partition("/")[0]):
        token = library.get_token()
    if not token:
        raise UserError(f"{name} needs a token that may write: log in with `hf auth login`, or set HF_TOKEN")
    return match[1]


def upload(name: str, folder: Path, *, private: bool = False) -> str:
    """Upload the files of a folder as one commit of hf://owner/name, and return its name with that commit.

    The repository is made where it is not there; what it has stays in its history. The library takes the token from
    HF_TOKEN or its own login. UserError, one line, where the hub refuses or cannot be reached.
    """
    repository = require_upload(name)
    api = _library(name).HfApi()
    with _upload_explained(name, repository.partition("/")[0]), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the library about its own calls
        api.create_repo(repository, private=private or None, exist_ok=True)  # None: as the owner has set it
        commit = api.upload_folder(repo_id=repository, folder_path=folder, commit_message="Upload weights")
    return f"{name}@{commit.oid}"


@contextlib.contextmanager
def _upload_explained(name: str, owner: str) -> Iterator[None]:
    """Turn the errors of an upload into a UserError of one line, which never shows the token."""
    from huggingface_hub import errors

    try:
        yield
    except errors.HfHubHTTPError as error:
        status = error.response.status_code
        said = f" ({' '.join(error.server_message.split())[:160]})" if error.server_message else ""
        if status == 401:
            raise UserError(f"{name}: the hub does not know the token: `hf auth login`, or another HF_TOKEN") from None
        if status in (403, 404):
            raise UserError(f"{name}: there is no owner {owner!r}, or the token may not write there{said}") from None
        raise UserError(f"{name}: the hub refuses the upload with the status {status}{said}") from None
    except Exception as error:  # the library, its transfer programs and httpx raise many types
        raise UserError(f"{name}: nothing was uploaded, the hub cannot be reached ({_reason(error)})") from None


def _library(name: str) -> Any:
    try:
        import huggingface_hub
        from huggingface_hub.utils import disable_progress_bars
    except ImportError:
        raise UserError(f"{name} needs the library huggingface_hub: pip install 'zoo-timeline[hub]'") from None
    if not sys.stderr.isatty():
        disable_progress_bars()
    huggingface_hub.logging.set_verbosity_error()  # what it warns of is in the error that follows
    return huggingface_hub


@contextlib.contextmanager
def _explained(name: str, repository: str, revision: str) -> Iterator[None]:
    """Turn the errors of the library into a UserError of one line."""
    from huggingface_hub import errors

    try:
        yield
    except errors.GatedRepoError:
        raise UserError(
            f"{name}: access must be requested from its owner on the hub; then log in with `hf auth login`"
        ) from None
    except errors.RevisionNotFoundError:
        raise UserError(f"{name}: {repository} has no revision {revision!r}") from None
    except errors.RepositoryNotFoundError:
        raise UserError(f"{name}: there is no such repository on the hub, or it is private") from None
    except errors.RemoteEntryNotFoundError as error:
        raise UserError(f"{name}: {repository} has no such file at {revision} ({_reason(error)})") from None
    except Exception as error:  # the library, its transfer programs and httpx raise many types
        if isinstance(error, OSError) and error.errno is not None and error.filename is not None:
            raise UserError(f"{name}: cannot write {error.filename}: {error.strerror}") from None
        raise UserError(
            f"{name}: the hub cannot be reached and the files are not in the local cache ({_reason(error)})"
        ) from None


def _reason(error: BaseException) -> str:
    """Return the message of the first error in a chain, which names the cause."""
    while (cause := error.__cause__ or (None if error.__suppress_context__ else error.__context__)) is not None:
        error = cause
    return (str(error).splitlines() or [type(error).__name__])[0][:120] or type(error).__name__
