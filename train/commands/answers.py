"""Answers that need every model, kept in the user's cache folder: JAX and Flax take two seconds to import.

An answer is kept together with the size and time of every Python file that it could depend on; when one of them
changes, the answer is computed again.
"""

import contextlib
import hashlib
import io
import json
import shutil
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import platformdirs

from train.config import files
from zoo.errors import UserError
from zoo.files import parse_json, write_atomically

PACKAGE = Path(__file__).parents[1]


def kept(question: str, answer: Callable[[], str], *, also: Iterable[Path] = ()) -> str:
    """Return `answer()`, from the cache if no file it depends on has changed since.

    question: everything else that the answer depends on, such as the width of the terminal. also: files of the user.
    A cache that cannot be read or written is ignored.
    """
    sources = [*PACKAGE.parent.glob("zoo/**/*.py"), *PACKAGE.glob("**/*.py"), *files.FOLDER.glob("*.py"), *also]
    stamps = [(str(path), stat.st_size, stat.st_mtime_ns) for path in sorted(sources) for stat in [path.stat()]]
    stamp = hashlib.sha256(json.dumps([question, stamps]).encode()).hexdigest()
    name = hashlib.sha256(question.encode()).hexdigest()[:16]
    file = platformdirs.user_cache_path("zoo") / "answers" / f"{name}.json"
    try:
        known = parse_json(file.read_text(encoding="utf-8"))
        if known["stamp"] == stamp:
            return known["answer"]
    except (OSError, ValueError, KeyError, TypeError):
        pass
    text = answer()
    with contextlib.suppress(UserError):
        write_atomically(file, json.dumps({"stamp": stamp, "answer": text}), make_folder=True)
    return text


def print_help(command: str, args: Sequence[str], parse: Callable[[], object]) -> None:
    """Print what `parse()` prints before it exits; for a config of the project it is kept.

    args: those of the command, the config first.
    """
    if args[0] not in files.names():
        parse()
        return
    terminal = sys.stdout.isatty()
    question = f"{command} {list(args)} {shutil.get_terminal_size()} {terminal} {sys.stdout.encoding}"

    def answer() -> str:
        box = io.StringIO()
        box.isatty = lambda: terminal  # so that the help is colored as it would be
        with contextlib.redirect_stdout(box), contextlib.suppress(SystemExit):
            parse()
        return box.getvalue()

    sys.stdout.write(kept(question, answer))
