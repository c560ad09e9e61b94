"""Figures of the images that a generator makes."""

LEAST = 100
"""Images to judge at least: with fewer the figures mean nothing."""
