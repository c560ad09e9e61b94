"""Tokenizers of the `tokenizers` library: learn them from text, read published files, encode and decode text.

The special tokens of learned tokenizers are [PAD]=0, [UNK]=1, [BOS]=2, [EOS]=3, with wordpiece also [CLS]=4, [SEP]=5,
[MASK]=6. A character vocabulary can be without special tokens (see `learn`). Published tokenizers keep their own, which
`special` finds by name.
"""

import collections
import dataclasses
import hashlib
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from train.core import machine
from zoo.errors import UserError, unknown

KINDS = ("char", "bpe", "wordpiece")
SPECIAL = ("[PAD]", "[UNK]", "[BOS]", "[EOS]")
BERT = ("[CLS]", "[SEP]", "[MASK]")
NAMES = {
    "[PAD]": ("[PAD]", "<pad>"),
    "[UNK]": ("[UNK]", "<unk>"),
    "[BOS]": ("[BOS]", "<s>", "[CLS]", "<|endoftext|>"),
    "[EOS]": ("[EOS]", "</s>", "[SEP]", "<|endoftext|>"),
    "[CLS]": ("[CLS]", "<s>"),
    "[SEP]": ("[SEP]", "</s>"),
    "[MASK]": ("[MASK]", "<mask>"),
}
"""The names of each special token in BERT, GPT-2 and RoBERTa, in the order in which they are tried."""
ALPHABET = 1_000
"""Largest number of characters in a wordpiece vocabulary, the default of its trainer."""
PIECE = 1 << 18
"""Longer documents, in characters, are divided before encoding, to use all cores and little memory."""
CUT = re.compile(r"[\n ](?=\S)")
"""Where they are divided: the pre-tokenizers of GPT-2 and BERT always end a word before such a newline or space."""
SPACE = re.compile(r"\s")
ANYWHERE = re.compile("")
"""Where they are divided if all tokens are single characters."""
BYTES_PER_CHARACTER = 150
"""Memory that the library needs to encode a text, for each of its characters (measured: 100 to 140)."""
RARE = "\ua66e"
"""A letter that no vocabulary has."""
LONGEST_WORD = 10_000
"""The time of learning bpe and wordpiece is quadratic in the length of a word: half a second at twice this length."""


def learn(kind: str, texts: Sequence[str], vocab: int, lower: bool = False, specials: bool = True) -> Tokenizer:
    """Learn a tokenizer from `texts`. The same texts give the same tokenizer.

    char: the `vocab` most frequent characters, numbered in the order of their code points.
    bpe: GPT-2's byte-level byte-pair encoding (Radford et al. 2019, section 2.2), which can encode any text.
    wordpiece: BERT's normalizer and words (Devlin et al. 2018), with pieces learned by pair counts.
    In the last two `vocab` includes the special tokens.
    specials: False for a character vocabulary without special tokens. The other kinds always have them.
    """
    if kind == "char":
        return _learn_characters(texts, vocab, lower, specials)
    if kind == "bpe":
        if vocab < (least := 256 + len(SPECIAL)):
            raise UserError(f"data.vocab={vocab}: bpe needs at least {least} (all bytes and the special tokens)")
        tokenizer = blank(kind)
        tokenizer.normalizer = normalizers.Lowercase() if lower else None
        alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
        options = {"special_tokens": list(SPECIAL), "initial_alphabet": alphabet, "show_progress": False}
        trainer = trainers.BpeTrainer(vocab_size=vocab, **options)
        tokenizer.train_from_iterator((piece for text in texts for piece in _pieces(text, CUT)), trainer)
        return tokenizer
    return _learn_word_pieces(texts, vocab, lower)


def blank(kind: str) -> Tokenizer:
    """Return a tokenizer of a kind that has learned nothing yet: it cuts text into words as the learned one does."""
    if kind == "wordpiece":
        return _word_pieces(models.WordPiece(unk_token="[UNK]"), False)
    tokenizer = Tokenizer(models.BPE())
    if kind == "bpe":
        _byte_level(tokenizer)
    else:
        tokenizer.decoder = decoders.Fuse()
    return tokenizer


def _learn_word_pieces(texts: Sequence[str], vocab: int, lower: bool) -> Tokenizer:
    named = [*SPECIAL, *BERT]
    if (room := (vocab - len(named)) // 2) < 1:
        raise UserError(f"data.vocab={vocab}: wordpiece needs at least {len(named) + 2}")
    tokenizer, counts = _word_pieces(models.WordPiece(unk_token="[UNK]"), lower), collections.Counter()
    for raw, count in _counted(texts).items():
        for character in "".join(tokenizer.normalizer.normalize_str(raw).split()):  # one of Hangul becomes three
            counts[character] += count
    alphabet = _most_frequent(counts, min(ALPHABET, room))
    options = {"initial_alphabet": alphabet, "limit_alphabet": len(alphabet), "show_progress": False}
    # The trainer numbers the "##x" in the random order of a hash map, and the smaller number wins a tie between pairs.
    # So the first round only collects them, and the second fixes their numbers as if they were special tokens. This
    # makes the vocabulary deterministic.
    fixed = named
    for size in (0, vocab):
        trainer = trainers.WordPieceTrainer(vocab_size=size, special_tokens=fixed, **options)
        tokenizer.train_from_iterator((piece for text in texts for piece in _pieces(text, CUT)), trainer)
        fixed = [*named, *sorted(set(tokenizer.get_vocab()) - set(named))]
    learned = _word_pieces(models.WordPiece(vocab=tokenizer.get_vocab(), unk_token="[UNK]"), lower)
    learned.add_special_tokens(named)
    return learned


def _counted(texts: Sequence[str]) -> collections.Counter:
    counts = collections.Counter()
    for text in texts:
        counts.update(text)
    return counts


def _most_frequent(counts: collections.Counter, many: int) -> list[str]:
    """Return the most frequent characters in the order of their code points. A smaller code point wins a tie."""
    return sorted(sorted(counts, key=lambda character: (-counts[character], character))[:many])


def _learn_characters(texts: Sequence[str], vocab: int, lower: bool, specials: bool) -> Tokenizer:
    kept = _most_frequent(_counted(texts), vocab)
    tokens = [*SPECIAL, *kept] if specials else kept
    ids = {token: i for i, token in enumerate(tokens)}
    # Byte-pair encoding without merges gives characters, and it is the fastest way to them.
    tokenizer = Tokenizer(models.BPE(vocab=ids, merges=[], unk_token="[UNK]" if specials else None))
    tokenizer.normalizer = normalizers.Lowercase() if lower else None
    tokenizer.decoder = decoders.Fuse()
    if specials:
        tokenizer.add_special_tokens(list(SPECIAL))
    return tokenizer


def _byte_level(tokenizer: Tokenizer) -> None:
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()


def _word_pieces(model: models.WordPiece, lower: bool) -> Tokenizer:
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=lower)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    return tokenizer


def read(path: str | Path, lower: bool = False) -> Tokenizer:
    """Read a tokenizer.json, BERT's vocab.txt, or a folder with one of these or with vocab.json and merges.txt.

    lower: convert text to lower case first. Raises UserError with one line.
    """
    path = Path(path).expanduser()
    if not path.exists():
        raise UserError(
            f"data.tokenizer={path}: neither {', '.join(KINDS)} nor a file or folder that is there "
            "(tokenizer.json, vocab.txt, or vocab.json with merges.txt)"
        )
    names = ("tokenizer.json", "vocab.txt", "vocab.json")
    file = next((path / name for name in names if (path / name).exists()), None) if path.is_dir() else path
    if file is None:
        raise UserError(f"data.tokenizer={path}: the folder has none of {', '.join(names)}")
    try:
        if file.suffix == ".txt":
            tokenizer = _word_pieces(models.WordPiece.from_file(str(file), unk_token="[UNK]"), lower)
        elif file.name == "vocab.json":
            tokenizer = Tokenizer(models.BPE.from_file(str(file), str(file.with_name("merges.txt"))))
            tokenizer.normalizer = normalizers.Lowercase() if lower else None
            _byte_level(tokenizer)
        else:
            tokenizer = Tokenizer.from_file(str(file))
            tokenizer.no_truncation()
            tokenizer.no_padding()
            if lower:
                own = tokenizer.normalizer
                tokenizer.normalizer = normalizers.Sequence([normalizers.Lowercase(), *([] if own is None else [own])])
    except Exception as error:  # the library raises a bare Exception for any error in Rust
        raise UserError(f"{file} is not a tokenizer ({' '.join(str(error).split())[:120]})") from error
    _require_whole(tokenizer, file)
    held = {name for names in NAMES.values() for name in names if tokenizer.token_to_id(name) is not None}
    tokenizer.add_special_tokens(sorted(held))
    return tokenizer


def _require_whole(tokenizer: Tokenizer, file: Path) -> None:
    """Raise UserError where a tokenizer has no tokens, or fails at a word that it does not have."""
    if not tokenizer.get_vocab():
        raise UserError(f"{file} holds no tokens")
    try:
        tokenizer.encode(RARE)
    except Exception as error:  # a bare Exception, as above
        reason = " ".join(str(error).split())[:120]
        raise UserError(f"{file} cannot encode a word that it lacks ({reason}): add its token for those") from error


def vocab_size(tokenizer: Tokenizer) -> int:
    """Return the largest id plus one."""
    return max(tokenizer.get_vocab().values()) + 1


def fingerprint(tokenizer: Tokenizer) -> str:
    """Return a hash of the tokenizer."""
    return hashlib.sha256(tokenizer.to_str().encode()).hexdigest()


def special(tokenizer: Tokenizer, name: str) -> int | None:
    """Return the id of a special token by our name ("[EOS]"), which may have another name in the tokenizer; or None."""
    ids = (tokenizer.token_to_id(candidate) for candidate in NAMES[name])
    return next((i for i in ids if i is not None), None)


def require(tokenizer: Tokenizer, names: Sequence[str], why: str) -> list[int]:
    """Return the ids of special tokens. Raises UserError where one is missing, or where the id of [PAD] is not 0."""
    ids: list[int] = []
    for name in names:
        i = special(tokenizer, name)
        if i is None or (name == "[PAD]" and i):
            lacks = "no" if i is None else f"id {i}, not 0, for"
            raise UserError(f"this tokenizer has {lacks} {name}, needed for {why}: choose another data.tokenizer")
        ids.append(i)
    return ids


def without_text(tokenizer: Tokenizer) -> tuple[int, ...]:
    """Return the ids that stand for no text, ascending: special tokens, and numbers that no token has."""
    specials = {i for i, token in tokenizer.get_added_tokens_decoder().items() if token.special}
    unused = set(range(vocab_size(tokenizer))) - set(tokenizer.get_vocab().values())
    return tuple(sorted(specials | unused))


def require_vocab(tokenizer: Tokenizer, vocab: int, whose: str) -> None:
    """Raise UserError unless the tokenizer has exactly `vocab` tokens. `whose` names the checkpoint or model."""
    if (own := vocab_size(tokenizer)) != vocab:
        raise UserError(f"the tokenizer has {own:,} tokens, and {whose} has {vocab:,}: they do not belong together")


def characters(tokenizer: Tokenizer) -> set[str] | None:
    """Return the characters of a character vocabulary; None for other kinds."""
    if not isinstance(tokenizer.decoder, decoders.Fuse):
        return None
    return {token for token in tokenizer.get_vocab() if len(token) == 1}


def unknown_characters(tokenizer: Tokenizer, texts: Iterable[str]) -> list[str]:
    """Return the sorted characters of `texts` that a character vocabulary does not have; none for other kinds."""
    known = characters(tokenizer)
    if known is None:
        return []
    found = set().union(*map(set, texts))
    if tokenizer.normalizer is not None:
        found = set(tokenizer.normalizer.normalize_str("".join(found)))
    return sorted(found - known)


def listed(found: Sequence[str]) -> str:
    """Describe characters in a message, at most ten: 'é', '\\t' and 12 more."""
    more = f" and {len(found) - 10} more" if len(found) > 10 else ""
    return ", ".join(map(repr, found[:10])) + more


def encode(tokenizer: Tokenizer, text: str, strict: bool = True) -> list[int]:
    """Encode a text that a user typed. No tokens are added; special tokens in the text ("[MASK]") are recognized.

    strict: raise UserError for characters that a character vocabulary does not have. Otherwise they become [UNK], or
    are left out if the vocabulary has no [UNK].
    """
    require_encodable(text, "the text")
    plain = text
    for token in tokenizer.get_added_tokens_decoder().values():
        plain = plain.replace(token.content, "")
    if strict and (found := unknown_characters(tokenizer, [plain])):
        raise UserError(f"the text has characters that are not in the vocabulary: {listed(found)}")
    return tokenizer.encode(text, add_special_tokens=False).ids


def decode(tokenizer: Tokenizer, ids: Iterable[int]) -> str:
    """Return the text of ids without special tokens. It is exact for char and bpe; wordpiece loses spacing and case.

    Letters that a normalizer has taken apart, such as Hangul, are put together (Unicode's NFC) where it did so.
    """
    return _composed(tokenizer, tokenizer.decode([int(i) for i in ids], skip_special_tokens=True))


def as_written(tokenizer: Tokenizer, text: str) -> str:
    """Return a text as a model with this tokenizer would write it if it made no mistake.

    What the vocabulary does not have stays [UNK], which no model writes.
    """
    ids = encode_many(tokenizer, [text]).flat.tolist()
    return _composed(tokenizer, tokenizer.decode(ids, skip_special_tokens=False))


def _composed(tokenizer: Tokenizer, text: str) -> str:
    return text if tokenizer.normalizer is None else unicodedata.normalize("NFC", text)


@dataclasses.dataclass(frozen=True)
class Ragged:
    """The ids of many texts, concatenated: `flat` (uint16 if they fit, else int32) and `lengths` int64 (N,)."""

    flat: np.ndarray
    lengths: np.ndarray

    @property
    def starts(self) -> np.ndarray:
        return np.cumsum(self.lengths) - self.lengths


def encode_many(tokenizer: Tokenizer, texts: Sequence[str]) -> Ragged:
    """Encode texts on all cores. No tokens are added, and special tokens in the texts are ordinary text."""
    dtype = np.uint16 if vocab_size(tokenizer) <= 1 << 16 else np.int32
    lengths, found = np.zeros(len(texts), np.int64), [np.zeros(0, dtype)]
    cut = _cut(tokenizer)
    tokenizer.encode_special_tokens = True
    try:
        for block in _blocks((i, piece) for i, text in enumerate(texts) for piece in _pieces(text, cut)):
            encoded = tokenizer.encode_batch_fast([piece for _, piece in block], add_special_tokens=False)
            for (i, _), one in zip(block, encoded, strict=True):
                found.append(np.array(one.ids, dtype))
                lengths[i] += len(found[-1])
    finally:
        tokenizer.encode_special_tokens = False
    return Ragged(np.concatenate(found), lengths)


def _cut(tokenizer: Tokenizer) -> re.Pattern[str] | None:
    """Return where a text can be divided without a change of its ids; None for nowhere that is known."""
    added = {token.content for token in tokenizer.get_added_tokens_decoder().values()}
    if characters(tokenizer) is not None:
        return ANYWHERE if all(len(token) == 1 for token in tokenizer.get_vocab() if token not in added) else None
    words = tokenizer.pre_tokenizer
    if isinstance(words, pre_tokenizers.ByteLevel):
        return CUT if words.use_regex and not words.add_prefix_space else None
    return CUT if isinstance(words, pre_tokenizers.BertPreTokenizer) else None


def _pieces(text: str, cut: re.Pattern[str] | None) -> Iterator[str]:
    """Divide a text into pieces of PIECE characters, or a little more, up to the next place where `cut` allows it."""
    start = 0
    while cut and len(text) - start > PIECE and (found := cut.search(text, start + PIECE)):
        yield text[start : found.start()]
        start = found.start()
    yield text[start:]


def most_characters() -> int:
    """Return how many characters may be encoded at once: what a quarter of the free memory has room for."""
    return machine.host_memory_free() // BYTES_PER_CHARACTER // 4


def require_encodable(text: str, whose: str) -> None:
    """Raise UserError for a text that memory has no room to encode. whose: begins the message, such as "text 3"."""
    if len(text) > (most := most_characters()):
        raise UserError(f"{whose} has {len(text):,} characters, and there is memory to encode {most:,}: divide it")


def longest_piece(tokenizer: Tokenizer, text: str) -> tuple[int, int]:
    """Return the longest piece of a text that is encoded at once: (position, number of characters)."""
    sizes = [len(piece) for piece in _pieces(text, _cut(tokenizer))] if len(text) > PIECE else [len(text)]
    longest = max(range(len(sizes)), key=sizes.__getitem__)
    return sum(sizes[:longest]), sizes[longest]


def long_word(tokenizer: Tokenizer, text: str) -> int | None:
    """Return the position of a word of at least LONGEST_WORD characters, for certain if it has twice as many, or None.

    A word is what the pre-tokenizer does not divide. One that long fills a whole block of LONGEST_WORD characters.
    """
    if tokenizer.pre_tokenizer is None:  # a vocabulary of characters, which knows no words
        return None
    for start in range(0, len(text) - LONGEST_WORD + 1, LONGEST_WORD):
        if SPACE.search(text, start, start + LONGEST_WORD) is None:
            block = text[start : start + LONGEST_WORD]
            normal = block if tokenizer.normalizer is None else tokenizer.normalizer.normalize_str(block)
            if len(tokenizer.pre_tokenizer.pre_tokenize_str(normal)) == 1:
                return start
    return None


def _blocks(pieces: Iterator[tuple[int, str]]) -> Iterator[list[tuple[int, str]]]:
    """Group pieces to blocks of about 16 * PIECE characters."""
    block, size = [], 0
    for piece in pieces:
        block.append(piece)
        size += len(piece[1]) + 1
        if size >= 16 * PIECE:
            yield block
            block, size = [], 0
    if block:
        yield block


def named(choice: str, lower: bool) -> Tokenizer | None:
    """Read the tokenizer at the path `data.tokenizer`. Returns None where that is a kind to learn."""
    if choice in KINDS:
        return None
    if not Path(choice).expanduser().exists() and "/" not in choice and "." not in choice:
        raise unknown("data.tokenizer (or the path of one)", choice, KINDS)
    return read(choice, lower)
