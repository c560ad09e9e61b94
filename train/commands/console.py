"""Printing to a terminal or into a pipe."""

from typing import TextIO

from rich.console import RenderableType

from train.core.console import Console
from zoo.errors import printable

PIPE_WIDTH = 10_000  # columns when the output is no terminal: a line is then as long as it needs to be


def console_for(file: TextIO | None = None) -> Console:
    """Return a console as wide as the terminal, or in a pipe one that cuts nothing."""
    console = Console(file=file)
    return console if console.is_terminal else Console(file=file, width=PIPE_WIDTH)


def emit(renderable: RenderableType) -> None:
    """Print to standard output."""
    console_for().print(renderable)


def say(text: object = "") -> None:
    """Print plain text, such as a model's, to standard output; `printable` says what of it is written out."""
    print(printable(str(text)))
