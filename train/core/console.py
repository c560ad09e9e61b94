"""The console of every command: text from data is shown as it is."""

from collections.abc import Iterable

from rich.console import Console as RichConsole
from rich.console import ConsoleOptions, RenderableType
from rich.segment import Segment

from zoo.errors import printable


class Console(RichConsole):
    """A console of rich that takes no text for markup ("[red]"), and lets no escape sequence reach the terminal.

    Names, labels, texts and captions come from data. What we style ourselves is a `Text` or has a `style`.
    """

    def __init__(self, **options: object) -> None:
        super().__init__(markup=False, emoji=False, **options)  # pyright: ignore[reportArgumentType]

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(printable(segment.text), segment.style)
