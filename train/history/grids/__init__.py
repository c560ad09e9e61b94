"""The names that the file of a grid imports: the grid, and its rows and columns."""

from train.history.grids.grid import Grid, Variant

__all__ = ["Grid", "Variant"]
