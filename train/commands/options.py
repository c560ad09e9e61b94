"""The positional argument and the options of a command."""

from collections.abc import Sequence

from train.config.parse import parse
from zoo.errors import UserError


def named(args: Sequence[str], what: str, options: type, prog: str) -> tuple[str, object]:
    """The one positional argument and the options of a command."""
    if not args or args[0].startswith("-"):
        if args and args[0] in ("-h", "--help"):
            parse(options, ["--help"], prog=f"{prog} {what}")
        raise UserError(f"{prog} needs a {what} first: {prog} {what} [OPTIONS]")
    return args[0], parse(options, args[1:], prog=f"{prog} {what}")
