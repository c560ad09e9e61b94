"""The algorithms of training, and the door for a user's own losses.

train.algorithms.register_loss("focal", focal)
"""

from train.config.losses import LOSSES
from train.config.ways import Target

__all__ = ["register_loss"]


def register_loss(name: str, loss: Target) -> Target:
    """Register a loss of classifiers, so that `--task.loss` takes its name.

    loss: `loss(logits (B, C), label probabilities (B, C))`, which returns the loss of each example, (B,); or
        "package.module:function", imported when a run uses it.

    Raises UserError, one line, for a taken name.
    """
    return LOSSES.register(name, loss)


register_loss("cross_entropy", "train.algorithms.losses:cross_entropy")
register_loss("mse", "train.algorithms.losses:mean_squared_error")
register_loss("mse_signs", "train.algorithms.losses:squared_error_of_signs")
register_loss("hinge", "train.algorithms.losses:hinge")
