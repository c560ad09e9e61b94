"""`zoo predict`: what published or own weights say of an image or a text, prepared as the weights want it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

import zoo
from train.commands.console import say
from train.commands.options import OwnParts
from train.config.parse import parse
from zoo.errors import UserError

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

    from zoo.weights import Loaded
    from zoo.weights.preprocessing import Images


@dataclasses.dataclass(frozen=True)
class PredictOptions(OwnParts):
    """Classes of an image or a text, what stands at each [MASK], or the token that comes next.

    Of several images, or of all images in a folder, a line for each, or with --out a row of a CSV or JSON file.
    """

    what: Annotated[tyro.conf.Positional[tuple[str, ...]], tyro.conf.arg(metavar="IMAGE|FOLDER|TEXT")]
    """An image file or several, a folder of images (with those inside it), or a text."""
    weights: str
    """File, folder, run, hub name (hf://owner/name@revision), or weights by name (zoo list --pretrained)."""
    model: str | None = None
    """Name of the model, where the arrays do not tell it."""
    layout: str = "auto"
    """Layout of the weights; auto sees it in the names of the arrays."""
    top: int | None = None
    """Answers to show: by default 5, of several images 1 each."""
    out: Path | None = None
    """Write the predictions of images to this file, .csv or .json. A broken image has its error in its row. A .png
    shows one image and its regions, with weights that tell a class for each pixel."""
    batch: int = 64
    """Of several images, how many the network sees at once."""


def predict_command(args: Sequence[str]) -> None:
    """`zoo predict IMAGE|TEXT --weights SOURCE`."""
    options = parse(PredictOptions, args, prog="zoo predict")
    for name in ("top", "batch"):
        number = getattr(options, name)
        if number is not None and number < 1:
            raise UserError(f"--{name} must be at least 1, not {number}")
    if not options.what:
        raise UserError("zoo predict needs an image, a folder of images or a text: zoo predict FOLDER --weights SOURCE")
    first, *others = options.what
    if options.out is not None or others or is_folder(first):
        return _predict_several(options)
    return _predict_one(options, first, options.top or 5)


def _predict_several(options: PredictOptions) -> None:
    """Predict several images."""
    from train.commands import predict_images as several
    from train.commands import predict_regions as regions

    if options.out is not None:
        several.require_out(options.out)
    paths = several.find_images(options.what)
    loaded = _open(options, images=True, given="images")
    if options.out is not None and options.out.suffix.lower() == several.PICTURE:
        regions.require_one(paths, options.out, loaded)
        prepare = inputs_of(loaded)
        picture = open_picture(paths[0], prepare.least)
        regions.draw(loaded, prepare(picture), image_outputs(loaded, picture), options.out)
        say(f"{options.out}: {paths[0].name}, and its regions")
        return
    name = None if loaded.labels == () else _class_names(loaded)
    several.predict_images(loaded, paths, name, top=options.top or 1, batch=options.batch, out=options.out)


def _predict_one(options: PredictOptions, what: str, top: int) -> None:
    """Predict one image or text."""
    from train.commands import predict_regions as regions

    picture = read_picture(what)
    loaded = _open(options, images=picture is not None, given="an image" if picture is not None else "a text")
    if picture is not None:
        prepare = inputs_of(loaded)
        if prepare.least is not None:
            picture = open_picture(Path(what).expanduser(), prepare.least)
        outputs = image_outputs(loaded, picture)
        if regions.is_of_pixels(outputs):
            _say_shares(regions.covered(outputs, _class_names(loaded), top))
            return
        if loaded.labels == () or len(outputs) == 1:  # numbers, not the logits of classes
            for number, value in enumerate(outputs):
                say(f"output {number}  {value:.4g}")
            return
        rows = _likeliest(outputs, top, _class_names(loaded))
    else:
        rows = read_text(loaded, what, top)
    _say_shares(rows)


def _say_shares(rows: Sequence[tuple[float, str]]) -> None:
    """Print a name and its share in a line each."""
    width = max(len(name) for _, name in rows)
    for share, name in rows:
        say(f"{name:<{width}}  {100 * share:5.1f} %")


def _open(options: PredictOptions, *, images: bool, given: str) -> Loaded:
    """Open the weights. UserError where the model does not read what is given."""
    from train.commands.published import open_weights
    from train.core import machine

    machine.prepare_backend()
    loaded = open_weights(options.weights, options.model, options.layout, options.config)
    inputs = zoo.card(loaded.name).inputs
    takes_images = "x" in inputs
    if takes_images != images:
        if "z" in inputs:
            raise UserError(f"{loaded.name} makes images from noise and predicts nothing: zoo sample, of its run")
        raise UserError(f"{loaded.name} reads {'an image file' if takes_images else 'a text'}, not {given}")
    return loaded


def image_outputs(loaded: Loaded, picture: Image.Image) -> Any:
    """Return the output of the model for one image: logits of classes, or other numbers."""
    import jax

    x = inputs_of(loaded)(picture)[None]
    return jax.jit(lambda v, x: loaded.model.apply(v, x, train=False))(loaded.variables, x)[0]


def inputs_of(loaded: Loaded) -> Images:
    """Return what prepares an image for the network. UserError where the weights do not say it."""
    from zoo.weights.preprocessing import Images

    if hasattr(loaded.model.cfg, "encoder") and not hasattr(loaded.model.cfg, "classes"):
        raise UserError(
            f"{loaded.name} describes images and tells no classes apart: zoo probe shows what it has learned"
        )
    if hasattr(loaded.model.cfg, "actions"):
        raise UserError(f"{loaded.source} is of an agent and describes no images: zoo play lets it act")
    if not isinstance(loaded.preprocessing, Images):
        raise UserError(f"{loaded.source} does not say how images are prepared; export it from its run, or add that")
    return loaded.preprocessing


def read_text(loaded: Loaded, text: str, top: int) -> list[tuple[float, str]]:
    """Classes of a text, guesses for each [MASK], or the next token, by what the model is."""
    if not text.strip():
        raise UserError("the text is empty")
    import jax.numpy as jnp

    from train.commands.published import tokenizer_of
    from train.data.inputs import accepts, reading
    from train.data.text.encode import frame, framed
    from train.data.text.tokenizers import encode, require
    from train.inference import text as write
    from zoo.weights.preprocessing import Text, reads_segments

    tokenizer = tokenizer_of(loaded)
    head, context = getattr(loaded.model.cfg, "head", None), getattr(loaded.model.cfg, "context", None)
    ids = encode(tokenizer, text, strict=False)
    if not ids:
        raise UserError(f"nothing of the text {text!r} is in the vocabulary")
    if context and isinstance(loaded.preprocessing, Text):  # positions beyond those of training have learned nothing
        context = min(context, loaded.preprocessing.length or context)
    if head in ("pretrain", "masked"):
        marks = write.MaskTokens(*require(tokenizer, ("[CLS]", "[SEP]", "[MASK]"), "filling masks"))
        if marks.mask not in ids:
            raise UserError("these weights guess masked words: write [MASK] where one is to be guessed")
        assert context is not None, "every model with such a head has positions"
        shown = write.around_masks(ids, context - 2, marks.mask)
        guesses = write.fill_row(
            loaded.model, loaded.variables, shown, marks, top, segmented=reads_segments(loaded.preprocessing)
        )
        return [(p, f"{place} {tokenizer.id_to_token(i)}") for place, found in enumerate(guesses, 1) for i, p in found]
    if head in ("classify", "token"):
        assert context is not None, "every model with such a head has positions"
        around = frame(tokenizer)
        if around.end is None or (around.start is None and head == "token"):
            require(tokenizer, ("[CLS]", "[SEP]"), "reading a text")
        ids = framed(ids, around, context) if head == "classify" else [around.start, *ids[: context - 2], around.end]
        last = around.end
        segmented = reads_segments(loaded.preprocessing) and accepts(loaded.model, "segments")
        logits = _apply(loaded, **reading(jnp.array([ids], jnp.int32), last if segmented else None))
        if head == "classify":
            return _likeliest(logits, top, _class_names(loaded))
        best = [_likeliest(row, 1, _class_names(loaded))[0] for row in logits[1:-1]]
        return [(p, f"{tokenizer.id_to_token(i)}  {name}") for i, (p, name) in zip(ids[1:-1], best, strict=True)]
    if head in ("hidden", "pooler"):
        raise UserError(f"{loaded.source} has no head to predict with: only the hidden states of BERT")
    if "tokens" not in zoo.card(loaded.name).inputs:
        raise UserError(f"{loaded.name} translates, which zoo translate does for runs of this project")
    ids = ids[-(context or len(ids)) :]
    return _likeliest(
        _apply(loaded, tokens=jnp.array([ids], jnp.int32))[-1], top, lambda i: repr(tokenizer.decode([i]))
    )


def _apply(loaded: Loaded, **inputs: Any) -> np.ndarray:
    """Return the output for the only row of `inputs`."""
    import numpy as np

    return np.asarray(loaded.model.apply(loaded.variables, **inputs, train=False)[0])


def _likeliest(logits: Any, top: int, name: Callable[[int], str]) -> list[tuple[float, str]]:
    import jax
    import numpy as np

    probabilities = np.asarray(jax.nn.softmax(logits))
    order = np.argsort(-probabilities)[:top]
    return [(float(probabilities[i]), name(int(i))) for i in order]


def _class_names(loaded: Loaded) -> Callable[[int], str]:
    labels = loaded.labels or ()
    return lambda i: labels[i] if i < len(labels) else f"class {i}"


def read_picture(what: str) -> Image.Image | None:
    """The image in a file of that name; None for a text."""
    path = Path(what).expanduser()
    try:
        there = path.is_file()
    except OSError:  # a text too long for a name
        return None
    if not there:
        from train.data import decode

        if path.suffix.lower() in decode.ENDINGS and " " not in what:
            raise UserError(f"no image at {what}")
        return None
    from PIL import UnidentifiedImageError

    try:
        return open_picture(path)
    except UserError as error:
        if isinstance(error.__cause__, UnidentifiedImageError):
            raise UserError(f"{what} is no image; a text is given as itself, not as a file") from None
        raise


def is_folder(what: str) -> bool:
    """Whether `what` names a folder; a text can be too long for a name."""
    try:
        return bool(what) and Path(what).expanduser().is_dir()
    except (OSError, ValueError, RuntimeError):
        return False


def open_picture(path: Path, least: int | None = None) -> Image.Image:
    """Return the image in a file; UserError where it cannot be read. least: see `train.data.decode.open_image`."""
    from train.data import decode

    with decode.reading(path):
        image = decode.open_image(path, least)
    return image.convert("RGB") if image.mode == "P" else image
