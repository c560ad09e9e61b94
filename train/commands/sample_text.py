"""The commands with which a trained model writes: sample, translate, fill."""

import dataclasses
from collections.abc import Sequence

from train.commands import text_inputs
from train.commands.console import say
from train.commands.options import OwnParts
from train.commands.text_inputs import RULE, Opened, RunPath, read_texts, require_at_least
from train.config.parse import parse
from zoo.errors import UserError, note


@dataclasses.dataclass(frozen=True)
class SampleOptions(OwnParts):
    """Continue a text with a trained language model. Of a run that makes images: zoo sample RUN --help."""

    run: RunPath
    """Folder of the run, or weights by name (zoo list --pretrained)."""
    prompt: str | None = None
    """Text to continue; without one the model begins a new text."""
    file: str | None = None
    """Continue each line of this file instead, or of standard input (-)."""
    n: int = 1
    """Samples for each prompt."""
    length: int = 200
    """Tokens to add at most; a text that the model ends is shorter. Beyond the model's context the window slides:
    each time it is full, its last half is what the model goes on from."""
    temperature: float = 1.0
    """Divides the logits: below 1 plainer, above 1 wilder, 0 always the likeliest token."""
    top_k: int | None = None
    """Draw from the k likeliest tokens only."""
    top_p: float = 1.0
    """Draw from the fewest tokens only that together have probability p."""
    seed: int = 0
    """Another seed gives other samples."""


def sample_command(args: Sequence[str]) -> None:
    """`zoo sample RUN [--prompt TEXT | --file FILE]`."""
    options = parse(SampleOptions, args, prog="zoo sample")
    require_at_least(1, n=options.n, length=options.length)
    require_at_least(0, seed=options.seed)
    from train.data.text.tokenizers import decode, special
    from train.inference import text as write
    from train.inference.decode import Decoder, Sampling

    settings = Sampling(options.temperature, options.top_k, options.top_p)
    texts = [""] if (options.prompt, options.file) == (None, None) else read_texts(options.prompt, options.file)
    texts = [text for text in texts if text] or [""]
    opened = text_inputs.open_run(options.run, "language", options.config)
    context = opened.length if hasattr(opened.model.cfg, "context") else None
    prompts = [_prompt(opened, text) for text in texts]
    if context and (most := max(map(len, prompts))) > context:
        note(f"a prompt has {most} tokens: the model reads the last {context}, its context")
    rows = write.continue_rows(
        Decoder(opened.model, opened.variables),
        [row for row in prompts for _ in range(options.n)],
        length=options.length,
        sampling=settings,
        seed=options.seed,
        context=context,
        stop=special(opened.tokenizer, "[EOS]"),
    )
    say(f"\n{RULE}\n".join(decode(opened.tokenizer, row) for row in rows))


def _prompt(opened: Opened, text: str) -> list[int]:
    """Ids of a prompt. Where there is none, of what stands before a new text in training."""
    from train.data.text.tokenizers import encode, special

    if not text:
        end = special(opened.tokenizer, "[EOS]")
        ids = [end] if end is not None else opened.tokenizer.encode("\n", add_special_tokens=False).ids
    elif ids := encode(opened.tokenizer, text):
        unknown_id = special(opened.tokenizer, "[UNK]")
        if unknown_id is not None and unknown_id in ids:
            raise UserError(f"the prompt {text!r} has words that are not in the vocabulary")
    if not ids:
        raise UserError(f"nothing of the prompt {text!r} is in the vocabulary")
    return ids
