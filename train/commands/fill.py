"""`zoo fill`: predict the tokens at each [MASK] of a text."""

import dataclasses
from collections.abc import Sequence

from train.commands import text_inputs
from train.commands.console import say
from train.commands.options import OwnParts
from train.commands.text_inputs import OneText, RunPath, encode_prompt, read_texts, require_at_least
from train.config.parse import parse
from zoo.errors import UserError, note


@dataclasses.dataclass(frozen=True)
class FillOptions(OwnParts):
    """Guess what stands at each [MASK] of a text."""

    run: RunPath
    """Folder of the run, or weights by name (zoo list --pretrained)."""
    text: OneText = None
    """The text, with one or more [MASK]."""
    file: str | None = None
    """Fill each line of this file instead, or of standard input (-)."""
    top: int = 5
    """Guesses to show for each [MASK]."""


def fill_command(args: Sequence[str]) -> None:
    """`zoo fill RUN TEXT | --file FILE`."""
    options = parse(FillOptions, args, prog="zoo fill")
    require_at_least(1, top=options.top)
    texts = [text for text in read_texts(options.text, options.file) if text.strip()]
    opened = text_inputs.open_run(options.run, "masked", options.config)
    from train.data.text.tokenizers import require
    from train.inference import text as write

    marks = write.MaskTokens(*require(opened.tokenizer, ("[CLS]", "[SEP]", "[MASK]"), "filling masks"))
    for i, text in enumerate(texts, 1):
        ids = encode_prompt(opened, i, text)
        if marks.mask not in ids:
            raise UserError(f"text {i} has no [MASK]: write it where a word is to be guessed")
        shown = write.around_masks(ids, opened.length - 2, marks.mask)
        if len(shown) < len(ids):
            note(f"text {i} has {len(ids)} tokens: the model reads the {len(shown)} around [MASK], its context")
        say(text)
        for place, guesses in enumerate(write.fill_row(opened.model, opened.variables, shown, marks, options.top), 1):
            for token, probability in guesses:
                say(f"  {place}  {100 * probability:5.1f} %  {opened.tokenizer.id_to_token(token)}")
