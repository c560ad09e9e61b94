"""The terms of a run: what its figures mean, beside task and data set. Runs of other terms are not compared."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import train.tasks  # noqa: F401  fills the table of ways of learning
from train.config import Data, Scenes, Text, World, ways
from train.history.timeline.lenient_json import mapping, text

OF_ALL = (
    *("data.labels", "data.wrong_labels", "data.split_by", "data.swap"),
    *("data.size", "data.preset", "data.pieces", "data.images"),
)
"""What is learned from, and on which examples it is measured."""
OF_TOKENS = ("data.tokenizer", "data.vocab", "data.lower")
"""What the loss of a language model is a mean over: characters, or pieces of another vocabulary."""
PER_TOKEN = ("language", "masked")
KINDS: Mapping[str, Any] = {"images": Data, "text": Text, "world": World}


def kind_of(config: Mapping[str, Any]) -> str:
    """Return what a run learns from, given its config.json: "images", "text" or "world"."""
    data = mapping(config, "data")
    return "text" if "tokenizer" in data else "world" if "environments" in data else "images"


def terms_of(config: Mapping[str, Any]) -> dict[str, str]:
    """Return the terms that differ from those of every field's default, given the config.json of a run."""
    task = text(mapping(config, "task"), "name")
    way = ways.WAYS.get(task)
    names = [*OF_ALL, *(OF_TOKENS if task in PER_TOKEN else ()), *(way.judged_by if way else ())]
    schema = Scenes if "preset" in mapping(config, "data") else KINDS[kind_of(config)]
    usual = {"data": _defaults(schema), "task": _defaults(way.config) if way else {}}
    found = {"budget": budget} if (budget := text(config, "budget")) else {}
    for name in names:
        part, _, field = name.partition(".")
        own = mapping(config, part)
        if field in own and own[field] != usual.get(part, {}).get(field):
            found[name] = text(own, field)
    return found


def _defaults(schema: Any) -> dict[str, Any]:
    return {field.name: field.default for field in dataclasses.fields(schema)}
