"""What text data are, before (`Corpus`) and after (`TextDataset`) they are cut into tokens."""

import dataclasses
from collections.abc import Sequence
from typing import Literal

import numpy as np
from tokenizers import Tokenizer

from train.data.text import tokenizers

Form = Literal["stream", "passages", "pairs", "labelled"]
WANTS = {
    "stream": "running text",
    "passages": "running text",
    "pairs": "pairs of a sentence and its translation",
    "labelled": "sentences with a class",
}
"""What each form is made from, in words."""


@dataclasses.dataclass(frozen=True)
class Examples:
    """Documents, or sentences with what belongs to each: its translation, a second sentence, a class.

    labels: int32 (N,), -1 where they are hidden.
    """

    texts: Sequence[str]
    seconds: Sequence[str] | None = None
    labels: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.texts)

    def __getitem__(self, indices: np.ndarray) -> "Examples":
        seconds = None if self.seconds is None else [self.seconds[i] for i in indices]
        labels = None if self.labels is None else self.labels[indices]
        return Examples([self.texts[i] for i in indices], seconds, labels)

    @property
    def every_text(self) -> list[str]:
        """All that a tokenizer is to know: texts, then seconds."""
        return [*self.texts, *(self.seconds or ())]

    def lower(self) -> "Examples":
        seconds = None if self.seconds is None else [text.lower() for text in self.seconds]
        return Examples([text.lower() for text in self.texts], seconds, self.labels)

    def swapped(self) -> "Examples":
        """Translations with source and target exchanged."""
        return Examples(self.seconds, self.texts)

    def documents(self) -> "Examples":
        """Only the text: of two sentences that belong together, both on lines of one document."""
        if self.seconds is None:
            return Examples(self.texts)
        return Examples([f"{first}\n{second}" for first, second in zip(self.texts, self.seconds, strict=True)])


@dataclasses.dataclass(frozen=True)
class Corpus:
    """A set of text before it is split for training: its parts by the names its makers gave them."""

    name: str
    version: str
    splits: dict[str, Examples]
    class_names: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Part:
    """One split as token arrays; `train.data.text.load` says which, form by form."""

    arrays: dict[str, np.ndarray]
    texts: Sequence[str] | tuple[Sequence[str], Sequence[str]]
    """pairs: (sources, targets); labelled: the sentences; otherwise empty."""
    nbytes_utf8: int
    """Size of the text in UTF-8, from which bits per byte follow."""
    cut: int
    """Examples that were longer than data.length and so lost their end."""

    def __len__(self) -> int:
        """Examples; of a stream, tokens."""
        return len(next(iter(self.arrays.values())))


@dataclasses.dataclass(frozen=True)
class TextDataset:
    """Tokenised text, split for good, with the tokenizer that turns ids back into text."""

    name: str
    version: str
    form: Form
    tokenizer: Tokenizer
    class_names: tuple[str, ...]
    train: Part
    validation: Part
    test: Part

    @property
    def classes(self) -> int:
        return len(self.class_names)

    @property
    def vocab(self) -> int:
        """Rows of an embedding that holds every token."""
        return tokenizers.vocab_size(self.tokenizer)
