"""Read text data sets that TFDS prepared, without TensorFlow. Their features decide what they are.

A Text feature is running text. A Translation, or two texts that are the supervised keys, are pairs. One or two texts
with a class are labelled sentences.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from train.data.text import python_docs
from train.data.text.dataset import DESCRIPTION, Corpus, Examples, Form
from train.data.tfds import read
from zoo.errors import UserError

BLOCK = 4096
"""Records per read."""


def find(name: str, form: Form) -> Corpus:
    """Load all splits of a prepared data set into memory, in the given form."""
    found = read.describe(name, [*python_docs.EMBEDDED, "dates/en-ko"])
    texts, label = _columns(found.name, found.info, form)
    class_names = () if label is None else tuple(found.info.features[label].names or ())
    roles = {split.removesuffix("_matched"): shards for split, shards in found.splits.items()}  # glue/mnli
    wanted = [role for role in ("train", "validation", "test") if role in roles]
    splits = {role: _read(roles[role], texts, label) for role in wanted}
    if form in ("stream", "passages"):
        splits = {role: part.documents() for role, part in splits.items()}
    languages = (texts[0], texts[1]) if form == "pairs" else None  # the names of the features are their codes
    return Corpus(found.name, found.version, splits, class_names, languages)


def _columns(name: str, info: Any, form: Form) -> tuple[list[str], str | None]:
    """Return the names of the one or two text features, and of the class if the form has one."""
    import tensorflow_datasets as tfds

    kinds = tfds.features
    columns = dict(info.features.items()) if isinstance(info.features, kinds.FeaturesDict) else {}
    # The order in the description is arbitrary. GLUE's and SNLI's papers put the premise before the hypothesis.
    texts = sorted(
        (key for key in columns if isinstance(columns[key], kinds.Text)), key=lambda key: (key != "premise", key)
    )
    labels = [key for key, feature in columns.items() if isinstance(feature, kinds.ClassLabel)]
    if not texts:
        what = "images" if any(isinstance(feature, kinds.Image) for feature in columns.values()) else "no text"
        raise UserError(f"{name} contains {what} ({', '.join(sorted(columns)) or 'nothing'}), not {DESCRIPTION[form]}")
    supervised = info.supervised_keys if isinstance(info.supervised_keys, tuple) else ()
    supervised = [key for key in supervised if key in texts]
    translation = len(texts) == 2 and (isinstance(info.features, kinds.Translation) or len(set(supervised)) == 2)
    if form == "pairs" and translation:
        return supervised if len(supervised) == 2 else texts, None
    if translation:
        raise UserError(f"{name} contains {DESCRIPTION['pairs']}, not {DESCRIPTION[form]}")
    chosen = supervised[:1] or texts
    if form in ("stream", "passages") and len(chosen) <= 2:
        return chosen, None
    if form == "labelled" and len(chosen) <= 2 and len(labels) == 1:
        return chosen, labels[0]
    listing = ", ".join(f"{key} ({type(feature).__name__})" for key, feature in sorted(columns.items()))
    raise UserError(f"{name} does not contain {DESCRIPTION[form]}, but {listing}")


def _read(shards: read.Shards, texts: list[str], label: str | None) -> Examples:
    def decode(feature: Any) -> tuple[list[str], int]:
        row = [feature[key].bytes_list.value[0].decode() for key in texts]
        return row, -1 if label is None else feature[label].int64_list.value[0]

    rows = _all(shards, decode)
    seconds = [row[1] for row, _ in rows] if len(texts) == 2 else None
    labels = None if label is None else np.array([number for _, number in rows], np.int32)
    return Examples([row[0] for row, _ in rows], seconds, labels)


def _all(shards: read.Shards, decode: Callable) -> list:
    rows = []
    for shard, length in enumerate(shards.lengths):
        for start in range(0, length, BLOCK):
            rows += shards.read(shard, np.arange(start, min(start + BLOCK, length)), decode)
    return rows
