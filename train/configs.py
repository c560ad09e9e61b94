"""Finds and loads config and claim files: those that come with the project by name, the user's own by path."""

import ast
import hashlib
import importlib.util
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from train.config import Experiment
from zoo.errors import UserError, unknown

if TYPE_CHECKING:
    from train.history.claim import Claim

_BESIDE = Path(__file__).parent.parent / "configs"  # in a clone
_INSIDE = Path(__file__).parent / "config_files"  # in an installed wheel
FOLDER = _BESIDE if _BESIDE.is_dir() and (_BESIDE.parent / "pyproject.toml").is_file() else _INSIDE


def names() -> list[str]:
    return sorted(path.stem for path in FOLDER.glob("*.py"))


def load(name: str) -> Experiment:
    """The CONFIG of the config called `name`, or of the Python file at that path (which is run)."""
    path = _find("config", name, FOLDER, names())
    config = getattr(_run(path), "CONFIG", None)
    if not isinstance(config, Experiment):
        raise UserError(f"{path}: defines no CONFIG = Experiment(...)")
    return config


def claim_names() -> list[str]:
    return sorted(path.stem for path in (FOLDER / "claims").glob("*.py"))


def load_claim(name: str) -> tuple["Claim", str]:
    """The CLAIM of the claim called `name`, or of the Python file at that path (which is run); and a key that changes
    whenever the file does, but for its docstring.
    """
    from train.history.claim import Claim

    path = _find("claim", name, FOLDER / "claims", claim_names())
    claim = getattr(_run(path), "CLAIM", None)
    if not isinstance(claim, Claim):
        raise UserError(f"{path}: defines no CLAIM = Claim(...)")
    tree = ast.parse(path.read_text(encoding="utf-8"))
    program = "\n".join(map(ast.unparse, tree.body[ast.get_docstring(tree) is not None :]))
    return claim, hashlib.sha256(program.encode()).hexdigest()[:16]


def _find(kind: str, name: str, folder: Path, known: list[str]) -> Path:
    if name.endswith(".py") or os.sep in name:
        if not Path(name).is_file():
            raise UserError(f"no {kind} file at {name}")
        return Path(name)
    if name not in known:
        raise unknown(kind, name, known)
    return folder / f"{name}.py"


def _run(path: Path) -> Any:
    spec = importlib.util.spec_from_file_location(f"zoo_config_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def description(name: str) -> str:
    """First line of the config file's docstring."""
    first = (FOLDER / f"{name}.py").read_text(encoding="utf-8").partition("\n")[0]
    return first.strip('"')
