"""`load`: load a text data set by its name as token arrays, with fixed train, validation and test splits."""

import dataclasses
import functools
import hashlib
from collections.abc import Callable

import numpy as np
from tokenizers import Tokenizer
from tokenizers import __version__ as tokenizers_version

from train.config import Text
from train.config.data import is_scenes
from train.config.ranges import require_share_of_labels
from train.data import cache, kinds, own
from train.data.cut import by_hash, by_position, text_keys
from train.data.text import dates, files, hub, python_docs, tfds, tokenizers
from train.data.text.dataset import DESCRIPTION, Corpus, Examples, Form, Part, TextDataset
from train.data.text.encode import FORMS, LEAST
from zoo.errors import UserError, unknown

TEST_SHARE = {"stream": 0.1, "passages": 0.1, "pairs": 0.2, "labelled": 0.2}
"""Share of the training split that becomes the test split of a data set without one. The split is fixed."""
ENCODING = f"1, tokenizers {tokenizers_version}"
"""What makes vocabularies and token arrays: the version of this code and of the library. Caches carry it."""
LONG = 5_000_000
"""A data set of so many characters or more has its vocabulary and token arrays cached."""


def load(data: Text, form: Form, tokenizer: Tokenizer | None = None) -> TextDataset:
    """Load the data set of a config as token arrays (uint16 if all ids fit, else int32), with fixed splits.

    The task decides the form:
    - stream: {"tokens": (N,)}, the concatenated documents; if there are several, [EOS] follows each;
    - passages: {"a": (N, h), "b": (N, h)}, h = (data.length - 3) // 2, the two halves of consecutive text;
    - pairs: {"source": (N, S), "target": (N, T)}: the source ends with [EOS], S <= data.length; the target starts with
      [BOS] and ends with [EOS], T <= data.length + 1;
    - labelled: {"tokens": (N, data.length), "y": int32 (N,)}, with [CLS] and [SEP] if the tokenizer has them.
    All forms but stream are padded at the end with id 0, which must be the tokenizer's [PAD].

    tokenizer: that of the run which is resumed, evaluated or fine-tuned; None: data.tokenizer, learned only from the
    training split. A character vocabulary has no special tokens where none can be needed: for a stream of one document
    whose characters are all in it (Tiny Shakespeare has 65 tokens).

    Test split: the data set's `test` split if it has labels, else its `validation`, else a fixed share (10 % of running
    text, 20 % of sentences). Validation split: the data set's own, else the share `data.validation` of train, which
    depends on `data.split_seed`; empty if that share is 0. Running text is split between documents; a single document
    is split by position, and its end is held out. Training split: for labelled sentences the share `data.labels` of the
    remaining ones. A user's own text is split by a hash of it, so that more may be added (`train.data.cut`;
    `data.split_by`), and `python_docs`, which every version of Python revises, by a hash of its titles.
    Raises UserError with one line for all invalid input.
    """
    if is_embedded(data.name):
        return _load_embedded(data, form, None if tokenizer is None else tokenizer.to_str())
    return _load(data, form, tokenizer)


def is_embedded(name: str) -> bool:
    """Return whether the text is included in a dependency, so that it cannot change while the process runs."""
    return name in python_docs.EMBEDDED or name.partition("/")[0] == "dates"


@functools.lru_cache(maxsize=4)
def _load_embedded(data: Text, form: Form, tokenizer: str | None) -> TextDataset:
    """Cache the tokenized data, for several runs on it such as the arms of a claim."""
    return _load(data, form, None if tokenizer is None else Tokenizer.from_str(tokenizer))


def _load(data: Text, form: Form, tokenizer: Tokenizer | None) -> TextDataset:
    _check(data, form)
    corpus = find(data.name, form)
    named = tokenizers.named(data.tokenizer, data.lower) if tokenizer is None else tokenizer
    _check_sizes(corpus, data, named)
    splits = _roles(corpus, data, form)
    if data.swap and form == "pairs":
        splits = {name: part.swapped() for name, part in splits.items()}
    if data.lower:
        splits = {name: part.lower() for name, part in splits.items()}
    several = max(map(len, corpus.splits.values())) > 1
    if tokenizer is None:
        tokenizer = named or _learned(corpus, splits, data, form, several)
    if tokenizers.special(tokenizer, "[UNK]") is None:
        every = (text for part in splits.values() for text in part.every_text)
        if found := tokenizers.unknown_characters(tokenizer, every):
            raise UserError(f"{corpus.name} has characters that are not in the tokenizer: {tokenizers.listed(found)}")
    splits["train"] = _labelled(corpus, splits["train"], data)
    parts = {name: _part(corpus, part, name, data, form, tokenizer, several) for name, part in splits.items()}
    if form == "stream" and len(parts["train"]) <= data.length:
        raise UserError(
            f"{corpus.name}: {len(parts['train'])} training tokens are too few for data.length={data.length}"
        )
    target = corpus.languages and corpus.languages[0 if data.swap else 1]
    paired = form == "labelled" and splits["train"].seconds is not None
    return TextDataset(
        corpus.name, corpus.version, form, tokenizer, corpus.class_names, **parts, paired=paired, target_language=target
    )


def _check(data: Text, form: Form) -> None:
    if not 0 <= data.validation < 1:
        raise UserError(f"data.validation={data.validation}: must be at least 0 and below 1")
    if data.split_seed < 0:
        raise UserError(f"data.split_seed={data.split_seed}: must not be negative")
    require_share_of_labels(data.labels)
    if data.labels != 1 and form != "labelled":
        raise UserError(f"data.labels={data.labels}: there are no labels in {DESCRIPTION[form]}")
    if data.length < LEAST[form]:
        raise UserError(f"data.length={data.length}: must be at least {LEAST[form]} tokens")
    if data.vocab < 1:
        raise UserError(f"data.vocab={data.vocab}: must be at least 1")


def _check_sizes(corpus: Corpus, data: Text, tokenizer: Tokenizer | None) -> None:
    """Raise UserError, with file and line, for text that would take a tokenizer hours or more memory than there is.

    tokenizer: None where one of the kind `data.tokenizer` is to be learned.
    """
    learned = tokenizer is None
    if tokenizer is None:
        tokenizer = tokenizers.blank(data.tokenizer)
    most = tokenizers.most_characters()
    for split, part in corpus.splits.items():
        for index, text in enumerate(part.every_text):
            if len(text) < tokenizers.LONGEST_WORD:
                continue
            if learned and (found := tokenizers.long_word(tokenizer, text)) is not None:
                raise UserError(
                    f"{corpus.place(split, index, found)}: a word of more than {tokenizers.LONGEST_WORD:,} characters, "
                    f"from which learning {data.tokenizer} would take too long: divide it, or use data.tokenizer=char"
                )
            start, size = tokenizers.longest_piece(tokenizer, text)
            if size > most:
                raise UserError(
                    f"{corpus.place(split, index, start)}: {size:,} characters that this tokenizer reads at once, and "
                    f"there is memory for {most:,}: divide them into words or files"
                )


def find(name: str, form: Form) -> Corpus:
    """Find a data set by its name and read its text in the given form."""
    kind, _, path = name.partition(":")
    if (registered := own.kind_of(name)) is not None:
        if registered != "text":
            raise UserError(f"{name} is registered as {registered}, not as text")
        corpus = own.text(name)
    elif kind == "text":
        corpus = files.text(path)
    elif kind == "tsv":
        corpus = files.tsv(path, form)
    elif kind == "datasets":
        corpus = hub.find(path, form)
    elif name in python_docs.EMBEDDED:
        corpus = python_docs.EMBEDDED[name]()
    elif name.partition("/")[0] == "dates":
        corpus = dates.dates(name)
    elif kind in kinds.IMAGES or name == "digits" or is_scenes(name):
        raise UserError(f"{name} contains images, not {DESCRIPTION[form]}: choose a config for images")
    else:
        corpus = tfds.find(name, form)
    some = next(iter(corpus.splits.values()))
    if form in ("stream", "passages"):
        if some.seconds is not None and some.labels is None:
            raise UserError(f"{corpus.name} contains {DESCRIPTION['pairs']}, not {DESCRIPTION[form]}")
        return dataclasses.replace(corpus, splits={key: part.documents() for key, part in corpus.splits.items()})
    if (some.labels is None) if form == "labelled" else (some.seconds is None or some.labels is not None):
        found = "labelled" if some.labels is not None else "stream" if some.seconds is None else "pairs"
        raise UserError(f"{corpus.name} contains {DESCRIPTION[found]}, not {DESCRIPTION[form]}")
    return corpus


def _roles(corpus: Corpus, data: Text, form: Form) -> dict[str, Examples]:
    """Return train, validation and test as described in `load`."""
    splits = {name: corpus.splits[name] for name in ("train", "validation", "test") if name in corpus.splits}
    if "train" not in splits:
        raise UserError(f"{corpus.name} has no train split, only {', '.join(corpus.splits) or 'no examples at all'}")
    if "test" in splits and splits["test"].labels is not None and (splits["test"].labels < 0).all():
        del splits["test"]  # the labels are secret, as in GLUE
    for name, part in splits.items():
        if part.labels is not None and ((part.labels < 0) | (part.labels >= len(corpus.class_names))).any():
            raise UserError(f"{corpus.name}: its {name} split has labels outside 0..{len(corpus.class_names) - 1}")
    if "test" not in splits and "validation" in splits:
        splits["test"] = splits.pop("validation")
    halve = divide_by_hash if _by_hash(corpus, data) else divide
    if "test" not in splits:
        splits["train"], splits["test"] = halve(splits["train"], TEST_SHARE[form], 0, form, "test")
    if data.validation == 0 or "validation" not in splits:
        share, seed = data.validation, data.split_seed
        splits["train"], splits["validation"] = halve(splits["train"], share, seed, form, "validation")
    for name in ("train", "test"):
        if not any(splits[name].texts):
            raise UserError(f"{corpus.name}: no examples are left for {name}; data.validation={data.validation}")
    return {name: splits[name] for name in ("train", "validation", "test")}


def _by_hash(corpus: Corpus, data: Text) -> bool:
    """Whether a data set is split by a hash of each example: the user's own may change, and so may what has titles."""
    may_change = kinds.prefix(corpus.name) or corpus.version == own.VERSION or corpus.splits["train"].titles is not None
    return data.split_by == "hash" and bool(may_change)


def divide(examples: Examples, share: float, seed: int, form: Form, purpose: str = "") -> tuple[Examples, Examples]:
    """Split examples in two. The second part has `share` of the examples of each class, or of all characters."""
    del purpose
    if share == 0:
        return examples, examples[np.zeros(0, np.int64)]
    if form in ("pairs", "labelled"):
        kept, taken = by_position(np.arange(len(examples)), share, seed, _classes(examples))
        return examples[kept], examples[taken]
    if len(examples) == 1:
        return _ends(examples.texts[0], share)
    sizes = np.array([len(text) for text in examples.texts])
    wanted, taken = share * sizes.sum(), np.zeros(len(sizes), bool)
    held = 0
    for i in np.argsort(np.random.PCG64(seed).random_raw(len(sizes)), kind="stable"):
        if (
            held + sizes[i] <= wanted and held < 0.9 * wanted
        ):  # at 90 % it is close enough; going on would take all small documents
            taken[i] = True
            held += sizes[i]
    if not taken.any():
        taken[sizes.argmin()] = True
    return examples[np.flatnonzero(~taken)], examples[np.flatnonzero(taken)]


def divide_by_hash(examples: Examples, share: float, seed: int, form: Form, purpose: str) -> tuple[Examples, Examples]:
    """Split examples in two as `divide` does, but each by a hash of its title, or of its text if it has none.

    `share` holds for their number.
    """
    if len(examples) == 1 and form in ("stream", "passages") and share:
        return _ends(examples.texts[0], share)
    seconds = [] if examples.seconds is None else [examples.seconds]
    keys = text_keys(examples.texts, *seconds) if examples.titles is None else text_keys(examples.titles)
    kept, taken = by_hash(np.arange(len(examples)), share, keys, _classes(examples), purpose, seed)
    return examples[kept], examples[taken]


def _ends(text: str, share: float) -> tuple[Examples, Examples]:
    """Split one document; the second part is its end."""
    at = int(len(text) * (1 - share))
    return Examples([text[:at]]), Examples([text[at:]])


def _classes(examples: Examples) -> np.ndarray:
    return np.zeros(len(examples), np.int32) if examples.labels is None else examples.labels


def _labelled(corpus: Corpus, train: Examples, data: Text) -> Examples:
    """Return the share `data.labels` of the training examples. UserError where a class would have no example left."""
    if data.labels == 1:
        return train
    labels = train.labels
    assert labels is not None  # the form has them
    if _by_hash(corpus, data):
        keys = text_keys(train.texts, *([] if train.seconds is None else [train.seconds]))
        _, taken = by_hash(np.arange(len(train)), data.labels, keys, labels, "labels", data.split_seed)
    else:
        _, taken = by_position(np.arange(len(train)), data.labels, data.split_seed, labels)
    for label in sorted(set(labels.tolist()) - set(labels[taken].tolist())):
        name = corpus.class_names[label]
        raise UserError(f"{corpus.name}: data.labels={data.labels} leaves no example of class {name!r}")
    return train[taken]


def _learned(corpus: Corpus, splits: dict[str, Examples], data: Text, form: Form, several: bool) -> Tokenizer:
    """Learn a tokenizer of the kind `data.tokenizer` from the training split."""
    if data.tokenizer not in tokenizers.KINDS:
        raise unknown("data.tokenizer", data.tokenizer, tokenizers.KINDS)
    texts = splits["train"].every_text
    specials = True
    if data.tokenizer == "char" and form == "stream" and not several:
        known = set().union(*map(set, texts))
        others = set().union(*(set(text) for part in splits.values() for text in part.texts))
        specials = len(known) > data.vocab or bool(others - known)

    def build() -> cache.Arrays:
        learned = tokenizers.learn(data.tokenizer, texts, data.vocab, data.lower, specials)
        return {"json": np.frombuffer(learned.to_str().encode(), np.uint8)}

    made_of = [ENCODING, data.tokenizer, data.vocab, data.lower, specials]
    held = _cached(f"{corpus.name}-{data.tokenizer}", texts, made_of, build)
    return Tokenizer.from_str(held["json"].tobytes().decode())


def _part(
    corpus: Corpus, examples: Examples, split: str, data: Text, form: Form, tokenizer: Tokenizer, several: bool
) -> Part:
    """Encode one split to token arrays."""

    def build() -> cache.Arrays:
        encoded = FORMS[form](examples, tokenizer, data.length, several)
        return encoded.arrays | {"cut": np.array(encoded.truncated)}

    every = examples.every_text
    made_of = [ENCODING, form, data.length, several, examples.seconds is None, tokenizer.to_str()]
    labels = () if examples.labels is None else (examples.labels,)
    arrays = _cached(f"{corpus.name}-{form}-{split}", every, made_of, build, *labels)
    truncated = int(arrays.pop("cut"))
    texts = {"pairs": (examples.texts, examples.seconds or []), "labelled": examples.texts}.get(form, ())
    return Part(arrays, texts, sum(len(text.encode()) for text in every), truncated)


def _cached(
    name: str, texts: list[str], made_of: list, build: Callable[[], cache.Arrays], *labels: np.ndarray
) -> cache.Arrays:
    """Return the arrays that `build` makes of `texts`. Those of long texts are cached under a hash of what they are of.

    made_of: JSON of all else that `build` reads, but for `labels`.
    """
    if sum(map(len, texts)) < LONG:
        return build()
    digest = hashlib.sha256()
    for text in texts:
        encoded = text.encode()
        digest.update(len(encoded).to_bytes(8, "little") + encoded)
    for each in labels:
        digest.update(np.ascontiguousarray(each, "<i8").tobytes())
    return cache.cached(name, [digest.hexdigest(), *made_of], build)
