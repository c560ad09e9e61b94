"""`zoo show`: one card in prose with its layers; and the catalogue as a table by year, for `zoo list`."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import jax.numpy as jnp
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

import zoo
from train.algorithms.cards import ALGORITHMS, KINDS, Algorithm
from train.commands.console import emit
from train.commands.options import with_config
from train.metrics.format import human
from train.pictures.style import LEAN
from zoo.errors import UserError, unknown
from zoo.weights import model_card, store, table

if TYPE_CHECKING:
    from zoo.cards import Card, Paper
    from zoo.weights.table import Row


USAGE = "usage: zoo show NAME [--config FILE], for example zoo show resnet50, resnet50.tv_in1k or adam"


def show_command(args: Sequence[str]) -> None:
    """`zoo show NAME`."""
    if list(args) in (["-h"], ["--help"]):
        print(USAGE)
        return
    args = with_config(args)
    if len(args) != 1 or args[0].startswith("-"):
        raise UserError(USAGE)
    emit(show(args[0]))


def list_models(pattern: str = "*") -> Table:
    """The models whose name matches a shell pattern, oldest first. No match raises UserError."""
    table = Table(**LEAN)
    table.add_column("year", no_wrap=True)
    table.add_column("name", no_wrap=True)
    table.add_column("paper")
    for head in ("params", "FLOPs"):
        table.add_column(head, justify="right", no_wrap=True)
    table.add_column("input", no_wrap=True)
    for card in _matching(pattern):
        shapes = ", ".join(_shape(shape) for shape, dtype in card.inputs.values() if dtype != jnp.bool_)  # no masks
        table.add_row(
            str(card.year), card.name, Text(_short(card.paper)), human(card.params), human(card.flops), shapes
        )
    return table


def list_algorithms(kind: str) -> Table:
    """The "optimizers", "losses" or "activations", oldest first."""
    table = Table(**LEAN)
    for head in ("year", "name", "paper"):
        table.add_column(head, no_wrap=True)
    table.add_column("formula", overflow="fold")
    for card in sorted(KINDS[kind], key=lambda card: card.year):
        table.add_row(str(card.year), card.name, Text(_short(card.paper)), Text("; ".join(card.formula)))
    return table


def list_models_json(pattern: str = "*") -> str:
    """The same models as a JSON array of objects, figures exact."""
    entries = [
        {
            "name": card.name,
            "family": card.family,
            "year": card.year,
            "paper": {**dataclasses.asdict(card.paper), "url": card.paper.url} if card.paper else None,
            "idea": card.idea,
            "params": card.params,
            "flops": card.flops,
            "inputs": {name: {"shape": shape, "dtype": _dtype(dtype)} for name, (shape, dtype) in card.inputs.items()},
            "output": card.output,
            "departs": card.departs,
        }
        for card in _matching(pattern)
    ]
    return json.dumps(entries, indent=2, ensure_ascii=False)


def show(name: str) -> Group:
    """The card called `name` in prose; of a model then its layers: path, type, output shape, parameters, FLOPs.

    Shapes and FLOPs are those of one example of the card's input size. An unknown name raises UserError.
    """
    if name in ALGORITHMS:
        return _algorithm(ALGORITHMS[name])
    if name not in zoo.CARDS and (row := table.find(name)) is not None:
        return _weights(row)
    if name not in zoo.CARDS:
        raise unknown("model or algorithm", name, [*zoo.CARDS, *ALGORITHMS, *table.known()])
    card = zoo.card(name)
    parts: list[RenderableType] = [
        *_history(card),
        Text(
            f"Takes {_inputs(card)}, gives {_output(card)}. {card.params:,} parameters; "
            f"{human(card.flops)} FLOPs for one example forward (a multiply-add counts as 2)."
        ),
    ]
    if card.paper_params:
        rounded = "" if card.paper_params == card.params else ", rounded"
        parts.append(Text(f"The paper counts {card.paper_params:,}{rounded}."))
    if card.departs:
        parts.append(Text(f"Differs from the paper: {card.departs}"))
    if card.initial_values:
        parts.append(Text(f"Initial values: {card.initial_values}"))
    if rows := [row.name for row in table.match() if row.card == name]:
        parts.append(Text(f"Weights by name: {', '.join(rows)}; zoo show {rows[0]} says whose they are."))
    parts += _lineage(card)
    fields = ", ".join(f"{f.name}={getattr(card.config, f.name)!r}" for f in dataclasses.fields(card.config))
    parts.append(Text(f'Fields for zoo.create("{card.name}", …): {fields}'))
    return Group(*parts, _layers(card))


def _history(card: Card | Algorithm) -> list[RenderableType]:
    lines: list[RenderableType] = [Text(f"{card.name}, {card.year}", style="bold")]
    if card.paper:
        lines.append(Text(f"{card.paper.authors}: {card.paper.title}. {card.paper.venue}. {card.paper.url}"))
    return [*lines, Text(f"\n{card.idea}\n" if card.idea else "")]


def _lineage(card: Card) -> list[RenderableType]:
    """What it took of older models, and which papers took something of its own."""
    taken = [f"{what} ({parent})" for parent, what in card.parents.items()]
    heirs: dict[Paper, str] = {}
    for other in zoo.CARDS.values():
        for parent, what in other.parents.items():
            if zoo.card(parent).paper == card.paper and other.paper != card.paper:
                heirs.setdefault(other.paper, f"{other.name} ({what})")
    lines = [("Took", "; ".join(taken)), ("Passed on to", "; ".join(heirs.values()))]
    return [Text(f"{head}: {said}.") for head, said in lines if said]


def _algorithm(card: Algorithm) -> Group:
    parts = [*_history(card), *(Text(f"  {line}") for line in card.formula)]
    if card.constants:
        constants = ", ".join(f"{name} = {value:g}" for name, value in card.constants.items())
        parts.append(Text(f"\nConstants where none are named: {constants}"))
    if card.departs:
        parts.append(Text(f"Differs from the paper: {card.departs}"))
    if card.kind == "optimizer":
        parts.append(Text(f"Use it: zoo train CONFIG --optim.name {card.name}"))
    return Group(*parts)


def _weights(row: Row) -> Group:
    """The card of weights, and where they come from."""
    facts = model_card.of_row(row).facts()
    place = None
    with contextlib.suppress(UserError):  # a mirror that is not there: a card is shown without it
        place = store.local(row)
    if row.picture and place is not None:
        facts = [(head, str(place / said) if head == "Picture" else said) for head, said in facts]
    lines = [
        *facts,
        ("From", row.place),
        ("Files", ", ".join(row.files)),
        ("Size", row.size),
        ("SHA-256", row.sha256 or "that which the hub states for the commit"),
        ("Stated in", row.stated_in),
    ]
    use = f'Use them: zoo.pretrained("{row.name}"), --weights {row.name}, --init-from {row.name}'
    shown = [Text(f"{head}: {said}") for head, said in lines if said]
    return Group(Text(row.name, style="bold"), *shown, Text(use))


def _matching(pattern: str) -> list[Card]:
    names = zoo.list_models(pattern)
    if not names:
        raise unknown("model", pattern, zoo.CARDS)
    return [zoo.card(name) for name in names]


def _layers(card: Card) -> Table:
    table = Table(**LEAN)
    for head in ("layer", "type", "output"):
        table.add_column(head, no_wrap=head != "layer", overflow="fold")
    for head in ("parameters", "FLOPs"):
        table.add_column(head, justify="right", no_wrap=True)
    from zoo import measure

    for path, kind, shape, params, flops in measure.layer_table(card.make(), card.inputs):
        table.add_row(Text(path or "(the model)"), kind, _shape(shape), human(params), human(flops))
    return table


def _short(paper: Paper) -> str:
    """Authors beside the year: "K. He, X. Zhang, S. Ren, J. Sun" -> "He et al."."""
    first, *others = paper.authors.split(",")
    surname = " ".join(word for word in first.split() if not word.endswith("."))
    return f"{surname} et al." if others else surname


def _inputs(card: Card) -> str:
    return ", ".join(f"{name} {_shape(shape)} {_dtype(dtype)}" for name, (shape, dtype) in card.inputs.items())


def _output(card: Card) -> str:
    several = [shape for shape in card.output if isinstance(shape, tuple)]
    one = tuple(size for size in card.output if not isinstance(size, tuple))
    return " and ".join(map(_shape, several)) if several else _shape(one)


def _shape(shape: tuple[int, ...]) -> str:
    return "×".join(map(str, shape)) or "scalar"


def _dtype(dtype: Any) -> str:
    return jnp.dtype(dtype).name
