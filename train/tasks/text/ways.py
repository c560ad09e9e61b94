"""Language modelling, translation and masked pre-training as ways of learning."""

from train.config import Experiment, Language, Masked, Text, Translate
from train.config.ways import Way
from zoo.errors import UserError


def check_language(experiment: Experiment) -> None:
    """Raise UserError for buckets, which are for sentences."""
    if isinstance(experiment.data, Text) and experiment.data.buckets:
        raise UserError("data.buckets are for sentences; a language model reads windows of one length")


LANGUAGE = Way(
    name="language",
    config=Language,
    setups={Text: "train.tasks.text.language_setup:assemble"},
    metrics=("loss", "accuracy", "perplexity", "bits_per_byte"),
    best="loss",
    compared_by="loss",
    counts="tokens",
    check=check_language,
    blueprint="train.tasks.text.language_setup:blueprint",
)

TRANSLATE = Way(
    name="translate",
    config=Translate,
    setups={Text: "train.tasks.text.translate_setup:assemble"},
    metrics=("loss", "accuracy", "perplexity", "bleu", "chrf", "exact_match"),
    best="loss",
    compared_by="bleu",
    counts="tokens",
    blueprint="train.tasks.text.translate_setup:blueprint",
)

MASKED = Way(
    name="masked",
    config=Masked,
    setups={Text: "train.tasks.text.masked_setup:assemble"},
    judged_by=("task.share", "task.next_sentence", "task.left_to_right"),
    metrics=("loss", "accuracy", "masked_loss", "next_sentence_loss", "next_sentence_accuracy"),
    best="loss",
    compared_by="loss",
    counts="hidden tokens",
    blueprint="train.tasks.text.masked_setup:blueprint",
)
