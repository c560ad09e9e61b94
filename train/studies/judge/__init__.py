"""Figures of the images that a generator makes."""
