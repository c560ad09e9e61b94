"""Set up BERT's pre-training."""

import jax.numpy as jnp
from tokenizers import Tokenizer

import train.data.text
import zoo
from train.config import Experiment, Masked, Text
from train.core import Task
from train.data.text import tokenizers
from train.tasks.setup import Setup, make_optimizer, narrow, require_able, sizes
from train.tasks.text import setup as text
from train.tasks.text.masked import Marks, Shape, masked, with_loss
from zoo.errors import UserError


def assemble(experiment: Experiment, task: Masked, data: Text, tokenizer: Tokenizer | None) -> Setup:
    """Set up a run on pairs of passages. tokenizer: None trains one on the training split."""
    del task  # `blueprint` reads the config of each replica
    require_able(experiment.model.name, _guesses, "do the task 'masked' on text")
    dataset = train.data.text.load(data, "passages", tokenizer)
    text.require_enough(data, dataset)
    model, learning, inputs = blueprint(experiment, dataset.tokenizer)

    def build(changed: Experiment) -> Task:
        return blueprint(changed, dataset.tokenizer).task

    return Setup(
        dataset,
        model,
        learning,
        build,
        *sizes(learning, model, inputs),
        example=inputs,
        feed=text.feeder(data, dataset, text.batches),
        evaluator=text.evaluators(data, dataset, learning, text.batches, lambda means, split: with_loss(means)),
        tokenizer=dataset.tokenizer,
        remarks=text.remarks(data, dataset),
    )


def blueprint(experiment: Experiment, tokenizer: Tokenizer) -> text.Blueprint:
    """Build the model and its task without data."""
    config, length = narrow(experiment.task, Masked), narrow(experiment.data, Text).length
    model = text.make_text_model(experiment, tokenizer, head="pretrain")
    marks = Marks(*tokenizers.require(tokenizer, ("[CLS]", "[SEP]", "[MASK]"), "the task 'masked'"))
    if config.left_to_right != model.cfg.causal:
        raise UserError("task.left_to_right and the model's field `causal` go together: both or neither")
    shape = Shape(length, tokenizers.vocab_size(tokenizer), marks, tokenizers.without_text(tokenizer))
    task = masked(model, make_optimizer(experiment), shape, config, precision=experiment.precision)
    one = jnp.ones((1, length), jnp.int32)
    return text.Blueprint(model, task, {"tokens": one, "mask": one != 0})


def _guesses(card: zoo.Card) -> bool:
    """Whether the model reads text and has heads to choose from."""
    return hasattr(card.config, "head")
