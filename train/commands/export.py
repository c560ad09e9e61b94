"""`zoo export` and `zoo convert`: weights written in another library's layout, or the model as StableHLO or ONNX."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

import zoo
from train.commands.console import say
from train.commands.options import OwnParts
from train.config.parse import parse
from zoo.errors import UserError, note
from zoo.files import writing
from zoo.weights import hub

if TYPE_CHECKING:
    from zoo.weights import Loaded

TOKENIZERS = ("tokenizer.json", "tokenizer_config.json", "vocab.txt", "vocab.json", "merges.txt")
PROGRAMS = (".stablehlo", ".onnx")


@dataclasses.dataclass(frozen=True)
class CardOptions:
    """What the model card of an upload says that neither the run nor the table of weights knows."""

    licence: str = ""
    """Licence of the weights, such as apache-2.0 or cc-by-4.0. Needed, but for weights by name."""
    data_licence: str = ""
    """What may be done with the data that the weights were trained on."""
    intended_use: str = ""
    """What the weights are for."""
    fails_on: str = ""
    """What they get wrong, besides a classifier's commonest errors."""
    private: bool = False
    """Make a repository that only its owner sees."""


@dataclasses.dataclass(frozen=True)
class ExportOptions(OwnParts):
    """Write a trained run, or published weights of a named model, for another library or as a program."""

    run: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="RUN|NAME")]
    """Folder of a run, or weights by name (zoo list --pretrained); or the name of a model, with --weights."""
    out: Annotated[tyro.conf.Positional[Path | None], tyro.conf.arg(metavar="OUT")] = None
    """NAME.safetensors, NAME.npz, NAME.stablehlo or NAME.onnx (the model itself, for a batch of any size), or a folder,
    which gets config.json and the vocabulary as well where the layout has such."""
    to: str | None = None
    """hf://owner/name in place of OUT: upload the folder with a model card. The token is HF_TOKEN's, or that of
    `hf auth login`."""
    card: Annotated[CardOptions, tyro.conf.arg(name="")] = dataclasses.field(default_factory=CardOptions)
    layout: str = "zoo"
    """Whose names and shapes: zoo, torchvision, timm, huggingface, google-vit, pytorch, ... as the model has them."""
    weights: str | None = None
    """File, folder, hub name (hf://owner/name@revision) or name in the table of the weights of a named model."""
    source_layout: str = "auto"
    """Layout of --weights; auto sees it in the names of the arrays."""
    length: int | None = None
    """Tokens of a text in a .stablehlo or .onnx; without it as many as the model's card says."""


def export_command(args: Sequence[str]) -> None:
    """`zoo export RUN OUT`, `zoo export NAME OUT --weights SOURCE`, `zoo export RUN --to hf://owner/name`."""
    options = parse(ExportOptions, args, prog="zoo export")
    require_options(options)
    from train.commands.published import open_weights
    from train.core import machine
    from zoo.weights import table

    machine.prepare_backend()
    if options.weights is not None:
        loaded = open_weights(options.weights, options.run, options.source_layout, options.config)
    elif options.run in zoo.CARDS and not Path(options.run).is_dir():
        row = table.find(options.run)
        named = "" if row is None else f"; zoo list --pretrained has {row.name}"
        raise UserError(f"{options.run} is a model without weights: add --weights, or give the folder of a run{named}")
    else:
        loaded = open_weights(options.run, None, options.source_layout, options.config)
    out = options.out
    if out is None:
        from train.commands.share import share

        say(share(loaded, options))
    elif out.suffix in PROGRAMS:
        from train.inference import onnx, stablehlo

        program = onnx if out.suffix == ".onnx" else stablehlo
        arguments = program.write(out, loaded, options.length)
        say(f"{out}: {loaded.name}, a program of {', '.join(arguments)}")
    else:
        write(loaded, out, options.layout)


def require_options(options: ExportOptions) -> None:
    """Raise UserError, before weights are looked for, where the options do not fit each other."""
    if (options.out is None) == (options.to is None):
        raise UserError("zoo export needs an OUT, such as run.safetensors or run.onnx, or --to hf://owner/name")
    if options.out is None:
        hub.require_upload(str(options.to))
    elif options.card != CardOptions():
        raise UserError(f"--to hf://owner/name has a model card, and {options.out} has none: leave its options out")
    else:
        demand_free(options.out)
    if options.out is None or options.out.suffix not in PROGRAMS:
        if options.length is not None:
            raise UserError(f"--length is for {' and '.join(PROGRAMS)}: weights have no texts")
        return
    if options.length is not None and options.length < 1:
        raise UserError(f"--length must be at least 1, not {options.length}")
    if options.layout != "zoo":
        raise UserError(f"--layout names the arrays of weights, and {options.out} is a program: leave it out")
    if options.out.suffix == ".onnx":
        from train.inference import onnx

        onnx.require_libraries()


@dataclasses.dataclass(frozen=True)
class ConvertOptions(OwnParts):
    """Weights from one layout to another. What the arrays do not show is asked for in one line."""

    source: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="IN")]
    """File, folder, run, hub name, or weights by name."""
    out: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="OUT")]
    """NAME.safetensors, NAME.npz, or a folder."""
    layout: str = "zoo"
    """Layout of OUT."""
    source_layout: str = "auto"
    """Layout of IN; auto sees it in the names of the arrays."""
    model: str | None = None
    """Name of the model, where the arrays do not tell it."""


def convert_command(args: Sequence[str]) -> None:
    """`zoo convert IN OUT --layout LAYOUT`."""
    options = parse(ConvertOptions, args, prog="zoo convert")
    demand_free(options.out)
    from train.commands.published import open_weights
    from train.core import machine

    machine.prepare_backend()
    loaded = open_weights(options.source, options.model, options.source_layout, options.config)
    write(loaded, options.out, options.layout)


def demand_free(out: Path) -> None:
    """Raise UserError where something is there already: nothing of the user's is ever written over."""
    if out.exists():
        raise UserError(f"{out} is there already: choose another name, or remove it first")


def write(loaded: Loaded, out: Path, layout: str) -> None:
    """Write the file or folder, and say in one line what it holds."""
    path = save(loaded, out, layout)
    if loaded.passed_over:
        note(f"{len(loaded.passed_over)} arrays of other heads were passed over")
    say(f"{path}: {loaded.name} from {loaded.source}, layout {loaded.layout} to {layout}")


def save(loaded: Loaded, out: Path, layout: str) -> Path:
    """Write weights to a file, or to a folder with their vocabulary beside them, and return its path."""
    path = zoo.save_weights(
        out, loaded.model, loaded.variables, layout=layout, inputs=loaded.preprocessing, labels=loaded.labels
    )
    if path.is_dir() and loaded.folder is not None:
        for name in TOKENIZERS:
            if (loaded.folder / name).is_file():
                with writing(path / name):
                    shutil.copyfile(loaded.folder / name, path / name)
    return path
