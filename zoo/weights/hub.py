"""Weights from the Hugging Face hub, by the name hf://owner/name or hf://owner/name@revision. Needs the extra `hub`."""

import re
import sys
from pathlib import Path

from zoo.errors import UserError

NAME = re.compile(r"hf://([\w.-]+/[\w.-]+)(?:@([\w./-]+))?")
WANTED = ["*.safetensors", "*.safetensors.index.json", "*.npz", "*.json", "vocab.txt", "merges.txt"]
ELSEWHERE = ["*/*"]  # exports to other programs, older copies


def download(name: str) -> tuple[Path, str]:
    """(folder with the files, name with the commit they are of). Files that are there already are not fetched again.

    With HF_HUB_OFFLINE=1 only those are used. No pickle is ever fetched. UserError where there is no network, no such
    repository or revision, or no permission.
    """
    match = NAME.fullmatch(name)
    if match is None:
        raise UserError(f"{name!r} is no hub name: write hf://owner/name, or hf://owner/name@revision")
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
            f"{name}: its owner gives access on request; ask on the hub, then log in with `hf auth login`"
        ) from None
    except errors.RevisionNotFoundError:
        raise UserError(f"{name}: {repository} has no revision {revision!r}") from None
    except errors.RepositoryNotFoundError:
        raise UserError(f"{name}: there is no such repository on the hub, or it is private") from None
    except (errors.LocalEntryNotFoundError, errors.OfflineModeIsEnabled, errors.HfHubHTTPError, OSError) as error:
        raise UserError(
            f"{name}: the hub cannot be reached and the files are not in its cache on this machine ({_reason(error)})"
        ) from None
    folder = Path(folder)
    return folder, f"hf://{repository}@{folder.name}"


def _reason(error: BaseException) -> str:
    """Of a chain of errors the words of the first, which names the cause."""
    while error.__cause__ is not None or (error.__context__ is not None and not error.__suppress_context__):
        error = error.__cause__ or error.__context__
    return (str(error).splitlines() or [type(error).__name__])[0][:120]
