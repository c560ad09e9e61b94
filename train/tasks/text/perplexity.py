"""Perplexity: how many tokens a model hesitates between on average."""

import math

LARGEST_LOSS = 700  # nats; the exponential of a larger one is no float


def with_perplexity(means: dict[str, float]) -> dict[str, float]:
    """Add "perplexity", exp(loss), to the means over a split; "count" stays the last."""
    count = means["count"]
    others = {name: value for name, value in means.items() if name != "count"}
    return others | {"perplexity": math.exp(min(means["loss"], LARGEST_LOSS)), "count": count}
