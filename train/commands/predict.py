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


@dataclasses.dataclass(frozen=True)
class PredictOptions(OwnParts):
    """Classes of an image or a text, what stands at each [MASK], or the token that comes next."""

    what: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="IMAGE|TEXT")]
    """An image file, or a text."""
    weights: str
    """File, folder, run or hub name (hf://owner/name@revision)."""
    model: str | None = None
    """Name of the model, where the arrays do not tell it."""
    layout: str = "auto"
    """Layout of the weights; auto sees it in the names of the arrays."""
    top: int = 5
    """Answers to show."""


def predict_command(args: Sequence[str]) -> None:
    """`zoo predict IMAGE|TEXT --weights SOURCE`."""
    options = parse(PredictOptions, args, prog="zoo predict")
    if options.top < 1:
        raise UserError(f"--top must be at least 1, not {options.top}")
    picture = read_picture(options.what)
    from train.commands.published import open_weights
    from train.core import machine

    machine.prepare_backend()
    loaded = open_weights(options.weights, options.model, options.layout, options.config)
    takes_images = "x" in zoo.card(loaded.name).inputs
    if takes_images != (picture is not None):
        if "z" in zoo.card(loaded.name).inputs:
            raise UserError(f"{loaded.name} makes images from noise and predicts nothing: zoo sample, of its run")
        needs, given = ("an image file", "a text") if takes_images else ("a text", "an image")
        raise UserError(f"{loaded.name} reads {needs}, not {given}")
    if picture is not None:
        outputs = image_outputs(loaded, picture)
        if loaded.labels == () or len(outputs) == 1:  # numbers, not the logits of classes
            for number, value in enumerate(outputs):
                say(f"output {number}  {value:.4g}")
            return
        rows = _likeliest(outputs, options.top, _class_names(loaded))
    else:
        rows = read_text(loaded, options.what, options.top)
    width = max(len(name) for _, name in rows)
    for probability, name in rows:
        say(f"{name:<{width}}  {100 * probability:5.1f} %")


def image_outputs(loaded: Loaded, picture: Image.Image) -> Any:
    """Return the output of the model for one image: logits of classes, or other numbers."""
    import jax

    from zoo.weights.preprocessing import Images

    if hasattr(loaded.model.cfg, "actions"):
        raise UserError(f"{loaded.source} is of an agent and describes no images: zoo play lets it act")
    if not isinstance(loaded.preprocessing, Images):
        raise UserError(f"{loaded.source} does not say how images are prepared; export it from its run, or add that")
    x = loaded.preprocessing(picture)[None]
    return jax.jit(lambda v, x: loaded.model.apply(v, x, train=False))(loaded.variables, x)[0]


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
    if head == "pooler":
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

    from train.data import decode

    with decode.reading(path):
        try:
            image = decode.open_image(path)
        except UnidentifiedImageError:
            raise UserError(f"{what} is no image; a text is given as itself, not as a file") from None
    return image.convert("RGB") if image.mode == "P" else image
