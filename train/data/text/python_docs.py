"""Text that is included in Python: its language reference as in `help()` (`pydoc_data.topics`)."""

import platform
import re

import numpy as np

from train.data.cut import by_position
from train.data.text.dataset import Corpus, Examples

TOPICS = 10
"""Classes of `python_docs/topic`."""
FEWEST_WORDS = 8
"""Shorter paragraphs (headings, single lines of code) do not reveal their topic."""


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())


def _paragraphs(text: str) -> list[str]:
    return [paragraph.strip("\n") for paragraph in re.split(r"\n\s*\n", text) if paragraph.strip()]


def topics() -> dict[str, str]:
    """Return title -> text, longest first, without topics most of whose paragraphs are in longer topics.

    Many topics are sections of others ("for" of "compound"). They would put the same text into several splits.
    """
    from pydoc_data.topics import topics

    seen, kept = set(), {}
    for title, text in sorted(topics.items(), key=lambda topic: (-len(topic[1]), topic[0])):
        own = {" ".join(_words(paragraph)) for paragraph in _paragraphs(text)}
        if len(own & seen) <= len(own) / 2:
            kept[title] = text
        seen |= own
    return kept


def python_docs() -> Corpus:
    """Return one document per topic, ordered by title: about 0.4 MB. The text depends on Python's version."""
    titles, texts = zip(*sorted(topics().items()), strict=True)
    return Corpus("python_docs", platform.python_version(), {"train": Examples(texts, titles=titles)})


def python_docs_topic() -> Corpus:
    """Return paragraphs labelled with their topic, one of the ten longest: 70 % train, 10 % validation, 20 % test.

    A paragraph is left out if it is short, or if half of its word trigrams are in an earlier one.
    """
    longest = sorted(list(topics().items())[:TOPICS])
    seen, texts, labels = set(), [], []
    for label, (_, text) in enumerate(longest):
        for paragraph in _paragraphs(text):
            words = _words(paragraph)
            trigrams = set(zip(words, words[1:], words[2:], strict=False))
            if len(words) >= FEWEST_WORDS and len(trigrams & seen) < len(trigrams) / 2:
                texts.append(paragraph)
                labels.append(label)
            seen |= trigrams
    classes = np.array(labels, np.int32)
    every = Examples(texts, labels=classes)
    rest, test = by_position(np.arange(len(classes)), 0.2, 0, classes)
    train, validation = by_position(rest, 0.125, 0, classes[rest])
    splits = {"train": every[train], "validation": every[validation], "test": every[test]}
    return Corpus("python_docs/topic", platform.python_version(), splits, tuple(title for title, _ in longest))


EMBEDDED = {"python_docs": python_docs, "python_docs/topic": python_docs_topic}
"""Name -> function that loads it, for every text data set that needs no preparation, except for `dates/SRC-DST`."""


def described() -> list[tuple[str, str, str, str]]:
    """Return name, version, content and number of examples of each data set, for `zoo data`."""
    import babel
    from babel import localedata

    rows = []
    for name, read in EMBEDDED.items():
        corpus = read()
        content = f"text, {len(corpus.class_names)} classes" if corpus.class_names else "running text"
        rows.append((name, corpus.version, content, f"{sum(map(len, corpus.splits.values())):,}, cut by the zoo"))
    languages = sum("_" not in code for code in localedata.locale_identifiers()) - 1  # one is "root"
    content = f"any two of {languages} languages: dates/en-ko; up to 3 per line: dates/en-ko/3"
    return [*rows, ("dates/SRC-DST", f"babel {babel.__version__}", content, "35,000, cut by the zoo")]
