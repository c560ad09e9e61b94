"""Compare the arrays of a file with those that a model needs, and name every one that is wrong."""

from collections.abc import Mapping
from typing import Any

from zoo.errors import UserError
from zoo.weights.files import listed
from zoo.weights.layout import Layout
from zoo.weights.rules import Rule


class Misfit(UserError):
    """Weights with other arrays than the model's."""


class Headless(UserError):
    """Weights that have all but the arrays of the model's head."""


def compare(
    source: str,
    layout: Layout,
    tensors: Mapping[str, Any],
    rules: list[Rule],
    new: list[Rule],
    expected: Mapping[str, tuple[int, ...]],
) -> list[str]:
    """Raise UserError naming every missing, misshapen or unexpected array; return the arrays that are passed over."""
    missing, misshapen, used, headless = [], [], set(), True
    for each in rules:
        for theirs, shape in zip(each.theirs, each.shapes(expected), strict=True):
            name = layout.canonical(theirs)
            copies = {layout.canonical(copy) for copy in each.copies} & tensors.keys()
            used |= {name, *copies}
            for there in {name, *copies} & tensors.keys():
                if tensors[there].shape != shape:
                    misshapen.append(f"{there} is {tensors[there].shape}, not {shape}")
            if name not in tensors and not copies:
                missing.append(theirs)
                headless = headless and layout.in_head(each.ours[0])
    rest = tensors.keys() - used
    replaced = {layout.canonical(name) for each in new for name in (*each.theirs, *each.copies)}
    over = sorted(name for name in rest if name in replaced or layout.passes_over(name) or (new and layout.drops(name)))
    unexpected = sorted(name for name in rest - set(over) if not layout.is_buffer(name))
    problems = [
        f"{len(names)} {kind}: {listed(names)}"
        for kind, names in (("missing", missing), ("misshapen", misshapen), ("unexpected", unexpected))
        if names
    ]
    if problems:
        message = f"{source} does not fit (layout {layout.name}); nothing is loaded. {'; '.join(problems)}"
        if headless and missing and len(problems) == 1:
            raise Headless(
                f"{message}; these weights have no head: new_head=True initializes one, and zoo train --init-from "
                "trains one"
            )
        raise Misfit(message)
    return over
