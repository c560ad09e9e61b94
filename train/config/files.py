"""Finds and loads config and claim files: those that come with the project by name, the user's own by path.

A user's own file may register a model, data set, task, loss or metric. A run keeps the file's path and hash, and later
commands load it again: by themselves where the user has run just that content, else when `--config` names it.
"""

import dataclasses
import os
from pathlib import Path
from types import ModuleType
from typing import Any

from train.config import source, trust
from train.config.schema import Experiment
from train.config.source import Source
from zoo.errors import UserError, unknown
from zoo.registry import registered_by

_BESIDE = Path(__file__).parents[2] / "configs"  # in a clone
_INSIDE = Path(__file__).parents[1] / "config_files"  # in an installed wheel
FOLDER = _BESIDE if _BESIDE.is_dir() and (_BESIDE.parent / "pyproject.toml").is_file() else _INSIDE


@dataclasses.dataclass(frozen=True)
class ConfigFile:
    """A user's own config file, as a run keeps it in its config.json."""

    path: str  # absolute
    sha256: str  # of the file and of the modules that it imports from its own folder
    registers: tuple[str, ...] = ()  # what it brings, such as "model mine"; a run without any of it needs no file


@dataclasses.dataclass(frozen=True, kw_only=True)
class OwnParts:
    """The option of every command that opens a run."""

    config: Path | None = None
    """Your config file that brings the run's own model, data or task, wherever it lies now. Without it the file that
    the run names is loaded, if it is still what you ran yourself."""


_loaded: dict[Path, tuple[ConfigFile, ModuleType]] = {}
"""The user's own files that were loaded in this process."""


def names() -> list[str]:
    return sorted(path.stem for path in FOLDER.glob("*.py"))


def load(name: str) -> Experiment:
    """The CONFIG of the config called `name`, or of the Python file at that path (which is run)."""
    path = find_file("config", name, FOLDER, names())
    return _config_of(run_file(path), path)


def _config_of(module: ModuleType, path: Path) -> Experiment:
    config = getattr(module, "CONFIG", None)
    if not isinstance(config, Experiment):
        raise UserError(f"{path}: defines no CONFIG = Experiment(...)")
    return config


def loaded(name: str) -> Experiment:
    """The CONFIG of a config of the project, or of a file as it was when it was loaded in this process."""
    if name in names():
        return load(name)
    path = Path(os.path.abspath(name))
    if path not in _loaded:
        raise UserError(f"{path} is not loaded")
    return _config_of(_loaded[path][1], path)


def find_file(kind: str, name: str, folder: Path, known: list[str]) -> Path:
    if name.endswith(".py") or os.sep in name:
        if not Path(name).is_file():
            raise UserError(f"no {kind} file at {name}")
        return Path(name)
    if name not in known:
        raise unknown(kind, name, known)
    return folder / f"{name}.py"


def run_file(path: Path) -> ModuleType:
    """Run a file that the user names himself, which makes it trusted, and return its module."""
    own = source.read(path)
    module = _run(own)
    if not _is_ours(path):
        trust.remember(own.path, own.sha256)
    return module


def source_of(name: str | os.PathLike[str]) -> ConfigFile | None:
    """What a run keeps of the file at path `name`, loaded before; None for a config of the project."""
    held = _loaded.get(Path(os.path.abspath(name)))
    return held and held[0]


def source_from_json(fields: Any) -> ConfigFile | None:
    """The ConfigFile of a config.json; None where there is none. Raises UserError for anything else."""
    if fields is None:
        return None
    try:
        registers = tuple(map(str, fields["registers"]))
        return ConfigFile(str(fields["path"]), str(fields["sha256"]), registers)
    except (KeyError, TypeError):
        raise UserError("config_file is not {path, sha256, registers}") from None


def load_for(holder: Path, kept: ConfigFile | None, config: str | os.PathLike[str] | None = None) -> None:
    """Load what a run or a search needs of the config file that it was made with.

    holder: its folder, for messages. kept: the file that it names. config: the file that the user names instead.

    Raises UserError where the file that it names is gone, has changed since, or was never run by this user.
    """
    if config is not None:
        run_file(find_file("config", os.fspath(config), FOLDER, names()))
        return
    if kept is None or not kept.registers:
        return
    path = Path(kept.path)
    if path in _loaded and _loaded[path][0].sha256 == kept.sha256:
        return
    needs = f"{holder} needs {', '.join(kept.registers)} of {path}"
    if not path.is_absolute() or not path.is_file():
        raise UserError(f"{needs}, which is gone: --config FILE names it where it lies now")
    own = source.read(path)
    if own.sha256 != kept.sha256:
        raise UserError(
            f"{needs}, which has changed since, or a module beside it: --config {path} loads it as it is now"
        )
    if not trust.is_trusted(path, own.sha256):
        raise UserError(f"{needs}, which you have not run yourself: read it, then --config {path} loads it")
    _run(own)


def _run(own: Source) -> ModuleType:
    """Run a file, or return the module that the same content made before in this process."""
    if _is_ours(own.path):
        return source.run(own, f"zoo_config_{own.path.stem}")
    sha256 = own.sha256
    if own.path in _loaded and _loaded[own.path][0].sha256 == sha256:
        return _loaded[own.path][1]
    module = source.run(own, _module_name(own.path))
    registers = tuple(sorted(what for file in own.files for what in registered_by(str(file))))
    _loaded[own.path] = ConfigFile(str(own.path), sha256, registers), module
    return module


def _module_name(path: Path) -> str:
    """The name of a file's module: zoo_config_STEM, with a number where another file of that stem has it."""
    taken = {module.__name__ for held, (_, module) in _loaded.items() if held != path}
    name, number = f"zoo_config_{path.stem}", 1
    while name in taken:
        number += 1
        name = f"zoo_config_{path.stem}_{number}"
    return name


def _is_ours(path: Path) -> bool:
    return Path(os.path.abspath(path)).is_relative_to(FOLDER)


def description(name: str) -> str:
    """First line of the config file's docstring."""
    first = (FOLDER / f"{name}.py").read_text(encoding="utf-8").partition("\n")[0]
    return first.strip('"')
