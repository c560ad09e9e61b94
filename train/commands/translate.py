"""`zoo translate`: translate with a trained encoder-decoder."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from train.commands import text_inputs
from train.commands.console import say
from train.commands.options import OwnParts
from train.commands.text_inputs import OneText, RunPath, encode_source, read_texts, require_at_least
from train.config.parse import parse
from zoo.errors import UserError


@dataclasses.dataclass(frozen=True)
class TranslateOptions(OwnParts):
    """Translate with a trained model: one line comes out for each that goes in."""

    run: RunPath
    """Folder of the run, or weights of this project by name (zoo list --pretrained)."""
    text: OneText = None
    """The sentence."""
    file: str | None = None
    """Translate each line of this file instead, or of standard input (-)."""
    beams: int = 4
    """Hypotheses that beam search keeps; 1 is greedy."""
    length_penalty: float = 0.6
    """alpha of Wu et al. 2016, equation 14: larger prefers longer translations, 0 the likeliest."""
    picture: Path | None = None
    """Draw to this PNG file which source tokens each token of the translation came from."""


def translate_command(args: Sequence[str]) -> None:
    """`zoo translate RUN TEXT | --file FILE`."""
    options = parse(TranslateOptions, args, prog="zoo translate")
    require_at_least(1, beams=options.beams)
    require_at_least(0, length_penalty=options.length_penalty)
    texts = read_texts(options.text, options.file)
    if options.picture and len(texts) != 1:
        raise UserError(f"--picture draws one sentence, not {len(texts)}")
    opened = text_inputs.open_run(options.run, "translate", options.config)
    from train.data.text.tokenizers import decode, require
    from train.inference import text as write
    from train.inference.decode import Beam, Decoder, SpecialTokens
    from train.pictures.attention import draw_alignment, write_picture

    bos, eos = require(opened.tokenizer, ("[BOS]", "[EOS]"), "translation")
    sources = [encode_source(opened, i, text, eos) if text.strip() else [] for i, text in enumerate(texts, 1)]
    rows = write.translate_rows(
        Decoder(opened.model, opened.variables),
        [source for source in sources if source],
        Beam(options.beams, opened.length, options.length_penalty),
        SpecialTokens(bos, eos),
    )
    translations = iter(rows)
    say("\n".join(decode(opened.tokenizer, next(translations)) if source else "" for source in sources))
    if options.picture:
        figure = draw_alignment(opened.model, opened.variables, opened.tokenizer, sources[0], [bos, *rows[0]])
        write_picture(figure, options.picture)
