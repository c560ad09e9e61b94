"""Set up a classifier of sentences."""

from tokenizers import Tokenizer

import train.data.text
import zoo
from train.config import Classify, Experiment, Text
from train.data.inputs import accepts, sentences
from train.data.text.encode import frame
from train.tasks.classify.build import builder
from train.tasks.classify.weights import weighting
from train.tasks.setup import Setup, require_able, sizes
from train.tasks.text import setup as text

WITHOUT_SEGMENTS = "the pairs of sentences are read without segments (data.segments is off)"


def assemble(experiment: Experiment, task: Classify, data: Text, tokenizer: Tokenizer | None) -> Setup:
    """Set up a run on sentences with a class. tokenizer: None trains one on the training split."""
    require_able(experiment.model.name, _classifies, "do the task 'classify' on text")
    dataset = train.data.text.load(data, "labelled", tokenizer)
    text.require_enough(data, dataset)
    model = text.make_text_model(experiment, dataset.tokenizer, classes=dataset.classes, head="classify")
    segmented = dataset.paired and accepts(model, "segments")
    inputs = sentences(data.length, frame(dataset.tokenizer).end if segmented and data.segments else None)
    notes = {"accuracy": WITHOUT_SEGMENTS} if segmented and not data.segments else {}
    weights, of_weights = weighting(task, lambda: dataset.train.arrays["y"], dataset.class_names)
    build = builder(model, inputs, dataset.classes, weights)
    learning = build(experiment)
    return Setup(
        dataset,
        model,
        learning,
        build,
        *sizes(learning, model, inputs.example()),
        example=inputs.example(),
        feed=text.feeder(data, dataset, text.batches),
        evaluator=text.evaluators(data, dataset, learning, text.batches),
        tokenizer=dataset.tokenizer,
        remarks=(*text.remarks(data, dataset), *of_weights, *notes.values()),
        notes=notes,
    )


def _classifies(card: zoo.Card) -> bool:
    """Whether the model reads text and has heads to choose from."""
    return hasattr(card.config, "head")
