"""The datasheet and the licence that lie beside exported scenes."""

from collections.abc import Mapping

from train.config import Scenes
from train.data.scenes import glyphs, presets, sets

SOURCE = (
    'E. Alpaydin and C. Kaynak, "Optical Recognition of Handwritten Digits", UCI Machine Learning Repository, 1998, '
    "https://archive.ics.uci.edu/dataset/80/optical+recognition+of+handwritten+digits"
)
LICENSE = f"""\
Scenes composed from real digits

The scenes in this folder are made from handwritten digits of this data set, which is licensed under Creative Commons
Attribution 4.0 International (CC BY 4.0):

    {SOURCE}

The digits are those of its test part, as scikit-learn distributes them. Changes were made: digits are placed, scaled,
turned, cut into pieces and laid over one another, and contrast and noise are added.

The scenes are licensed under CC BY 4.0 as well: you may share and change them for any purpose, also commercially, if
you give credit to the source above, link to the licence, and say what you changed. They come without any warranty.

    https://creativecommons.org/licenses/by/4.0/
    https://creativecommons.org/licenses/by/4.0/legalcode
"""
TEMPLATE = """\
# Scenes, composed from real digits

Grey pictures of {size}x{size} pixels. Each shows one whole handwritten digit, which is its class, among pieces cut out
of other handwritten digits. The pictures are composed by a program; every stroke in them was written by a person.

| split | scenes | glyphs |
| --- | --- | --- |
{counts}

## Files

- `SPLIT/CLASS/NUMBER.png`: the scenes, 8 bits of grey. NUMBER counts the scenes of a split.
- `groups.csv`: a row for each scene: `file`, and `group`, the number of its whole digit.
- `scenes.csv`: a row for each scene: `file`, `label`, `split`; `group` and `glyph`, both the number of the whole digit;
  `pieces`, the numbers of the digits that the pieces are cut from; `xx, xy, x0, yx, yy, y0`, where the digit is: the
  point (u, v) of its picture of 8x8 pixels lies at x = xx u + xy v + x0, y = yx u + yy v + y0 of the scene, in pixels
  from the upper left corner.
- `glyphs.csv`: a row for each of the {glyphs:,} digits: its number, its class, and the split that it belongs to.
- `LICENSE`: CC BY 4.0, with the source to give credit to.

## How they are made

The {glyphs:,} digits (pictures of 8x8 pixels with 17 levels of ink; a glyph's number is its place in scikit-learn's
`load_digits()`) are cut into training, validation and test glyphs **first**, and a scene takes all of its parts from
the glyphs of its own split. So no digit of the test set is in a training scene, turned, scaled or in pieces. Then, with
all numbers drawn from a seed, between the bounds given and with equal probability:

1. The whole digit's picture is made {low:g} to {high:g} pixels high (of {side} for the scene: all lengths here are for
   a scene of {side}x{side} and grow with its size), turned by up to {turn:g}° either way, and placed anywhere so that
   all of its ink is inside. Each glyph of a split is the whole digit equally often, to within one scene.
2. {pieces} squares of {piece} pixels are cut out of other digits around pixels with ink, made larger or smaller and
   turned by the same rules, and laid beside the digit: of {places} places anywhere in the scene each takes the one
   that is farthest from the digit. Their classes are drawn without regard to the class of the scene.
3. The paper has a brightness of {paper}. The digit lifts it by {ink} of what is missing to white, a piece by {clutter};
   where both are, the brighter one shows.
4. Each pixel gets noise with a standard deviation of {noise:g} of the range from black to white.

Made by the generator's version {version}, preset `{preset}`, glyphs cut with seed {split_seed}. The generator computes
in whole numbers: the same version, preset, size and seeds give the same bytes on every machine. The test scenes depend
on version, preset, size and number of pieces alone.

## Labels

A scene's label is the class of its whole digit. It is known from how the scene was made, not annotated. The class of a
digit is what its writer was asked to write.

## Known limits

- The test scenes are not independent: they show {test} glyphs, {each} times each. An interval for a test accuracy must
  come from a bootstrap over glyphs (column `group`), not over scenes.
- The digits are those of the source's test part, which 13 persons wrote. Who wrote which is not published with them, so
  writers are shared between the splits: accuracies are of new digits, not of new writers.
- A glyph has 8x8 pixels. A larger scene shows the same ink more smoothly, not in more detail.
- A piece can look like a digit by chance (a stroke like a 1), and can cover a part of the whole digit. Some scenes are
  hard for people too.
- Place, size, turn, contrast and noise are independent of each other and of the class, which they are not in the world.
  The set is for learning and for comparing methods, not for reading real documents.

## Source

{source}. Licensed under CC BY 4.0.
"""


def datasheet(data: Scenes, counts: Mapping[str, int]) -> str:
    """Return the text of README.md. counts: split -> how many scenes it has."""
    preset, cut = sets.preset_of(data), glyphs.cut(data.validation, data.split_seed)
    rows = [f"| {split} | {count:,} | {len(cut[split]):,} |" for split, count in counts.items()]
    return TEMPLATE.format(
        size=data.size,
        counts="\n".join(rows),
        glyphs=len(glyphs.digits()),
        low=preset.height[0],
        high=preset.height[1],
        side=presets.SIDE,
        turn=preset.turn,
        pieces=preset.pieces,
        places=preset.places,
        piece=_span(preset.piece),
        paper=_span(preset.paper),
        ink=_span(preset.ink),
        clutter=_span(preset.clutter),
        noise=preset.noise,
        version=sets.VERSION,
        preset=data.preset,
        split_seed=data.split_seed,
        test=len(cut["test"]),
        each=sets.SHOWN_EACH,
        source=SOURCE,
    )


def _span(bounds: tuple[float, float]) -> str:
    low, high = bounds
    return f"{low:g}" if low == high else f"{low:g} to {high:g}"
