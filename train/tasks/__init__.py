"""The ways of learning of this project, entered into the table of `train.config.ways`, and the door for a user's own.

train.tasks.register("regress", config=Regress, setup=assemble, learns_from=(Data,), metrics=("rmse",))

Importing this package loads neither JAX nor a task: the functions of each way are named by strings and imported when
they are called.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import train.algorithms
import train.metrics  # noqa: F401  fills the table of metrics, of which each way names some
from train.config.ways import Target, Way, register_way
from train.tasks.adversarial.way import ADVERSARIAL
from train.tasks.classify.way import CLASSIFY
from train.tasks.contrast.way import CONTRAST
from train.tasks.q_learning.way import Q_LEARNING
from train.tasks.segment.way import SEGMENT
from train.tasks.text.ways import LANGUAGE, MASKED, TRANSLATE
from zoo.errors import UserError

__all__ = ["register"]


def register(
    name: str,
    *,
    config: type[Any],
    setup: Target | Mapping[type[Any], Target],
    metrics: Sequence[str],
    learns_from: Sequence[type[Any]] = (),
    **more: Any,
) -> Way:
    """Register a way of learning, so that every command knows it.

    config: a frozen dataclass with the field `name: Literal[NAME] = NAME`; its other fields become options
        `--task.FIELD` and need defaults.
    setup: `setup(experiment, task, data)`, which returns a `train.tasks.setup.Setup`; on text it is also given the
        tokenizer. Where it differs by the kind of data: {kind: setup} in place of `learns_from`.
    metrics: the names of what it measures, each known to `train.metrics`. The first one, measured on validation,
        chooses the best checkpoint.
    learns_from: the kinds of data, of Data, Text and World.
    more: the other fields of `train.config.ways.Way`, such as check, counts, best, compared_by, judged_by.

    Raises UserError, one line, for a taken name, an unknown metric, and a first metric without direction.
    """
    setups = dict(setup) if isinstance(setup, Mapping) else dict.fromkeys(learns_from, setup)
    if not metrics:
        raise UserError(f"the task {name!r} must name the metrics that it measures")
    best = more.pop("best", metrics[0])
    compared_by = more.pop("compared_by", best)
    return register_way(Way(name, config, setups, tuple(metrics), best, compared_by, **more))


for _way in (CLASSIFY, SEGMENT, LANGUAGE, TRANSLATE, MASKED, CONTRAST, ADVERSARIAL, Q_LEARNING):
    register_way(_way)
