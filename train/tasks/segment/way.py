"""Segmentation as a way of learning."""

from train.config import Data, Experiment, Segment
from train.config.ways import Way
from zoo.errors import UserError


def check(experiment: Experiment) -> None:
    """Raise UserError for fields of the data that are about one class for each image."""
    from train.data.images.augment import parse
    from train.data.masks.inputs import STILL
    from train.data.moves import MOVES

    data = experiment.data
    assert isinstance(data, Data)
    for operation in parse(data.augment):
        if operation.name not in (*MOVES, *STILL):
            known = ", ".join((*MOVES, *STILL))
            raise UserError(f"data.augment: {operation.name} is not for images with masks; these are: {known}")
    if data.wrong_labels:
        raise UserError(f"the task 'segment' has no wrong labels: data.wrong_labels must be 0, not {data.wrong_labels}")
    if data.fold is not None:
        raise UserError("the task 'segment' has no folds: leave data.fold out")


SEGMENT = Way(
    name="segment",
    config=Segment,
    setups={Data: "train.tasks.segment.setup:assemble"},
    metrics=("mean_iou", "pixel_accuracy", "loss"),
    best="mean_iou",
    compared_by="mean_iou",
    confuses="pixels",
    check=check,
)
