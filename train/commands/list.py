"""`zoo list`: the models, or the algorithms, by year; or the weights by name."""

import sys
from collections.abc import Sequence

from rich.console import Console

from train.commands.answers import kept
from train.commands.console import console_for
from train.commands.options import with_config
from zoo.errors import UserError

USAGE = (
    "usage: zoo list [PATTERN] [--json] [--config FILE] | --pretrained [PATTERN] [--json] | --optimizers | --losses | "
    '--activations, such as zoo list "vit*"'
)
KINDS = (["--optimizers"], ["--losses"], ["--activations"])


def list_command(args: Sequence[str]) -> None:
    """`zoo list`."""
    if list(args) in (["-h"], ["--help"]):
        print(USAGE)
        return
    given = len(args)
    args = with_config(args)
    options = [arg for arg in args if arg.startswith("-")]
    patterns = [arg for arg in args if not arg.startswith("-")]
    if "--pretrained" in options:
        _list_pretrained([option for option in options if option != "--pretrained"], patterns)
        return
    known = options in KINDS and not patterns
    if not known and (options not in ([], ["--json"]) or len(patterns) > 1):
        raise UserError(USAGE)
    console = console_for(sys.stdout)
    if len(args) < given:  # the user's own file is read each time
        sys.stdout.write(_answer(console, options, patterns))
        return
    question = f"list {list(args)} {console.width} {console.color_system} {console.encoding}"
    sys.stdout.write(kept(question, lambda: _answer(console, options, patterns)))


def _list_pretrained(options: list[str], patterns: list[str]) -> None:
    if options not in ([], ["--json"]) or len(patterns) > 1:
        raise UserError(USAGE)
    from train.commands import weights

    weights.list_pretrained(patterns, as_json=bool(options))


def _answer(console: Console, options: list[str], patterns: list[str]) -> str:
    from train.commands import show  # here, because it imports every model

    if options == ["--json"]:
        return show.list_models_json(*patterns) + "\n"
    table = show.list_algorithms(options[0].removeprefix("--")) if options else show.list_models(*patterns)
    with console.capture() as capture:
        console.print(table)
    return capture.get()
