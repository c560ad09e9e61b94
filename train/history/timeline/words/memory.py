"""What others say, in a language of the page: English texts and sentences made by the project, with translations.

A translation is looked up by its English, not by its owner. So a text that has changed since shows in English, and
never beside a translation of what it was; and whatever several owners share is translated once.
"""

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

TOLD = {"": ".+?", "clause": "[^,;]+"}  # texts that have a translation themselves
KEPT = {
    "number": r"[-+]?\d(?:[\d.,]*\d)?(?:e[-+]?\d+)?",
    "word": r"[\w.:/-]+?",
    "any": ".+?",
}
"""Kind of a placeholder -> the regular expression of what it stands for, which is kept as it is."""
PLACEHOLDER = re.compile(r"{(\w+)(?::(\w+))?}")


class Entry(NamedTuple):
    """A translation. With placeholders, "{n:number} steps of {m:number}", it is of all texts of that form."""

    key: tuple[str, ...]  # of its owner: ("alexnet", "idea")
    english: str
    translation: str


class Memory:
    """Finds translations."""

    def __init__(self, entries: Iterable[Entry] = (), known: Mapping[str, str] | None = None) -> None:
        """known: further texts without placeholders, English -> translation."""
        self._exact = dict(known or {})
        self._forms: list[tuple[re.Pattern[str], dict[str, str], str]] = []
        for _, english, translation in entries:
            if PLACEHOLDER.search(english):
                kinds = dict(PLACEHOLDER.findall(english))
                self._forms.append((_expression(english), kinds, PLACEHOLDER.sub(r"{\1}", translation)))
            else:
                self._exact[english] = translation
        self._found: dict[str, str | None] = {}

    def find(self, text: str) -> str | None:
        """Return the translation of a text; None where there is none."""
        if text not in self._found:
            self._found[text] = self._exact.get(text) or self._formed(text)
        return self._found[text]

    def _formed(self, text: str) -> str | None:
        for form, kinds, translation in self._forms:
            if hit := form.fullmatch(text):
                said = {name: own if kinds[name] in KEPT else self.find(own) for name, own in hit.groupdict().items()}
                if None not in said.values():
                    return translation.format(**said)
        return None


def _expression(english: str) -> re.Pattern[str]:
    parts, end = [], 0
    for hit in PLACEHOLDER.finditer(english):
        name, kind = hit.groups()
        parts += [re.escape(english[end : hit.start()]), f"(?P<{name}>{(TOLD | KEPT)[kind or '']})"]
        end = hit.end()
    return re.compile("".join([*parts, re.escape(english[end:])]), re.DOTALL)
