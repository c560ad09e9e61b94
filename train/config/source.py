"""The source of a user's config file: its text and that of the modules from its own folder, their hash, their import.

The hash is found without running anything: the import statements of each file name the next ones. While the file is
loaded, modules of its folder are compiled from the very bytes that were hashed, and no others of that folder load.
"""

import ast
import contextlib
import dataclasses
import hashlib
import importlib.abc
import importlib.machinery
import importlib.util
import os
import sys
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any, NoReturn

from train.config.registry import registering
from zoo.errors import UserError

PROJECT = ("zoo", "train")  # packages that are never a user's own


@dataclasses.dataclass(frozen=True)
class Source:
    """A Python file, and the modules that it imports from its own folder."""

    path: Path  # absolute
    files: dict[Path, bytes]  # content of the file and of those modules

    @property
    def sha256(self) -> str:
        """The hash of the file and its modules, by their names within the folder."""
        digest = hashlib.sha256()
        for path in sorted(self.files):
            for part in (path.relative_to(self.path.parent).as_posix().encode(), self.files[path]):
                digest.update(len(part).to_bytes(8, "little") + part)
        return digest.hexdigest()


def read(path: Path) -> Source:
    """Read a file and, one after the other, the modules that it imports from its folder. Nothing is run.

    Raises UserError where the file cannot be read, or one of them is no Python.
    """
    path = Path(os.path.abspath(path))
    files: dict[Path, bytes] = {}
    ahead = [path]
    while ahead:
        file = ahead.pop()
        if file in files:
            continue
        try:
            files[file] = file.read_bytes()
        except OSError as error:
            raise UserError(f"cannot read {file}: {error.strerror}") from None
        if file.suffix == ".py":
            ahead += _imported(file, files[file], path.parent)
    return Source(path, files)


def _imported(file: Path, content: bytes, folder: Path) -> Iterator[Path]:
    """The files in `folder` that the import statements of `file` name, with the packages around them."""
    try:
        tree = ast.parse(content, str(file))
    except (SyntaxError, ValueError) as error:
        raise _one_line(error, {file: content}) from None
    for node in ast.walk(tree):
        for name in _names(node, file, folder):
            parts = name.split(".")
            if parts[0] not in ("", *PROJECT):
                yield from filter(None, (locate(parts[: n + 1], folder) for n in range(len(parts))))


def _names(node: ast.AST, file: Path, folder: Path) -> list[str]:
    """The modules that a statement of `file` may import, by their names from `folder`."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if not isinstance(node, ast.ImportFrom):
        return []
    above: tuple[str, ...] = ()
    if node.level:  # relative to the package of the file
        package = file.parents[min(node.level, len(file.parents)) - 1]
        if not package.is_relative_to(folder):
            return []
        above = package.relative_to(folder).parts
    module = [*above, *filter(None, [node.module])]
    return [".".join(module), *(".".join([*module, alias.name]) for alias in node.names)]


def locate(parts: Sequence[str], folder: Path) -> Path | None:
    """The file of a module, given by the parts of its name, in `folder`: a .py, a package or a compiled module."""
    place = folder.joinpath(*parts)
    endings = (".py", *importlib.machinery.EXTENSION_SUFFIXES)
    files = [place / "__init__.py", *(place.with_name(place.name + ending) for ending in endings)]
    return next((file for file in files if file.is_file()), None)


class _Loader(importlib.abc.ExecutionLoader):
    """Runs a module from bytes that were read before; what it registers belongs to its file."""

    def __init__(self, path: Path, content: bytes) -> None:
        self.path, self.content = path, content

    def get_source(self, fullname: str) -> str:
        return importlib.util.decode_source(self.content)

    def get_code(self, fullname: str) -> CodeType:
        return compile(self.content, str(self.path), "exec", dont_inherit=True)  # never from __pycache__

    def get_filename(self, fullname: str) -> str:
        return str(self.path)

    def is_package(self, fullname: str) -> bool:
        return self.path.name == "__init__.py" and not fullname.endswith("__init__")

    def exec_module(self, module: ModuleType) -> None:
        with registering(str(self.path)):
            super().exec_module(module)


class _Finder(importlib.abc.MetaPathFinder):
    """Finds the modules of a Source in its folder, and refuses all others that lie there."""

    def __init__(self, source: Source) -> None:
        self.source, self.folder = source, source.path.parent

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> importlib.machinery.ModuleSpec | None:
        parts = fullname.split(".")
        if parts[0] in PROJECT or (path is not None and not self._is_own(path)):
            return None
        file = locate(parts, self.folder)
        if file is None:
            return None
        if file not in self.source.files:
            return self._elsewhere(fullname, file) if path is None else self._refuse(fullname, file)
        if file.suffix != ".py":
            return None  # compiled: Python's own finders load it
        return _spec(fullname, file, self.source.files[file])

    def _is_own(self, path: Any) -> bool:
        return any(Path(entry).is_relative_to(self.folder) for entry in path)

    def _elsewhere(self, fullname: str, file: Path) -> importlib.machinery.ModuleSpec | None:
        """A module that another library imports, which only happens to have the name of one in the folder."""
        others = [entry for entry in sys.path if Path(entry or ".").absolute() != self.folder]
        spec = importlib.machinery.PathFinder.find_spec(fullname, others)
        return spec or self._refuse(fullname, file)

    def _refuse(self, fullname: str, file: Path) -> NoReturn:
        raise ModuleNotFoundError(f"no import statement names {file}: write import {fullname}", name=fullname)


def _spec(name: str, path: Path, content: bytes) -> importlib.machinery.ModuleSpec:
    spec = importlib.util.spec_from_file_location(name, path, loader=_Loader(path, content))
    if spec is None:
        raise ImportError(name)
    return spec


_modules: dict[str, tuple[Path, bytes]] = {}
"""Modules of users' folders that were imported in this process: name -> file and content."""


def run(source: Source, name: str) -> ModuleType:
    """Run the file as a module called `name`, which stays in sys.modules, with its folder on the path.

    Modules of its folder that are there already, unchanged, are not run again. Raises UserError, one line with file,
    line number and error, for an exception in the user's code.
    """
    _forget_others(source)
    folder, before = str(source.path.parent), set(sys.modules)
    content = source.files[source.path]
    module = importlib.util.module_from_spec(_spec(name, source.path, content))
    finder = _Finder(source)
    previous = sys.modules.get(name)
    sys.modules[name] = module
    sys.path.insert(0, folder)
    sys.meta_path.insert(0, finder)
    try:
        _Loader(source.path, content).exec_module(module)
    except Exception as error:
        sys.modules.pop(name)
        if previous is not None:
            sys.modules[name] = previous
        raise _one_line(error, source.files) from None
    finally:
        sys.meta_path.remove(finder)
        with contextlib.suppress(ValueError):  # the file may have taken it out itself
            sys.path.remove(folder)
        for new in set(sys.modules) - before - {name}:
            file = Path(getattr(sys.modules[new], "__file__", None) or "")
            if file in source.files:
                _modules[new] = file, source.files[file]
    return module


def _forget_others(source: Source) -> None:
    """Take modules out of sys.modules that changed since they were imported, or are of that name in another folder."""
    own = {".".join(_parts(file, source.path.parent)): file for file in source.files}
    stale = {name for name, file in own.items() if name in _modules and _modules[name] != (file, source.files[file])}
    for name in [name for name in _modules if any(name == top or name.startswith(f"{top}.") for top in stale)]:
        del _modules[name]
        sys.modules.pop(name, None)


def _parts(file: Path, folder: Path) -> tuple[str, ...]:
    parts = file.relative_to(folder).with_suffix("").parts
    return parts[:-1] if parts[-1] == "__init__" else parts


def _one_line(error: Exception, files: dict[Path, bytes]) -> UserError:
    """`error` with the line of the user's own files that it came from."""
    if isinstance(error, UserError):
        return error
    if isinstance(error, SyntaxError) and error.filename:
        return UserError(f"{error.filename}, line {error.lineno}: {type(error).__name__}: {error.msg}")
    own = {str(file) for file in files}
    lines = [(f.filename, f.lineno) for f in traceback.extract_tb(error.__traceback__) if f.filename in own]
    file, line = lines[-1] if lines else (next(iter(own)), None)
    said = (str(error).strip().splitlines() or [""])[0]
    where = file if line is None else f"{file}, line {line}"
    return UserError(f"{where}: {type(error).__name__}{': ' * bool(said)}{said}")
