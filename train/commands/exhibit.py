"""`zoo exhibit`: what the museum keeps of a finished run."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import train.loop.run
from train.commands.options import OwnParts
from train.config.parse import parse
from train.core.console import Console
from train.history.claims import results
from zoo.errors import UserError

if TYPE_CHECKING:
    from train.history.timeline import exhibits


@dataclasses.dataclass(frozen=True)
class ExhibitOptions(OwnParts):
    """Keep what a finished run came to for the page of `zoo timeline`: figures, curves, pictures, texts.

    Weights are kept with --live alone.
    """

    into: Path = results.EXHIBITS
    """Folder that it is written into; the page shows what lies in results/exhibits."""
    picture: tuple[str, ...] = ()
    """KIND=PATH: pictures that do not lie in the run's samples/, such as alignment=sentence.png."""
    live: bool = False
    """Keep its weights too, as small whole numbers: it then reads what visitors of the page draw. For perceptron, MLP,
    LeNet-5, small AlexNet, ResNet and ViT, on grey images of 28 x 28 pixels and ten classes."""


def exhibit_command(args: Sequence[str]) -> None:
    """`zoo exhibit RUN`."""
    if not args or args[0].startswith("-"):
        if args and args[0] in ("-h", "--help"):
            parse(ExhibitOptions, ["--help"], prog="zoo exhibit RUN")
        raise UserError("zoo exhibit needs a RUN first: zoo exhibit RUN [OPTIONS]")
    options = parse(ExhibitOptions, args[1:], prog="zoo exhibit RUN")
    run = train.loop.run.load(args[0], options.config)
    from train.history.timeline import exhibits
    from train.history.timeline.live import nets

    more = [_named(word) for word in options.picture]
    exhibit = exhibits.of_run(run.path)
    kinds = {picture.kind for picture in more}
    kept = [picture for picture in exhibit.pictures if picture.kind not in kinds]
    exhibit = dataclasses.replace(exhibit, pictures=(*kept, *more))
    live = [_live(run.path, exhibit, options)] if options.live else []  # before anything is written
    for file in [*exhibits.write(exhibit, options.into), *(nets.write(net, options.into) for net in live)]:
        Console().print(f"{file} ({file.stat().st_size:,} bytes)", soft_wrap=True, highlight=False, markup=False)


def _live(run: Path, exhibit: "exhibits.Exhibit", options: ExhibitOptions) -> dict[str, Any]:
    """Return the network of a run as the page computes it. UserError, one line, where it cannot."""
    from train.commands.published import open_weights
    from train.core import machine
    from train.history.timeline.live import nets

    machine.prepare_backend()
    loaded = open_weights(str(run), None, "auto", options.config)
    return nets.of_loaded(loaded, exhibit.name, data=exhibit.dataset, figure=exhibit.test.get("accuracy"))


def _named(word: str) -> "exhibits.Picture":
    from train.history.timeline import exhibits

    kind, equals, path = word.partition("=")
    if not equals or kind not in exhibits.PICTURES:
        raise UserError(f"--picture takes KIND=PATH, KIND one of {', '.join(exhibits.PICTURES)}, not {word!r}")
    return exhibits.load_picture(kind, Path(path))
