"""Text of `datasets:NAME` (see `train.data.hub`). Its columns decide what it is.

Columns of strings are text, with a column of classes sentences with a class, and a column of translations pairs.
"""

from typing import Any

import numpy as np

from train.data import hub
from train.data.classes import numbered
from train.data.text.dataset import DESCRIPTION, Corpus, Examples, Form
from zoo.errors import UserError

TEXT = ("string", "large_string")
FIRST = ("premise", "question1", "sentence1", "source", "text")
"""Columns that come first of a pair, whatever their order in the set."""


def find(path: str, form: Form) -> Corpus:
    """Load all splits of a set into memory, in the given form."""
    opened = hub.find(path)
    label = hub.label_column(opened) if form == "labelled" else None
    columns = [
        column for column, feature in opened.features.items() if hub.kind_of(feature) in TEXT and column != label
    ]
    translations = [column for column, feature in opened.features.items() if hub.kind_of(feature) == "Translation"]
    if form == "pairs" and len(translations) == 1:
        languages = tuple(opened.features[translations[0]].languages)
        if len(languages) == 2:
            splits = {split: _pairs(opened, split, translations[0], languages) for split in opened.splits}
            return Corpus(opened.name, "", splits, languages=languages)
    if len(columns) > 2 and "text" in columns:
        columns = ["text"]
    columns.sort(key=lambda column: column not in FIRST)
    wanted = (2,) if form == "pairs" else (1, 2)
    if len(columns) not in wanted or (form == "labelled" and label is None):
        raise UserError(f"{opened.name} does not contain {DESCRIPTION[form]}, but {opened.shown()}")
    if form != "labelled":
        return Corpus(opened.name, "", {split: _examples(opened, split, columns, None) for split in opened.splits})
    assert label is not None
    held, names = hub.labels(opened, label)
    class_names, y = numbered(opened.name, held, names)
    splits = {split: _examples(opened, split, columns, y[split]) for split in y}
    return Corpus(opened.name, "", splits, class_names)


def _examples(opened: hub.Opened, split: str, columns: list[str], labels: np.ndarray | None) -> Examples:
    read = opened.splits[split].select_columns(columns)[:]
    texts = [_whole(opened, split, column, read[column]) for column in columns]
    return Examples(texts[0], texts[1] if len(texts) == 2 else None, labels)


def _pairs(opened: hub.Opened, split: str, column: str, languages: tuple[str, ...]) -> Examples:
    rows = _whole(opened, split, column, opened.splits[split].select_columns([column])[:][column])
    first, second = ([row[language] for row in rows] for language in languages)
    return Examples(_whole(opened, split, languages[0], first), _whole(opened, split, languages[1], second))


def _whole(opened: hub.Opened, split: str, column: str, values: list[Any]) -> list[Any]:
    """Return `values`; UserError where one is missing."""
    if None in values:
        raise UserError(f"{opened.name}: example {values.index(None)} of {split} has no {column}")
    return values
