"""Metrics as people write them."""

SHARES = ("accuracy", "exact_match")


def figure(metric: str, value: float) -> str:
    """A metric's value as people write it: shares in percent, perplexity, BLEU and returns with 2 digits, losses 4."""
    if metric.endswith(SHARES):
        return f"{100 * value:.2f} %"
    return f"{value:.2f}" if metric in ("perplexity", "bleu", "chrf", "return", "length") else f"{value:.4f}"


def title(metric: str) -> str:
    """A metric's name in prose: bits_per_byte -> "bits per byte"."""
    return {"bleu": "BLEU", "chrf": "chrF"}.get(metric, metric.replace("_", " "))


def human(number: float | None) -> str:
    """61706 -> "61,706", 825000 -> "0.83 M", 4.1e9 -> "4.1 G"; None -> "–"."""
    if number is None:
        return "–"
    if number < 1e5:
        return f"{number:,.0f}"
    scale, unit = next(((s, u) for s, u in ((1e15, "P"), (1e12, "T"), (1e9, "G")) if number >= s), (1e6, "M"))
    value = number / scale
    return f"{value:.{2 if value < 0.995 else 1 if value < 99.95 else 0}f} {unit}"
