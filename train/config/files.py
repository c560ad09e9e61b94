"""Finds and loads config and claim files: those that come with the project by name, the user's own by path."""

import importlib.util
import os
from pathlib import Path
from typing import Any

from train.config.schema import Experiment
from zoo.errors import UserError, unknown

_BESIDE = Path(__file__).parents[2] / "configs"  # in a clone
_INSIDE = Path(__file__).parents[1] / "config_files"  # in an installed wheel
FOLDER = _BESIDE if _BESIDE.is_dir() and (_BESIDE.parent / "pyproject.toml").is_file() else _INSIDE


def names() -> list[str]:
    return sorted(path.stem for path in FOLDER.glob("*.py"))


def load(name: str) -> Experiment:
    """The CONFIG of the config called `name`, or of the Python file at that path (which is run)."""
    path = find_file("config", name, FOLDER, names())
    config = getattr(run_file(path), "CONFIG", None)
    if not isinstance(config, Experiment):
        raise UserError(f"{path}: defines no CONFIG = Experiment(...)")
    return config


def find_file(kind: str, name: str, folder: Path, known: list[str]) -> Path:
    if name.endswith(".py") or os.sep in name:
        if not Path(name).is_file():
            raise UserError(f"no {kind} file at {name}")
        return Path(name)
    if name not in known:
        raise unknown(kind, name, known)
    return folder / f"{name}.py"


def run_file(path: Path) -> Any:
    spec = importlib.util.spec_from_file_location(f"zoo_config_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def description(name: str) -> str:
    """First line of the config file's docstring."""
    first = (FOLDER / f"{name}.py").read_text(encoding="utf-8").partition("\n")[0]
    return first.strip('"')
