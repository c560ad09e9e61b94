"""The card of weights: what they are for, which data made them, their figure, and what they get wrong.

`zoo show NAME.TAG` prints it, and `zoo export … --to hf://owner/name` uploads it as README.md. Its parts are those of
Mitchell et al. 2019, "Model cards for model reporting" (arXiv:1810.03993).
"""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from typing import Any

from zoo.weights.table import Figure, Row

UNKNOWN = "not stated"
LICENCES = ("apache-2.0", "mit", "bsd-2-clause", "bsd-3-clause", "cc0-1.0", "cc-by-4.0", "cc-by-sa-4.0",
            "cc-by-nc-4.0", "gpl-3.0", "lgpl-3.0", "agpl-3.0", "mpl-2.0", "unlicense")  # fmt: skip
"""Names of licences that the hub knows; every other one is "other" there, with its own name beside it."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ModelCard:
    """What a user should know before using weights. "" is what nobody states."""

    name: str
    model: str  # the card of the architecture
    fields: Mapping[str, Any] = dataclasses.field(default_factory=dict)  # of its Config, where they differ
    licence: str = ""
    trained_on: str = ""  # the data, with what may be done with them
    figure: str = ""
    intended_use: str = ""
    fails_on: str = ""
    picture: str = ""  # the file that shows a confusion matrix, or samples
    recipe: str = ""  # the command that makes them again

    def facts(self) -> list[tuple[str, str]]:
        """Return (head, text) of each part. What everybody should know and nobody states, is said to be so."""
        return [
            ("Model", self.model + "".join(f", {field}={value!r}" for field, value in self.fields.items())),
            ("Intended use", self.intended_use or UNKNOWN),
            ("Trained on", self.trained_on or UNKNOWN),
            ("Figure", self.figure or UNKNOWN),
            ("Gets wrong", self.fails_on or UNKNOWN),
            ("Picture", self.picture),
            ("Licence", self.licence or UNKNOWN),
            ("Recipe", self.recipe),
        ]


def of_row(row: Row) -> ModelCard:
    """Return the card of weights by name."""
    recipe = row.recipe
    return ModelCard(
        name=row.name,
        model=row.card,
        fields=row.fields,
        licence=row.licence or "",
        trained_on=row.trained_on,
        figure=figure_text(row.figure) if row.figure else "",
        intended_use=row.intended_use,
        fails_on=row.fails_on,
        picture=row.picture or "",
        recipe=f"zoo train {recipe.config} --seed {recipe.seed}, step {recipe.step}, {recipe.commit}" if recipe else "",
    )


def figure_text(figure: Figure) -> str:
    """Return a figure with its data and its source."""
    return f"{figure} on {figure.on}, by {figure.source}"


def markdown(card: ModelCard, place: str, use: Sequence[str]) -> str:
    """Return the card as README.md of a repository of the hub.

    place: hf://owner/name; use: lines of the command line that use the weights from there.
    """
    parts = [_front_matter(card), f"# {card.name}\n"]
    for head, said in card.facts():
        if head == "Picture" and said:
            parts.append(f"![What {card.name} gets right and wrong]({said})\n")
        elif said:
            parts.append(f"**{head}.** {said}\n")
    parts.append(f'```python\nimport zoo\n\nloaded = zoo.load_model("{card.model}", "{place}")\n```\n')
    parts.append("".join(f"    {line}\n" for line in use))
    return "\n".join(parts)


def _front_matter(card: ModelCard) -> str:
    """Return what the hub reads of a card: YAML, whose strings are those of JSON."""
    known = card.licence.lower() in LICENCES
    lines = {"license": card.licence.lower() if known else "other", "library_name": "zoo", "tags": ["zoo", card.model]}
    if not known:
        lines["license_name"] = card.licence or UNKNOWN
    return "".join(["---\n", *(f"{key}: {json.dumps(value)}\n" for key, value in lines.items()), "---\n"])
