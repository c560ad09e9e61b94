"""Load the claim files of the project, in configs/claims, and those of a user."""

import ast
import hashlib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from train.config import files as configs
from train.config import source
from train.history.claims import design, provenance
from train.history.claims.claim import Claim
from train.history.claims.results import EARLIER
from zoo.errors import UserError


def claim_names() -> list[str]:
    """Return the names of the project's claims."""
    return sorted(path.stem for path in (configs.FOLDER / "claims").glob("*.py"))


def result_name(name: str) -> str:
    """Return the name under which the claim called `name`, or of the Python file at that path, keeps its results."""
    return own_name(file_of(name), configs.FOLDER / "claims")


def own_name(path: Path, folder: Path) -> str:
    """Return the name under which a file keeps its results, where those of the project are in `folder`.

    A user's own file that is called like one of the project does not take its place: its path is part of its name.
    """
    shipped = folder / path.name
    if not shipped.is_file() or os.path.samefile(path, shipped):
        return path.stem
    return f"{path.stem}.{hashlib.sha256(os.path.abspath(path).encode()).hexdigest()[:8]}"


def file_of(name: str) -> Path:
    """Return the file of the claim called `name`, or the Python file at that path."""
    return configs.find_file("claim", name, configs.FOLDER / "claims", claim_names())


def load_claim(name: str) -> tuple[Claim, str]:
    """Run the file of the claim called `name`, or the Python file at that path.

    Returns its CLAIM, and a hash of the file without its docstring, and of the modules beside it that it imports.
    """
    path = file_of(name)
    claim = getattr(configs.run_file(path), "CLAIM", None)
    if not isinstance(claim, Claim):
        raise UserError(f"{path} does not define CLAIM = Claim(...)")
    tree = ast.parse(path.read_text(encoding="utf-8"))
    program = "\n".join(map(ast.unparse, tree.body[ast.get_docstring(tree) is not None :]))
    others = [
        content for file, content in sorted(source.read(path).files.items()) if file != Path(os.path.abspath(path))
    ]
    return claim, hashlib.sha256(b"".join([program.encode(), *others])).hexdigest()[:16]


def is_earlier(found: Mapping[str, Any]) -> bool:
    """Whether a result is of another design than the claim's file has now, or of before designs were recorded.

    The file of a user's own is not run for this: it must be what it was.
    """
    if not found.get("design"):
        return True
    if own := found.get("file"):
        path = Path(own["path"])
        return not path.is_file() or source.read(path).sha256 != own["sha256"]
    if found["name"] not in claim_names():
        return True
    try:
        claim = load_claim(found["name"])[0].at(full=found["setting"] == "full")
    except UserError:
        return True
    return design.digest(claim) != found["design"]


def stale(found: Mapping[str, Any]) -> str:
    """Return why a result is out of date, in words: its design or its code has changed since; "" where neither has."""
    if is_earlier(found):
        return EARLIER
    files = provenance.changed(found)
    return f"of earlier code ({provenance.named(files)})" if files else ""


def earlier(results: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Return name -> why it is out of date, of the results that are."""
    return {found["name"]: why for found in results if (why := stale(found))}
