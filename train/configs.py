"""Finds and loads the config files: those that come with the project by name, the user's own by path."""

import importlib.util
import os
from pathlib import Path

from train.config import Experiment
from zoo.errors import UserError, unknown

_BESIDE = Path(__file__).parent.parent / "configs"  # in a clone
_INSIDE = Path(__file__).parent / "config_files"  # in an installed wheel
FOLDER = _BESIDE if _BESIDE.is_dir() and (_BESIDE.parent / "pyproject.toml").is_file() else _INSIDE


def names() -> list[str]:
    return sorted(path.stem for path in FOLDER.glob("*.py"))


def load(name: str) -> Experiment:
    """The CONFIG of the config called `name`, or of the Python file at that path (which is run)."""
    if name.endswith(".py") or os.sep in name:
        path = Path(name)
        if not path.is_file():
            raise UserError(f"no config file at {name}")
    elif name in names():
        path = FOLDER / f"{name}.py"
    else:
        raise unknown("config", name, names())
    spec = importlib.util.spec_from_file_location(f"zoo_config_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    config = getattr(module, "CONFIG", None)
    if not isinstance(config, Experiment):
        raise UserError(f"{path}: defines no CONFIG = Experiment(...)")
    return config


def description(name: str) -> str:
    """First line of the config file's docstring."""
    first = (FOLDER / f"{name}.py").read_text(encoding="utf-8").partition("\n")[0]
    return first.strip('"')
