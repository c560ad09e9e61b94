"""The search space: FIELD=RANGE or FIELD=CHOICES, parsed and checked before anything is compiled."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_origin

from train.config import Experiment
from train.config.fields import Field, fields_of, words
from train.config.parse import parse_experiment
from train.config.sweep import SWEEPABLE
from train.config.ways import way_of
from train.tasks.check import check
from zoo.errors import UserError, in_one_line, unknown

NOTATION = "log:A..B, A..B, int:A..B, log:int:A..B or a|b|c"
FIXED = (
    *("seed", "seeds", "sweep", "folds", "task.name", "data.name"),
    *("data.validation", "data.split_seed", "data.split_by", "data.fold"),
    *("data.tokenizer", "data.vocab", "data.lower", "data.length", "data.swap"),
)
"""Fields that decide how a trial is scored in every way of learning, beside those that the way itself names: scores of
trials that differ in them cannot be compared."""
LENGTHS = ("steps", "eval_every_steps")

Setting = dict[str, Any]
"""Field -> its value in a trial: a number, or the text of a choice."""


@dataclasses.dataclass(frozen=True)
class Space:
    """The values that one field can take: a range, or choices as they were written."""

    field: Field
    text: str
    kind: Literal["float", "int", "choices"]
    low: float = 0
    high: float = 0
    log: bool = False
    choices: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return self.field.name

    @property
    def ends(self) -> tuple[Any, ...]:
        """The values to check: both ends of a range, or every choice."""
        return self.choices or (self.low, self.high)

    @property
    def is_data(self) -> bool:
        """Whether the values are arguments of the compiled program, so that all trials can share it."""
        return self.name in SWEEPABLE and all(map(_is_number, self.ends))

    def words(self, value: Any) -> list[str]:
        """Return the command line arguments that set the field to `value`."""
        if self.kind != "choices":
            return words(self.field, value)
        if get_origin(self.field.hint) is tuple:
            return words(self.field, list(filter(None, value.split(","))))
        return words(self.field, value == "true" if self.field.hint is bool else value)

    def now(self, experiment: Experiment) -> Any | None:
        """Return the field's value in `experiment` as a value of this space; None where it is outside of it."""
        if self.kind == "choices":
            here = apply(experiment, [], {})
            return next((each for each in self.choices if apply(experiment, [self], {self.name: each}) == here), None)
        value = self.field.value
        inside = isinstance(value, int | float) and self.low <= value <= self.high
        return (int(value) if self.kind == "int" else float(value)) if inside else None


def read(experiment: Experiment, texts: Sequence[str]) -> list[Space]:
    """Parse `FIELD=…` texts for `experiment`.

    Raises UserError for an unknown field, a field that decides how trials are scored, a text that is neither a range
    nor choices, an empty range, a logarithmic range from 0 or below, and values that the field cannot take.
    """
    if not texts:
        raise UserError(f"--space FIELD=… is missing: what to search; FIELD=… is {NOTATION}")
    fields = fields_of(experiment)
    found: dict[str, Space] = {}
    for text in texts:
        name, equals, values = text.partition("=")
        name = name.replace("model.fields.", "model.", 1) if name.startswith("model.fields.") else name
        if not equals:
            raise UserError(f"--space must be FIELD={NOTATION}, not {text!r}")
        if name not in fields:
            raise unknown("field in --space", name, fields)
        if name in (*FIXED, *way_of(experiment.task).judged_by):
            raise UserError(f"--space: {name} decides how a trial is scored, so trials cannot differ in it")
        if name in found:
            raise UserError(f"--space: {name} is given twice")
        found[name] = _space(fields[name], values)
    spaces = list(found.values())
    for space in spaces:
        for value in space.ends:
            try:
                check(apply(experiment, [space], {space.name: value}))
            except UserError as error:
                raise UserError(f"--space {space.name}={space.text}: {in_one_line(error)}") from None
    return spaces


def require_replicas(spaces: Sequence[Space]) -> None:
    """Raise UserError where trials of `spaces` cannot be replicas of one program."""
    for space in spaces:
        if not space.is_data:
            raise UserError(
                f"--batch: {space.name} changes the arrays or the program, so trials that differ in it cannot be "
                f"replicas of one program; without --batch they train one after the other. Fields that can differ in "
                f"a batch: {', '.join(SWEEPABLE)}"
            )


def apply(experiment: Experiment, spaces: Sequence[Space], setting: Mapping[str, Any]) -> Experiment:
    """Return `experiment` with the fields of `setting`. The command line's parser checks their types."""
    line = [word for space in spaces if space.name in setting for word in space.words(setting[space.name])]
    return parse_experiment(line, prog="zoo search", default=experiment, options=_NoOptions)[0]


def _is_number(value: Any) -> bool:
    try:
        return math.isfinite(float(value))
    except ValueError:
        return False


@dataclasses.dataclass(frozen=True)
class _NoOptions:
    """A command without own options."""


def _space(field: Field, text: str) -> Space:
    body, marks = text, set()
    while (mark := body.partition(":")[0]) in ("log", "int") and ":" in body:
        marks.add(mark)
        body = body.partition(":")[2]
    if ".." in body and "|" not in body:
        return _range(field, text, body, marks)
    if marks:
        raise UserError(f"--space: {field.name} must be {NOTATION}, not {text!r}")
    choices = tuple(body.split("|"))
    if len(choices) < 2:
        raise UserError(f"--space: {field.name} needs a range or two choices ({NOTATION}), not {text!r}")
    if len(set(choices)) < len(choices):
        raise UserError(f"--space: {field.name} has a choice twice: {text!r}")
    if field.hint is bool and not set(choices) <= {"true", "false"}:
        raise UserError(f"--space: {field.name} is true|false, not {text!r}")
    return Space(field, text, "choices", choices=choices)


def _range(field: Field, text: str, body: str, marks: set[str]) -> Space:
    if field.hint not in (int, float):
        raise UserError(f"--space: {field.name} is not a number, so it takes choices a|b|c, not {text!r}")
    if field.hint is int and "int" not in marks:
        raise UserError(f"--space: {field.name} is a whole number: write {field.name}=int:{text}")
    number = int if "int" in marks else float
    try:
        low, high = (number(end) for end in body.split(".."))
    except ValueError:
        what = "whole numbers" if number is int else "numbers"
        raise UserError(f"--space: {field.name} must be a range A..B of {what}, not {text!r}") from None
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise UserError(f"--space: {field.name}={text} is empty: the first number must be below the second")
    if "log" in marks and low <= 0:
        raise UserError(f"--space: {field.name}={text} is logarithmic, so it must start above 0")
    return Space(field, text, "int" if number is int else "float", low, high, "log" in marks)
