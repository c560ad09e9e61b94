"""Metrics of generated images."""

LEAST = 100
"""The fewest images to judge: with fewer the metrics mean nothing."""
