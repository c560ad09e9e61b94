"""DATA: from a name in the config to labelled images, on the host (`load`) and on the device (`device`, `augment`)."""

from train.data.images.catalog import load
from train.data.own import Dynamics, register
from train.data.split import Dataset, Split

__all__ = ["Dataset", "Dynamics", "Split", "load", "register"]
