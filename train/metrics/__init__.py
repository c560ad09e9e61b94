"""The metrics of this project, and the door for a user's own.

train.metrics.register("rmse", better="lower", low=0.0)
"""

from typing import Any

from train.config.metrics import SHARE, Bounds, Direction, Metric, register_bounds, register_metric
from zoo.errors import UserError

__all__ = ["register", "register_bounds"]


def register(
    name: str,
    *,
    better: Direction | Any | None = ...,
    title: str = "",
    unit: str = "",
    low: float | None = None,
    high: float | None = None,
    digits: int = 4,
) -> Metric:
    """Register a metric, so that tables, pictures, searches, claims and the page know it.

    better: "higher" or "lower"; None for a metric that is only printed. It must be given.
    title: its name in prose; by default the name with spaces in place of underscores.
    unit: printed in claims; "share" for a metric between 0 and 1 that is printed in percent.
    low, high: the values that it can take, at which intervals end. digits: decimals that are printed.

    Raises UserError, one line, without a direction and for a taken name.
    """
    if better is ...:
        raise UserError(
            f"the metric {name!r} needs a direction: better='higher' or better='lower' "
            "(better=None for a metric that is only printed)"
        )
    return register_metric(Metric(name, better, title, unit, Bounds(low, high), digits))


# Classification, and shares of all kinds.
register("accuracy", better="higher", unit=SHARE)
register("top5_accuracy", better="higher", unit=SHARE)
register("calibration_error", better="lower", low=0.0, high=1.0)
register("loss", better="lower", unit="nats")

# Segmentation.
register("mean_iou", better="higher", title="mean IoU", unit=SHARE)
register("pixel_accuracy", better="higher", unit=SHARE)

# Text.
register("perplexity", better="lower", low=1.0, digits=2)
register("bits_per_byte", better="lower", unit="bits", low=0.0)
register("bleu", better="higher", title="BLEU", low=0.0, high=100.0, digits=2)
register("chrf", better="higher", title="chrF", low=0.0, high=100.0, digits=2)
register("exact_match", better="higher", unit=SHARE)
register("masked_loss", better="lower", unit="nats", low=0.0)
register("next_sentence_loss", better="lower", unit="nats", low=0.0)
register("next_sentence_accuracy", better="higher", unit=SHARE)

# Contrastive learning, and what features are worth.
register("contrastive_accuracy", better="higher", unit=SHARE)
register("knn_accuracy", better="higher", title="k-NN accuracy", unit=SHARE)
register("linear_accuracy", better="higher", unit=SHARE)

# Adversarial pairs. A loss or an accuracy of one player says as much of the other, so neither has a direction.
register("disc_loss", better=None)
register("gen_loss", better=None)
register("real_accuracy", better=None, unit=SHARE)
register("fake_accuracy", better=None, unit=SHARE)
register("distance", better=None)
register("penalty", better=None, low=0.0)
register("disc_gradient_norm", better=None, low=0.0)
register("gen_gradient_norm", better=None, low=0.0)
register("pixel_frechet", better="lower", title="pixel Fréchet", low=0.0)
register("frechet_distance", better="lower", title="Fréchet distance", low=0.0)
register("precision", better="higher", low=0.0, high=1.0)
register("recall", better="higher", low=0.0, high=1.0)
register("entropy", better="higher", unit="nats", low=0.0)
register("log_likelihood", better="higher", unit="nats")

# Agents. What a return can be depends on the environment: a step of CartPole earns 1, of the other two -1.
register("return", better="higher", digits=2)
register("length", better=None, low=0.0, digits=2)
register("q", better=None)
register_bounds("return", "CartPole-v0", 0.0, 200.0)
register_bounds("return", "CartPole-v1", 0.0, 500.0)
register_bounds("return", "Acrobot-v1", -500.0, 0.0)
register_bounds("return", "MountainCar-v0", -200.0, 0.0)
