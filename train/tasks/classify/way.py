"""Classification as a way of learning."""

from train.config import Classify, Data, Text
from train.config.ways import Way

CLASSIFY = Way(
    name="classify",
    config=Classify,
    setups={Data: "train.tasks.classify.setup:assemble", Text: "train.tasks.classify.text:assemble"},
    metrics=("accuracy", "top5_accuracy", "loss"),
    best="accuracy",
    compared_by="accuracy",
    binomial=True,
    folds=(Data,),
)
