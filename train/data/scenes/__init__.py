"""Scenes composed from real digits: one whole handwritten digit among pieces of other digits, from a seed.

The 1,797 digits that scikit-learn brings are cut into training, validation and test glyphs first (`glyphs`). A scene
places, scales and turns one glyph of its split, and lays pieces of other glyphs of that split beside it; contrast and
noise are drawn too. How hard that is, a preset says (`presets`). `compose` makes the same bytes on the host and inside
a compiled step; `sets` has the splits, `source` the new scenes of each step.

One scene is to serve several views. `scenes/classify`, for short `scenes`, asks which digit is whole.
"""
