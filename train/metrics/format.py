"""Metrics and large numbers as people write them."""

from train.config.metrics import figure, is_share, title

__all__ = ["figure", "human", "is_share", "title"]


def human(number: float | None) -> str:
    """61706 -> "61,706", 825000 -> "0.83 M", 4.1e9 -> "4.1 G"; None -> "–"."""
    if number is None:
        return "–"
    if number < 1e5:
        return f"{number:,.0f}"
    scale, unit = next(((s, u) for s, u in ((1e15, "P"), (1e12, "T"), (1e9, "G")) if number >= s), (1e6, "M"))
    value = number / scale
    return f"{value:.{2 if value < 0.995 else 1 if value < 99.95 else 0}f} {unit}"
