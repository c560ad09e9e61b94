"""Weights opened for a command: which model they are of, and what an image or text of theirs goes through first."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Tokenizer

import train.data
import train.data.worlds
import train.loop.run
import zoo
from train.config import Data, Experiment, Text, files
from train.data import record
from train.data.images.augment import output_shape, parse
from train.data.record import Record
from train.data.text import tokenizers
from zoo.errors import UserError
from zoo.weights import Loaded, runs
from zoo.weights.fit import identify
from zoo.weights.load import open_source
from zoo.weights.preprocessing import Images
from zoo.weights.preprocessing import Text as TextInputs


def open_weights(source: str, model: str | None, layout: str, config: Path | None = None) -> Loaded:
    """The model of a source, found by its arrays where it is not named, with its weights.

    config: the user's own file that brings the model, in place of the one that a run names.
    """
    run = runs.find(Path(source)) if Path(source).is_dir() else None
    if run is not None:
        train.loop.run.load(run, config)
    elif config is not None:
        files.load_for(Path(source), None, config)
    opened = open_source(source)
    loaded = zoo.load_model(model or identify(opened), opened, layout=layout)
    if run is None:
        return loaded
    return with_inputs_of_run(loaded, train.loop.run.load(run).experiment, record.read(run))


def with_inputs_of_run(loaded: Loaded, experiment: Experiment, known: Record | None) -> Loaded:
    """Return weights of a run with the inputs of its data: their size, normalization and classes.

    known: what the run keeps of its data; None for a run of before there were such records.
    """
    data = experiment.data
    if isinstance(data, Text):
        inputs = TextInputs(lower=data.lower, segments=data.segments, length=data.length)
        return dataclasses.replace(loaded, preprocessing=inputs, labels=(known and known.class_names) or None)
    if isinstance(data, Data):
        return image_inputs(loaded, data, known or record.of_images(train.data.load(data)))
    observation = train.data.worlds.make(data).observation
    return with_shape(loaded, observation.shape, observation.dtype)


def with_shape(loaded: Loaded, shape: tuple[int, ...], dtype: Any = np.float32) -> Loaded:
    """Return weights that know the shape of one input `x`."""
    return dataclasses.replace(loaded, inputs={"x": (shape, dtype)} if "x" in loaded.inputs else loaded.inputs)


def image_inputs(loaded: Loaded, data: Data, known: Record) -> Loaded:
    """What training did to an image. A part of one that is padded or out of shape has no such description: none."""
    if len(known.shape) != 3:  # a registered set of other things than images
        return dataclasses.replace(with_shape(loaded, tuple(known.shape)), labels=known.class_names or None)
    height, width, channels = output_shape(parse(data.augment, known.shape), known.shape)
    loaded = with_shape(loaded, (height, width, channels))
    cut = (height, width) != known.shape[:2]
    if data.image_size is not None and cut and data.fit in ("pad", "resize"):
        return dataclasses.replace(loaded, labels=known.class_names)
    padded = data.image_size is not None and data.fit == "pad"
    cut = cut or (data.image_size is not None and data.fit == "crop")
    mean, std = (known.mean, known.std) if data.normalize else (np.zeros(channels), np.ones(channels))
    images = Images(
        (height, width),
        "cut" if padded else min(known.shape[:2]) if cut else None,
        "bilinear",
        tuple(float(value) for value in np.broadcast_to(mean, channels)),
        tuple(float(value) for value in np.broadcast_to(std, channels)),
        crop="round" if padded else "floor",  # as evaluation does
        scaled_jpeg=data.decode == "scaled",
    )
    return dataclasses.replace(loaded, preprocessing=images, labels=known.class_names)


def tokenizer_of(loaded: Loaded) -> Tokenizer:
    """The tokenizer that lies beside weights. UserError where there is none, or it is another vocabulary's."""
    folder = loaded.folder or Path()
    if not any((folder / name).is_file() for name in ("tokenizer.json", "vocab.txt", "vocab.json")):
        raise UserError(
            f"{loaded.source} has no vocabulary beside it: put tokenizer.json, vocab.txt, or vocab.json with "
            "merges.txt into the same folder"
        )
    lower = isinstance(loaded.preprocessing, TextInputs) and loaded.preprocessing.lower
    tokenizer = tokenizers.read(folder, lower)
    if tokenizers.vocab_size(tokenizer) > loaded.model.cfg.vocab:
        tokenizers.require_vocab(tokenizer, loaded.model.cfg.vocab, loaded.source)
    return tokenizer
