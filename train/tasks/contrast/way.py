"""Contrastive learning as a way of learning."""

from train.config import Contrast, Data, Experiment
from train.config.ways import Way
from zoo.errors import UserError


def check(experiment: Experiment) -> None:
    """Raise UserError for data that make no two views of an image."""
    from train.data.images import mixing
    from train.data.images.augment import MIXES, parse

    data = experiment.data
    assert isinstance(data, Data)
    operations = parse(data.augment)
    if not operations:
        raise UserError("the task 'contrast' needs data.augment: without it the two views of an image are the same")
    for operation in operations:
        if operation.name in (*MIXES, mixing.NAME):
            raise UserError(f"data.augment: {operation.name} mixes labels, and the task 'contrast' has none")
    if data.batch < 2:
        raise UserError(f"the task 'contrast' compares images: data.batch must be at least 2, not {data.batch}")
    if data.labels != 1:
        raise UserError(f"the task 'contrast' learns without labels: data.labels must be 1, not {data.labels}")
    if data.wrong_labels:
        raise UserError(
            f"the task 'contrast' learns without labels: data.wrong_labels must be 0, not {data.wrong_labels}"
        )


CONTRAST = Way(
    name="contrast",
    config=Contrast,
    setups={Data: "train.tasks.contrast.setup:assemble"},
    metrics=("knn_accuracy", "contrastive_accuracy", "loss"),
    best="knn_accuracy",
    compared_by="knn_accuracy",
    check=check,
)
