"""Provenance: the commit, the code, the data and the machine that a result is of, and what has changed since.

The code is that of the models, the tasks, the data and the algorithms: the modules that a claim's arms name, and what
these import from the same rooms. Each file is hashed by its syntax tree, so that a comment changes nothing.
"""

import ast
import functools
import hashlib
import json
import platform
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import flax
import jax
import numpy as np
import optax

import zoo
from train.config import Data, Experiment, Scenes, Text
from train.config.augmentations import OWN_AUGMENTATIONS
from train.config.ways import way_of
from train.core import machine
from train.data import record as data_record
from train.data.images.augment import parse
from train.history.claims.arms import TrainedArm
from train.history.claims.claim import Claim
from train.history.claims.design import tree_of_module
from train.loop.run import Run
from zoo.files import parse_json, write_atomically

ROOT = Path(__file__).parents[3]  # of the packages `train` and `zoo`
ROOMS = ("train/tasks/", "train/data/", "train/algorithms/", "zoo/")
ASIDE = {f"zoo/{name}.py" for name in ("__init__", "cards", "errors", "files", "library", "measure", "own", "registry")}
ASIDE |= {"train/algorithms/cards.py", "train/data/cache.py"}
"""Files that no result depends on: cards are looked up there, errors are made, folders are named."""
OF_DATA = {"train/data/scenes/": Scenes, "train/data/text/": Text}
"""Folders that loaders of other data import too, and what they are for."""
SHOWN = 3  # changed files that a message names
DIGITS = 12  # of a hash
CODE = "code.json"  # in the folder of a run


def code(claim: Claim) -> dict[str, str]:
    """Return file -> hash of the code of models, tasks, data and algorithms that a claim uses at its setting."""
    return code_of(_experiments(claim), claim.models, claim.algorithms)


def code_of(
    experiments: Sequence[Experiment], models: Sequence[str] = (), algorithms: Sequence[str] = ()
) -> dict[str, str]:
    """Return file -> hash of the code of the models, tasks, data and algorithms that experiments use."""
    data = [experiment.data for experiment in experiments]
    unused = tuple(folder for folder, kind in OF_DATA.items() if not any(isinstance(one, kind) for one in data))
    found: dict[str, str] = {}
    ahead = [file for module in _modules(experiments, models, algorithms) if (file := _file(module))]
    while ahead:
        file = ahead.pop()
        if file not in found and not file.startswith(unused):
            found[file], imported = _read(file)
            ahead += imported
    return {file: found[file] for file in sorted(found)}


def digest(code: Mapping[str, str]) -> str:
    """Return one hash of all of a claim's code."""
    return hashlib.sha256(json.dumps(code, sort_keys=True).encode()).hexdigest()[:DIGITS]


def changed(found: Mapping[str, Any]) -> list[str]:
    """Return the files of a result's code that are others now; none where a result of before has no hashes."""
    return [file for file, digest in found.get("code", {}).items() if _read(file)[0] != digest]


def named(files: Iterable[str]) -> str:
    """Name changed files, the first of them: "zoo/mlp.py, zoo/vit.py and 2 more"."""
    files = list(files)
    more = f" and {len(files) - SHOWN} more" if len(files) > SHOWN else ""
    return ", ".join(files[:SHOWN]) + more


def repository(file: Path) -> dict[str, Any]:
    """Return the commit of the repository that a file lies in, "" where there is none, and whether its tree is clean.

    Results are written by claims themselves, so changes in the folder of results do not count.
    """
    folder = file.absolute().parent
    commit = _git(folder, "rev-parse", "--verify", "-q", "HEAD")
    # A file that is ignored, such as one of an installed package, only happens to lie in a repository.
    if not commit or _git(folder, "check-ignore", file.name):
        return {"commit": "", "clean": False}
    dirty = _git(folder, "status", "--porcelain", "--", ":/", ":(top,exclude)results")
    return {"commit": commit, "clean": dirty == ""}


def keep(run: Run, code: Mapping[str, str]) -> None:
    """Write the code that a run is made by to its folder."""
    write_atomically(run.path / CODE, json.dumps(code, indent=1) + "\n")


def kept(run: Run) -> dict[str, str]:
    """Return the code that a run was made by; {} where it is not known."""
    try:
        return {str(file): str(digest) for file, digest in parse_json((run.path / CODE).read_text("utf-8")).items()}
    except (OSError, ValueError, AttributeError):
        return {}


def is_current(run: Run) -> bool:
    """Whether a run was made by today's code."""
    own = kept(run)
    return bool(own) and not changed({"code": own})


def code_of_all(now: Mapping[str, str], runs: Iterable[Run]) -> dict[str, str]:
    """Return the code of a result. Where a run was made by another one than today's, its hash stands there."""
    others = (pair for run in runs for pair in kept(run).items() if now.get(pair[0]) != pair[1])
    return {**now, **dict(others)}


def data(runs: Iterable[Run]) -> dict[str, list[str]]:
    """Return name of data -> the hashes of the splits that the runs have learned from, of every choice of examples."""
    found: dict[str, set[str]] = {}
    for run in runs:
        if (kept := data_record.read(run.path)) is not None:
            splits = json.dumps({name: part._asdict() for name, part in kept.splits.items()}, sort_keys=True)
            found.setdefault(kept.name, set()).add(hashlib.sha256(splits.encode()).hexdigest()[:DIGITS])
    return {name: sorted(found[name]) for name in sorted(found)}


def surroundings() -> dict[str, Any]:
    """Return the machine and the versions of what computes."""
    return {
        "device": machine.describe(),
        "machine": f"{platform.system()} {platform.machine()}",
        "versions": {
            "python": platform.python_version(),
            "jax": jax.__version__,
            "flax": flax.__version__,
            "optax": optax.__version__,
            "numpy": np.__version__,
        },
    }


def _modules(experiments: Sequence[Experiment], models: Sequence[str], algorithms: Sequence[str]) -> Iterator[str]:
    """Yield the modules of the code that is named: of models, tasks with their data, and algorithms."""
    for experiment in experiments:
        yield from _of_model(experiment.model.name)
        yield from _of_task(experiment)
        yield from _of_augmentations(experiment)
    for name in models:
        yield from _of_model(name)
    if algorithms or experiments:
        yield "train.algorithms.optimizers"
        yield "train.algorithms.losses"


def _experiments(claim: Claim) -> list[Experiment]:
    arms = [arm.experiment for arm in claim.arms.values() if isinstance(arm, TrainedArm)]
    return [*arms, *claim.starts.values()]


def _of_model(name: str) -> Iterator[str]:
    card = zoo.card(name)
    yield type(card.config).__module__
    yield getattr(card.module, "__module__", "")


def _of_task(experiment: Experiment) -> Iterator[str]:
    way = way_of(experiment.task)
    for kind, target in way.setups.items():
        if isinstance(experiment.data, kind):
            yield target.partition(":")[0] if isinstance(target, str) else target.__module__


def _of_augmentations(experiment: Experiment) -> Iterator[str]:
    """Yield the modules of augmentations that are not in the file of all others."""
    for operation in parse(experiment.data.augment) if isinstance(experiment.data, Data) else ():
        target = OWN_AUGMENTATIONS.get(operation.name)
        if target is not None:
            yield target.partition(":")[0] if isinstance(target, str) else target.__module__


def _file(module: str) -> str:
    """Return the file of a module in one of the ROOMS, by its path from ROOT; "" for any other module."""
    place = module.replace(".", "/")
    for file in (f"{place}.py", f"{place}/__init__.py"):
        ours = file.startswith(ROOMS) and file not in ASIDE and not file.startswith("zoo/weights/")
        if ours and (ROOT / file).is_file():
            return file
    return ""


def _read(file: str) -> tuple[str, tuple[str, ...]]:
    """Return the hash of a file of the project, "" where it is gone, and the files in ROOMS that it imports."""
    path = ROOT / file
    return _read_at(path, path.stat().st_mtime_ns) if path.is_file() else ("", ())


@functools.cache
def _read_at(path: Path, modified: int) -> tuple[str, tuple[str, ...]]:
    """Read a file. modified: when it was, so that another content is read again."""
    module = ast.parse(path.read_text(encoding="utf-8"))
    text = json.dumps(tree_of_module(module), sort_keys=True)
    own = hashlib.sha256(text.encode()).hexdigest()[:DIGITS]
    return own, tuple(file for node in ast.walk(module) for file in _imported(node))


def _imported(node: ast.AST) -> Iterator[str]:
    names: list[str] = []
    if isinstance(node, ast.Import):
        names = [alias.name for alias in node.names]
    elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
        own = [(f"{node.module}.{alias.name}", node.module) for alias in node.names]
        names = [name if _file(name) else package for name, package in own]
    yield from filter(None, map(_file, names))


def _git(folder: Path, *words: str) -> str | None:
    """Return what git prints; None where it fails, or is not installed."""
    try:
        done = subprocess.run(["git", *words], cwd=folder, capture_output=True, text=True, check=False)
    except OSError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None
