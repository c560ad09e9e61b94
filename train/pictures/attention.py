"""Attention maps in one figure: a panel for each map, a row for each query token, a column for each key token."""

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from flax import linen as nn
from tokenizers import Tokenizer

from train.pictures.style import INK, LIGHT, SOFT
from zoo.errors import UserError
from zoo.files import atomic_file

CELL = 0.25  # side of a cell in inches
ACROSS = 3  # panels per row, at most
LABELS = 60  # labels per axis, at most: of more tokens every k-th has one
CROSS_ATTENTION = ("cross", "decoder")  # its submodule in Transformers and in recurrent models
NO_GLYPH = "□"
NOT_TEXT = ("Emoji", "Last Resort", "NonUnicode")  # fonts of pictures, of placeholders, of symbols
VISIBLE = {"\n": "⏎", "\t": "⇥", " ": "␣", "": "∅"}  # how invisible tokens are written


def attention_maps(model: nn.Module, variables: Mapping[str, Any], **inputs: Any) -> dict[str, np.ndarray]:
    """Return all attention weights of `model` for `inputs` by path: {"decoder0/cross": (B, heads, T, S) float32, ...}.

    There are T queries and S keys, and each row sums to 1. The alignment of a recurrent model has one head. The model
    runs in evaluation mode.
    """

    def apply(variables: Mapping[str, Any], inputs: Mapping[str, Any]) -> Any:
        return model.apply(variables, **inputs, train=False, mutable=["intermediates"])[1].get("intermediates")

    sown, _ = jax.tree_util.tree_flatten_with_path(jax.jit(apply)(variables, inputs))
    maps = {}
    for path, leaf in sown:
        names = [step.key for step in path if isinstance(step, jax.tree_util.DictKey)]
        if names[-1] == "weights":
            weights = np.asarray(leaf, np.float32)
            maps["/".join(names[:-1])] = weights if weights.ndim == 4 else weights[:, None]
    return maps


def draw_attention(maps: Mapping[str, np.ndarray], rows: Sequence[str], columns: Sequence[str], title: str) -> Any:
    """Return a matplotlib Figure with a titled panel for each map (T, S) of weights from 0 (white) to 1.

    rows: the T query tokens. columns: the S key tokens. A character that no installed font has is drawn as a box, and
    a note in the figure explains it.
    """
    from matplotlib.colors import LinearSegmentedColormap
    from matplotlib.figure import Figure  # slow to import; no pyplot, so no global state

    families, missing = fonts({character for text in (*rows, *columns, title) for character in text})
    across = min(len(maps), ACROSS)
    down = -(-len(maps) // across)
    width, height = (CELL * max(len(tokens), 8) for tokens in (columns, rows))
    size = (max(across * (width + 0.9) + 0.3, 4), down * (height + 1.3) + 0.7)
    figure = Figure(figsize=size, dpi=110 if max(size) > 30 else 150, facecolor="white", layout="constrained")
    colors = LinearSegmentedColormap.from_list("attention", ("white", LIGHT[4]))
    panels = list(figure.subplots(down, across, squeeze=False).flat)
    for axes, (name, weights) in zip(panels, maps.items(), strict=False):
        axes.imshow(weights, cmap=colors, vmin=0, vmax=1, aspect="auto", interpolation="nearest")
        axes.set_title(name, loc="left", size=10, color=SOFT, parse_math=False)
        axes.xaxis.tick_top()
        _name_tokens(axes.xaxis, columns, families, missing, rotation=90 if max(map(len, columns)) > 2 else 0)
        _name_tokens(axes.yaxis, rows, families, missing)
        axes.tick_params(colors=SOFT, length=0)
        axes.spines[:].set_color(SOFT)
    for axes in panels[len(maps) :]:  # the empty cells of the last row
        axes.remove()
    heading = {"x": 0.013, "ha": "left", "parse_math": False, "color": INK}
    lines = textwrap.fill(drawable(title, missing), int(8 * size[0]))
    figure.suptitle(lines, size=13, family=["DejaVu Serif", *families], **heading)
    if missing:
        note = f"{NO_GLYPH}: a character that is in no installed font"
        figure.supxlabel(note, size=8, **heading | {"color": SOFT})
    return figure


def draw_alignment(
    model: nn.Module, variables: Mapping[str, Any], tokenizer: Tokenizer, source: Sequence[int], target: Sequence[int]
) -> Any:
    """Return a Figure of the cross attention from each target token to each source token, the mean over heads.

    source ends with [EOS], target starts with [BOS]. Raises UserError for a model without cross attention.
    """
    source_ids, target_ids = (np.array(ids, np.int32)[None] for ids in (source, target[:-1]))
    source_mask = np.ones(source_ids.shape, bool)
    maps = attention_maps(model, variables, source=source_ids, source_mask=source_mask, target=target_ids)
    panels = {
        name + (f", mean of {leaf.shape[1]} heads" if leaf.shape[1] > 1 else ""): leaf[0].mean(0)
        for name, leaf in maps.items()
        if name.rpartition("/")[2] in CROSS_ATTENTION
    }
    if not panels:
        raise UserError(f"{type(model).__name__} has no attention to its source, so there is nothing to draw")
    rows, columns = (
        [tokenizer.decode([i]) or tokenizer.id_to_token(i) or "" for i in ids] for ids in (target[1:], source)
    )
    return draw_attention(panels, rows, columns, tokenizer.decode(list(source)))


def write_picture(figure: Any, path: Path) -> None:
    """Write the figure to a PNG file. Raises UserError where it cannot be written."""
    with atomic_file(path) as temporary:
        figure.savefig(temporary, format="png")


def _name_tokens(axis: Any, tokens: Sequence[str], families: Sequence[str], missing: set[str], **how: Any) -> None:
    places = range(0, len(tokens), -(-len(tokens) // LABELS))
    names = [drawable(VISIBLE.get(tokens[i], tokens[i].strip()), missing) for i in places]
    axis.set_ticks(places, names, family=families, size=9, color=INK, parse_math=False, **how)


def drawable(text: str, missing: set[str]) -> str:
    return "".join(NO_GLYPH if character in missing else character for character in text)


def fonts(characters: Iterable[str]) -> tuple[list[str], set[str]]:
    """Return the installed font families that together have `characters`, and the characters that none has."""
    from matplotlib.font_manager import fontManager, get_font

    families, missing = ["DejaVu Sans"], set(characters) - set(VISIBLE)
    plain = [font for font in fontManager.ttflist if font.style == "normal" and font.weight in (400, "normal")]
    for font in sorted(plain, key=lambda font: (font.name != "DejaVu Sans", font.name)):
        if not missing:
            break
        if any(word in font.name for word in NOT_TEXT):
            continue
        found = missing & set(map(chr, get_font(font.fname).get_charmap()))
        missing -= found
        if found and font.name not in families:
            families.append(font.name)
    return families, missing
