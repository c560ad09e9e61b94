"""Weights from the Hugging Face hub, by the name hf://owner/name or hf://owner/name@revision. Needs the extra `hub`."""

import re
import sys
from pathlib import Path

from zoo.errors import UserError

NAME = re.compile(r"hf://([\w.-]+/[\w.-]+)(?:@([\w./-]+))?")
WANTED = ["*.safetensors", "*.safetensors.index.json", "*.npz", "*.json", "vocab.txt", "merges.txt"]
ELSEWHERE = ["*/*"]  # subfolders: exports to other programs, older copies


def download(name: str) -> tuple[Path, str]:
    """Download a repository and return (folder, name with the commit). Files in the cache are not downloaded again.

    With HF_HUB_OFFLINE=1 only the cache is used. Pickles are never downloaded. UserError if there is no network, no
    such repository or revision, or no permission.
    """
    match = NAME.fullmatch(name)
    if match is None:
        raise UserError(f"{name!r} is not a hub name: write hf://owner/name, or hf://owner/name@revision")
    try:
        import huggingface_hub
        from huggingface_hub import errors
        from huggingface_hub.utils import disable_progress_bars
    except ImportError:
        raise UserError(f"{name} needs the library huggingface_hub: pip install 'zoo-timeline[hub]'") from None
    repository, revision = match[1], match[2] or "main"
    if not sys.stderr.isatty():
        disable_progress_bars()
    try:
        folder = huggingface_hub.snapshot_download(
            repository, revision=revision, allow_patterns=WANTED, ignore_patterns=ELSEWHERE
        )
    except errors.GatedRepoError:
        raise UserError(
            f"{name}: access must be requested from its owner on the hub; then log in with `hf auth login`"
        ) from None
    except errors.RevisionNotFoundError:
        raise UserError(f"{name}: {repository} has no revision {revision!r}") from None
    except errors.RepositoryNotFoundError:
        raise UserError(f"{name}: there is no such repository on the hub, or it is private") from None
    except (errors.LocalEntryNotFoundError, errors.OfflineModeIsEnabled, errors.HfHubHTTPError, OSError) as error:
        raise UserError(
            f"{name}: the hub cannot be reached and the files are not in the local cache ({_reason(error)})"
        ) from None
    commit = Path(folder).name
    return Path(folder), f"hf://{repository}@{commit}"


def _reason(error: BaseException) -> str:
    """Return the message of the first error in a chain, which names the cause."""
    while (cause := error.__cause__ or (None if error.__suppress_context__ else error.__context__)) is not None:
        error = cause
    return (str(error).splitlines() or [type(error).__name__])[0][:120]
