"""Load the claim files of the project, in configs/claims, and those of a user."""

import ast
import hashlib
import os
from pathlib import Path

from train.config import files as configs
from train.config import source
from train.history.claims.claim import Claim
from zoo.errors import UserError


def claim_names() -> list[str]:
    """Return the names of the project's claims."""
    return sorted(path.stem for path in (configs.FOLDER / "claims").glob("*.py"))


def load_claim(name: str) -> tuple[Claim, str]:
    """Run the file of the claim called `name`, or the Python file at that path.

    Returns its CLAIM, and a hash of the file without its docstring, and of the modules beside it that it imports.
    """
    path = configs.find_file("claim", name, configs.FOLDER / "claims", claim_names())
    claim = getattr(configs.run_file(path), "CLAIM", None)
    if not isinstance(claim, Claim):
        raise UserError(f"{path} does not define CLAIM = Claim(...)")
    tree = ast.parse(path.read_text(encoding="utf-8"))
    program = "\n".join(map(ast.unparse, tree.body[ast.get_docstring(tree) is not None :]))
    others = [
        content for file, content in sorted(source.read(path).files.items()) if file != Path(os.path.abspath(path))
    ]
    return claim, hashlib.sha256(b"".join([program.encode(), *others])).hexdigest()[:16]
