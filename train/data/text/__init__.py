"""Text: from the name in a config to arrays of token ids, by way of documents, pairs or labelled sentences."""

from train.data.text.catalog import load
from train.data.text.dataset import Part, TextDataset

__all__ = ["Part", "TextDataset", "load"]
