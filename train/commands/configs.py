"""`zoo configs`: the runs that come with the project."""

from collections.abc import Sequence
from fnmatch import fnmatchcase

from train.config import files
from zoo.errors import UserError, unknown

USAGE = 'usage: zoo configs [PATTERN], for example zoo configs "mnist*"'


def configs_command(args: Sequence[str]) -> None:
    """`zoo configs`."""
    if list(args) in (["-h"], ["--help"]):
        print(USAGE)
        return
    if len(args) > 1 or any(arg.startswith("-") for arg in args):
        raise UserError(USAGE)
    names = [name for name in files.names() if fnmatchcase(name, args[0] if args else "*")]
    if not names:
        raise unknown("config", args[0], files.names())
    width = max(map(len, names))
    for name in names:
        print(f"{name:<{width}}  {files.description(name)}")
