"""Text: load the data set of a config as documents, pairs or labelled sentences, and tokenize it to arrays of ids."""

from train.data.text.catalog import load
from train.data.text.dataset import Part, TextDataset

__all__ = ["Part", "TextDataset", "load"]
