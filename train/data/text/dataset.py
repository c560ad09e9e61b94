"""The types of text data before (`Corpus`) and after (`TextDataset`) tokenization."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from tokenizers import Tokenizer

from train.data.text import tokenizers

Form = Literal["stream", "passages", "pairs", "labelled"]
DESCRIPTION = {
    "stream": "running text",
    "passages": "running text",
    "pairs": "pairs of a sentence and its translation",
    "labelled": "sentences with a class",
}
"""Form -> the kind of text that it needs, for messages."""


def lowered(text: str) -> str:
    """Return a text in lower case, letter by letter, as the normalizers of tokenizers do it.

    Python alone writes a capital sigma at the end of a word otherwise.
    """
    return text.replace("Σ", "σ").lower()


@dataclasses.dataclass(frozen=True)
class Examples:
    """Documents, or sentences with a translation, a second sentence or a class.

    labels: int32 (N,), -1 where they are secret.
    titles: of documents that are revised: by its title such a one is split, so that it stays where it is.
    """

    texts: Sequence[str]
    seconds: Sequence[str] | None = None
    labels: np.ndarray | None = None
    titles: Sequence[str] | None = None

    def __len__(self) -> int:
        return len(self.texts)

    def __getitem__(self, indices: np.ndarray) -> "Examples":
        texts, seconds, titles = (
            None if column is None else [column[int(i)] for i in indices]
            for column in (self.texts, self.seconds, self.titles)
        )
        assert texts is not None  # every example has a text
        return Examples(texts, seconds, None if self.labels is None else self.labels[indices], titles)

    @property
    def every_text(self) -> list[str]:
        """All texts and then all second texts, which a tokenizer learns from."""
        return [*self.texts, *(self.seconds or ())]

    def lower(self) -> "Examples":
        seconds = None if self.seconds is None else [lowered(text) for text in self.seconds]
        return Examples([lowered(text) for text in self.texts], seconds, self.labels, self.titles)

    def swapped(self) -> "Examples":
        """Exchange source and target of translations."""
        assert self.seconds is not None  # translations have both
        return Examples(self.seconds, self.texts)

    def documents(self) -> "Examples":
        """Return only the text. Two sentences of one example become two lines of one document."""
        if self.seconds is None:
            return Examples(self.texts, titles=self.titles)
        return Examples([f"{first}\n{second}" for first, second in zip(self.texts, self.seconds, strict=True)])


@dataclasses.dataclass(frozen=True)
class Corpus:
    """A text data set with its original splits."""

    name: str
    version: str
    splits: dict[str, Examples]
    class_names: tuple[str, ...] = ()
    languages: tuple[str, str] | None = None
    """pairs: the codes of source and target, such as ("en", "ko"); None where the data set does not name them."""
    files: Mapping[str, tuple[Sequence[Path], ...]] = dataclasses.field(default_factory=dict)
    """Split -> the files of its texts and, where they have their own, of its second texts: one file for each text, or
    one whose lines are the texts. Empty where the text does not come from the user's own files."""

    def place(self, split: str, index: int, position: int) -> str:
        """Describe where a character is, for a message: its file and line. index: of the text in `every_text`."""
        examples = self.splits[split]
        second, number = divmod(index, len(examples))
        if split not in self.files:
            return f"{self.name}, example {number + 1} of {split}"
        files = self.files[split][min(second, len(self.files[split]) - 1)]
        if len(files) < len(examples):  # a line of the file is a text
            return f"{files[0]}, line {number + 1}"
        return f"{files[number]}, line {examples.every_text[index].count(chr(10), 0, position) + 1}"


@dataclasses.dataclass(frozen=True)
class Part:
    """One split as token arrays; see `train.data.text.load` for the arrays of each form."""

    arrays: dict[str, np.ndarray]
    texts: Sequence[str] | tuple[Sequence[str], Sequence[str]]
    """pairs: (sources, targets). labelled: the sentences. Other forms: empty."""
    nbytes_utf8: int
    """Size of the text in UTF-8, for the metric bits per byte."""
    cut: int
    """Number of examples that were truncated to data.length."""

    def __len__(self) -> int:
        """The number of examples; for a stream the number of tokens."""
        return len(next(iter(self.arrays.values())))


@dataclasses.dataclass(frozen=True)
class TextDataset:
    """Tokenized text with fixed splits, and its tokenizer."""

    name: str
    version: str
    form: Form
    tokenizer: Tokenizer
    class_names: tuple[str, ...]
    train: Part
    validation: Part
    test: Part
    paired: bool = False
    """labelled: whether an example has two sentences."""
    target_language: str | None = None
    """pairs: the code of the language of the targets, such as "ko"; None where the data set does not name it."""

    @property
    def classes(self) -> int:
        return len(self.class_names)

    @property
    def vocab(self) -> int:
        """The number of rows of an embedding of all tokens."""
        return tokenizers.vocab_size(self.tokenizer)
