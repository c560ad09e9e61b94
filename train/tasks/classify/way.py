"""Classification as a way of learning."""

from train.config import Classify, Data, Experiment, Text
from train.config.ways import Way


def check(experiment: Experiment) -> None:
    """Raise UserError for initial kernels that are not known."""
    from train.tasks import initial

    assert isinstance(experiment.task, Classify)
    initial.check(experiment.task.initial)


CLASSIFY = Way(
    name="classify",
    config=Classify,
    setups={Data: "train.tasks.classify.setup:assemble", Text: "train.tasks.classify.text:assemble"},
    metrics=("accuracy", "top5_accuracy", "loss"),
    best="accuracy",
    compared_by="accuracy",
    binomial=True,
    folds=(Data,),
    check=check,
)
