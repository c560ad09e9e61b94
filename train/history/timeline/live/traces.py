"""What a character model expects after each letter of a text, recorded by tools/traces.py."""

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from train.history.timeline.lenient_json import number, read_json, sequence, share, text, whole
from zoo.errors import UserError
from zoo.files import write_atomically

SUBFOLDER = "traces"  # of the folder of exhibits
BARS = 5  # letters that are shown


class Text(NamedTuple):
    """A text, and after each of its letters the most likely next ones."""

    text: str
    prompt: int  # letters at its start that were given
    expected: list[list[list]]  # of each letter BARS pairs of a letter and its share, the most likely first


@dataclasses.dataclass(frozen=True)
class Trace:
    """The texts of one model."""

    name: str  # of its weights
    model: str
    temperature: float  # at which its letters were drawn
    texts: list[Text]

    @property
    def facts(self) -> dict[str, Any]:
        """All of it, as JSON."""
        return {**dataclasses.asdict(self), "texts": [each._asdict() for each in self.texts]}


def write(trace: Trace, folder: Path) -> Path:
    """Write the file of a trace into the folder of exhibits, and return its path."""
    said = json.dumps(trace.facts, ensure_ascii=False, allow_nan=False) + "\n"
    return write_atomically(folder / SUBFOLDER / f"{trace.name}.json", said, make_folder=True)


def read_all(folder: Path) -> Iterator[Trace]:
    """Yield the traces in `folder`, sorted by name. UserError for a file that is none."""
    for file in sorted(folder.glob("*.json")):
        facts = read_json(file)
        texts = [_text(each) for each in sequence(facts, "texts")]
        found = [each for each in texts if each is not None]
        if not text(facts, "name") or not found or len(found) < len(texts):
            raise UserError(f"{file}: not a trace of tools/traces.py: make it again")
        yield Trace(text(facts, "name"), text(facts, "model"), number(facts.get("temperature")) or 1.0, found)


def _text(facts: object) -> Text | None:
    """Return a text, None where something of it is missing."""
    if not isinstance(facts, dict):
        return None
    said, prompt, expected = text(facts, "text"), whole(facts.get("prompt")), sequence(facts, "expected")
    if not prompt or not prompt < len(said) == len(expected) or not all(map(_place, expected)):
        return None
    return Text(said, prompt, expected)


def _place(pairs: object) -> bool:
    """Whether these are BARS pairs of a letter and its share."""
    if not isinstance(pairs, list) or len(pairs) != BARS:
        return False
    return all(isinstance(p, list) and len(p) == 2 and isinstance(p[0], str) and share(p[1]) is not None for p in pairs)
