"""The positional argument and the options of a command."""

from collections.abc import Sequence
from typing import TypeVar

from train.config import files
from train.config.files import OwnParts
from train.config.parse import parse, take
from zoo.errors import UserError

__all__ = ["OwnParts", "named", "with_config"]

Options = TypeVar("Options")


def named(args: Sequence[str], what: str, options: type[Options], prog: str) -> tuple[str, Options]:
    """The one positional argument and the options of a command."""
    if not args or args[0].startswith("-"):
        if args and args[0] in ("-h", "--help"):
            parse(options, ["--help"], prog=f"{prog} {what}")
        raise UserError(f"{prog} needs a {what} first: {prog} {what} [OPTIONS]")
    return args[0], parse(options, args[1:], prog=f"{prog} {what}")


def with_config(args: Sequence[str]) -> Sequence[str]:
    """Return `args` without `--config FILE`; the models and data that FILE registers are there from now on."""
    if not any(arg.partition("=")[0] == "--config" for arg in args):
        return args
    rest, config = take("--config", args)
    files.run_file(files.find_file("config", config or "", files.FOLDER, files.names()))
    return rest
