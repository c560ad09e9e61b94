"""Printing to a terminal or into a pipe."""

from rich.console import Console, RenderableType

PIPE_WIDTH = 10_000  # columns when the output is no terminal: a line is then as long as it needs to be


def emit(renderable: RenderableType) -> None:
    """Print to standard output: to the terminal's width, or in a pipe as plain lines that cut nothing."""
    console = Console()
    if not console.is_terminal:
        console = Console(width=PIPE_WIDTH)
    console.print(renderable)
