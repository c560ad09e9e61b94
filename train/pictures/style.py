"""The colors and styles of the page, the pictures and the tables. A paper has the same color everywhere."""

from rich import box

# Ochre, brick, magenta, violet, blue, teal, green, slate. Their contrast with the background is at least 4.5 : 1, since
# text is written in them.
LIGHT = ("#8f6200", "#bd4228", "#ad2f78", "#6748c2", "#1c68ad", "#0c7263", "#48720f", "#596370")
DARK = ("#dfb04a", "#f08c72", "#ec80bb", "#ac98f6", "#72b5ef", "#52c9b4", "#9fcb60", "#abb5c1")


LEAN = {"box": box.SIMPLE_HEAD, "pad_edge": False, "collapse_padding": True}  # a table that fits 80 columns

INK, SOFT, GRID = "#1d2127", "#5a626d", "#ebe8e2"  # text, secondary text, grid lines
