"""Git repositories in temporary folders, for what asks for the commit of a file."""

import subprocess
from pathlib import Path


def commit_all(folder: Path) -> None:
    """Put everything in `folder` into a commit; make the folder a repository where it is none."""
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-q", "--allow-empty", "-m", "All"]):
        own = ["-c", "user.name=Nobody", "-c", "user.email=nobody@example.org", "-c", "commit.gpgsign=false"]
        subprocess.run(["git", *own, *words], cwd=folder, check=True)
