"""The commands with which a trained model writes: sample, translate, fill."""

import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import jax
import tyro
from flax import linen as nn
from tokenizers import Tokenizer

import train.run
from train import devices, write
from train.arguments import parse
from train.assemble.text import blueprint, saved_tokenizer
from train.checkpoints import Checkpoints
from train.data.text.tokenize import decode, encode, fingerprint, listed, require, special, strangers
from train.decode import Sampling
from train.tasks.network import weights
from train.text_pictures import draw_alignment, write_picture
from zoo.errors import UserError

COMMAND_FOR = {
    **{"language": "zoo sample", "translate": "zoo translate", "masked": "zoo fill", "classify": "zoo eval"},
    **{"adversarial": "zoo sample"},
}
RULE = "-" * 60  # between samples
RunPath = Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="RUN")]
OneText = Annotated[tyro.conf.Positional[str | None], tyro.conf.arg(metavar="TEXT")]


@dataclasses.dataclass(frozen=True)
class SampleOptions:
    """Continue a text with a trained language model. Of a run that makes images: zoo sample RUN --help."""

    run: RunPath
    """Folder of the run."""
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
    _demand(1, n=options.n, length=options.length)
    _demand(0, seed=options.seed)
    settings = Sampling(options.temperature, options.top_k, options.top_p)
    texts = [""] if (options.prompt, options.file) == (None, None) else read_texts(options.prompt, options.file)
    texts = [text for text in texts if text] or [""]
    opened = open_run(options.run, "language")
    context = opened.length if hasattr(opened.model.cfg, "context") else None
    prompts = [_prompt(opened, text) for text in texts]
    if context and (most := max(map(len, prompts))) > context:
        _note(f"a prompt has {most} tokens: the model reads the last {context}, its context")
    rows = write.continue_rows(
        opened.model,
        opened.variables,
        [row for row in prompts for _ in range(options.n)],
        length=options.length,
        settings=settings,
        seed=options.seed,
        context=context,
        stop=special(opened.tokenizer, "[EOS]"),
    )
    print(f"\n{RULE}\n".join(decode(opened.tokenizer, row) for row in rows))


@dataclasses.dataclass(frozen=True)
class TranslateOptions:
    """Translate with a trained model: one line comes out for each that goes in."""

    run: RunPath
    """Folder of the run."""
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
    _demand(1, beams=options.beams)
    _demand(0, length_penalty=options.length_penalty)
    texts = read_texts(options.text, options.file)
    if options.picture and len(texts) != 1:
        raise UserError(f"--picture draws one sentence, not {len(texts)}")
    opened = open_run(options.run, "translate")
    bos, eos = require(opened.tokenizer, ("[BOS]", "[EOS]"), "translation")
    sources = [_source(opened, i, text, eos) if text.strip() else [] for i, text in enumerate(texts, 1)]
    rows = write.translate_rows(
        opened.model,
        opened.variables,
        [source for source in sources if source],
        beams=options.beams,
        length=opened.length,
        length_penalty=options.length_penalty,
        bos=bos,
        eos=eos,
    )
    translations = iter(rows)
    print("\n".join(decode(opened.tokenizer, next(translations)) if source else "" for source in sources))
    if options.picture:
        figure = draw_alignment(opened.model, opened.variables, opened.tokenizer, sources[0], [bos, *rows[0]])
        write_picture(figure, options.picture)


@dataclasses.dataclass(frozen=True)
class FillOptions:
    """Guess what stands at each [MASK] of a text."""

    run: RunPath
    """Folder of the run."""
    text: OneText = None
    """The text, with one or more [MASK]."""
    file: str | None = None
    """Fill each line of this file instead, or of standard input (-)."""
    top: int = 5
    """Guesses to show for each [MASK]."""


def fill_command(args: Sequence[str]) -> None:
    """`zoo fill RUN TEXT | --file FILE`."""
    options = parse(FillOptions, args, prog="zoo fill")
    _demand(1, top=options.top)
    texts = [text for text in read_texts(options.text, options.file) if text.strip()]
    opened = open_run(options.run, "masked")
    marks = require(opened.tokenizer, ("[CLS]", "[SEP]", "[MASK]"), "filling masks")
    for i, text in enumerate(texts, 1):
        ids = _encoded(opened, i, text)
        if marks[2] not in ids:
            raise UserError(f"text {i} has no [MASK]: write it where a word is to be guessed")
        shown = write.around_masks(ids, opened.length - 2, marks[2])
        if len(shown) < len(ids):
            _note(f"text {i} has {len(ids)} tokens: the model reads the {len(shown)} around [MASK], its context")
        print(text)
        for place, guesses in enumerate(write.fill_row(opened.model, opened.variables, shown, marks, options.top), 1):
            for token, probability in guesses:
                print(f"  {place}  {100 * probability:5.1f} %  {opened.tokenizer.id_to_token(token)}")


@dataclasses.dataclass(frozen=True)
class Opened:
    """A trained run, ready to write."""

    model: nn.Module
    variables: dict[str, Any]
    tokenizer: Tokenizer
    length: int  # tokens of a window or sentence in training: positions beyond have learned nothing


def open_run(path: str, task: str) -> Opened:
    """The last checkpoint of a run. UserError where the run is of another task, saying which command fits it."""
    run = train.run.load(path)
    if (own := run.experiment.task.name) != task:
        raise UserError(f"{run.path} is of the task {own!r}, not {task!r}: use {COMMAND_FOR[own]}")
    if getattr(run.experiment.task, "left_to_right", False):
        raise UserError(f"{run.path} reads from left to right and has never seen a [MASK]: zoo fill cannot use it")
    train.run.demand_single(run)
    devices.prepare_backend()
    tokenizer = saved_tokenizer(run.experiment, run.path)
    model, learning, _ = blueprint(run.experiment, tokenizer, classes=0)
    abstract = devices.placed(jax.eval_shape(learning.init, jax.random.key(0)), None, "data")
    checkpoints = Checkpoints(run.checkpoints, read_only=True)
    state, _ = checkpoints.restore(abstract, tokenizer=fingerprint(tokenizer))
    variables = {"params": weights(state), **state.vars["net"]}
    return Opened(model, variables, tokenizer, run.experiment.data.length)


def read_texts(text: str | None, file: str | None) -> list[str]:
    """The text given, or the lines of a file or of standard input ("-"). UserError unless there is some, in UTF-8."""
    if (text is None) == (file is None):
        raise UserError("give one text, or --file FILE for one a line (- reads standard input)")
    if file is None:
        name, raw = "the text", text.encode(errors="surrogateescape")  # the bytes that were typed
    else:
        name = "standard input" if file == "-" else file
        try:
            raw = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
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


def _prompt(opened: Opened, text: str) -> list[int]:
    """Ids of a prompt. Where there is none, of what stands before a new text in training."""
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


def _encoded(opened: Opened, number: int, text: str) -> list[int]:
    """Ids of a text; what the vocabulary lacks is said, and read as [UNK]."""
    if found := strangers(opened.tokenizer, [text]):
        _note(f"text {number} has characters that are not in the vocabulary: {listed(found)}")
    return encode(opened.tokenizer, text, strict=False)


def _source(opened: Opened, number: int, text: str, eos: int) -> list[int]:
    """Ids of a sentence as training shows it."""
    ids, room = _encoded(opened, number, text), opened.length - 1
    if len(ids) > room:
        _note(f"text {number} has {len(ids)} tokens: cut to the first {room}, which is all that the model reads")
    return [*ids[:room], eos]


def _demand(least: int, **options: float) -> None:
    for name, value in options.items():
        if not least <= value < 2**32:
            raise UserError(f"--{name.replace('_', '-')} must be at least {least} and below 2^32, not {value}")


def _note(message: str) -> None:
    print(f"zoo: {message}", file=sys.stderr)
