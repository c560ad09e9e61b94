"""Open a run on text, and read the texts that a command is given."""

from __future__ import annotations

import contextlib
import dataclasses
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

import train.loop.named
import train.loop.run
from train.config import Text
from zoo.errors import UserError, note

if TYPE_CHECKING:
    from flax import linen as nn
    from tokenizers import Tokenizer

    from zoo.weights.table import Row

COMMAND_FOR = {
    **{"language": "zoo sample", "translate": "zoo translate", "masked": "zoo fill", "classify": "zoo eval"},
    **{"adversarial": "zoo sample", "q_learning": "zoo play", "contrast": "zoo probe"},
}


WHAT = {"language": "continues texts", "masked": "fills masks", "translate": "translates"}


RULE = "-" * 60  # between samples


RunPath = Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="RUN")]


OneText = Annotated[tyro.conf.Positional[str | None], tyro.conf.arg(metavar="TEXT")]


@dataclasses.dataclass(frozen=True)
class Opened:
    """A trained run, ready to write."""

    model: nn.Module
    variables: dict[str, Any]
    tokenizer: Tokenizer
    length: int  # tokens of a window or sentence in training: positions beyond have learned nothing


def open_run(path: str, task: str, config: Path | None = None) -> Opened:
    """Open the last checkpoint of a run, or weights by name.

    UserError where they are of another task, saying which command fits it.
    """
    row = train.loop.named.row_of(path)
    if row is not None and row.recipe is None:
        return _open_published(row, task)
    run = train.loop.named.load_or_named(path, config)
    if (own := run.experiment.task.name) != task:
        raise UserError(f"{run.path} is of the task {own!r}, not {task!r}: use {COMMAND_FOR.get(own, 'zoo eval')}")
    if getattr(run.experiment.task, "left_to_right", False):
        raise UserError(f"{run.path} reads from left to right and has never seen a [MASK]: zoo fill cannot use it")
    train.loop.run.require_single(run)
    import jax

    from train.algorithms.averages import evaluation_variables
    from train.config.ways import resolve, way_of
    from train.core import devices, machine
    from train.data.text.tokenizers import fingerprint
    from train.loop.checkpoints import Checkpoints
    from train.loop.restore import saved_tokenizer
    from train.tasks.setup import narrow

    machine.prepare_backend()
    tokenizer = saved_tokenizer(run.experiment, run.path)
    assert tokenizer is not None, "read from the folder of the run, or there is an error"
    build = way_of(run.experiment.task).blueprint
    assert build is not None, "every task that a command opens has a blueprint"
    model, learning, _ = resolve(build)(run.experiment, tokenizer)
    length = narrow(run.experiment.data, Text).length
    if run.weights:
        import zoo
        from zoo.weights import table
        from zoo.weights.load import open_row

        return Opened(model, zoo.load_weights(model, open_row(table.require(run.weights))), tokenizer, length)
    abstract = devices.placed(jax.eval_shape(learning.init, jax.random.key(0)), None, "data")
    checkpoints = Checkpoints(run.checkpoints, read_only=True)
    state, _ = checkpoints.restore(abstract, tokenizer=fingerprint(tokenizer))
    variables = evaluation_variables(state)
    return Opened(model, variables, tokenizer, length)


def _open_published(row: Row, task: str) -> Opened:
    """Open weights by name that were not trained here, so no run says what they read. UserError for another task."""
    import zoo
    from train.commands.published import tokenizer_of
    from train.core import machine

    card = zoo.card(row.card)
    kind = "masked" if hasattr(card.config, "head") else "language"
    if "tokens" not in card.inputs or kind != task:
        raise UserError(
            f"{row.name} is a {card.name}, and no model that {WHAT[task]}: zoo predict … --weights {row.name}"
        )
    machine.prepare_backend()
    loaded = zoo.pretrained(row.name)
    if kind == "masked" and loaded.model.cfg.head not in ("pretrain", "masked"):
        raise UserError(f"{row.name} has no head that guesses masked words")
    return Opened(loaded.model, loaded.variables, tokenizer_of(loaded), loaded.model.cfg.context)


def read_texts(text: str | None, file: str | None) -> list[str]:
    """The text given, or the lines of a file or of standard input ("-").

    UserError unless there is some, in UTF-8, and no more than a data file may hold.
    """
    if (text is None) == (file is None):
        raise UserError("give one text, or --file FILE for one a line (- reads standard input)")
    if file is None:
        assert text is not None, "one of the two is given"
        name, raw = "the text", text.encode(errors="surrogateescape")  # the bytes that were typed
    else:
        name = "standard input" if file == "-" else file
        from train.data.text.files import read_bounded

        try:
            with contextlib.nullcontext(sys.stdin.buffer) if file == "-" else open(file, "rb") as opened:
                raw = read_bounded(opened, name)
        except OSError as error:
            raise UserError(f"cannot read {name}: {error.strerror}") from None
    try:
        whole = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise UserError(f"{name}: line {line} is not UTF-8 (byte 0x{raw[error.start]:02x})") from None
    if not whole.strip():
        raise UserError(f"{name} is empty")
    return [whole] if file is None else [line.removesuffix("\r") for line in whole.removesuffix("\n").split("\n")]


def encode_prompt(opened: Opened, number: int, text: str) -> list[int]:
    """Ids of a text; what the vocabulary lacks is said, and read as [UNK]. UserError for more than memory allows."""
    from train.data.text.tokenizers import encode, listed, require_encodable, unknown_characters

    require_encodable(text, f"text {number}")
    if found := unknown_characters(opened.tokenizer, [text]):
        note(f"text {number} has characters that are not in the vocabulary: {listed(found)}")
    return encode(opened.tokenizer, text, strict=False)


def encode_source(opened: Opened, number: int, text: str, eos: int) -> list[int]:
    """Ids of a sentence as training shows it."""
    ids, room = encode_prompt(opened, number, text), opened.length - 1
    if len(ids) > room:
        note(f"text {number} has {len(ids)} tokens: cut to the first {room}, which is all that the model reads")
    return [*ids[:room], eos]


def require_at_least(least: int, **options: float) -> None:
    for name, value in options.items():
        if not least <= value < 2**32:
            raise UserError(f"--{name.replace('_', '-')} must be at least {least} and below 2^32, not {value}")
