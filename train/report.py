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
