"""The words of the page.

LANG.toml has the page's own sentences, with the same keys in each language. LANG/*.toml has in that language what
cards, algorithms, claims, grids, metrics and recorded results say: tables by owner, each text with its English.
"""

import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from markupsafe import Markup

from train.history.timeline.words.memory import Entry, Memory
from zoo.errors import unknown

HERE = Path(__file__).parent
ORIGINAL = "en"  # the language of papers, cards and claims


def languages() -> list[str]:
    """Return the languages that `load` accepts, the original first."""
    return sorted((file.stem for file in HERE.glob("*.toml")), key=lambda lang: (lang != ORIGINAL, lang))


class Words:
    """`words(key, **values)` is a sentence with its placeholders filled. A missing key or value is a KeyError.

    `told` and `plain` are for what cards, claims and runs say.
    """

    def __init__(self, lang: str, table: dict[str, str], memory: Memory) -> None:
        self.lang, self.table, self.memory = lang, table, memory

    def __call__(self, key: str, **values: object) -> str:
        return self.table[key].format(**values)

    def told(self, text: str) -> str:
        """Return a text in the page's language; where it is not known in it, the original, marked as English."""
        if self.lang == ORIGINAL or not text:
            return text
        found = self.memory.find(text)
        return Markup('<span lang="{}">{}</span>').format(ORIGINAL, text) if found is None else found

    def plain(self, text: str) -> str:
        """Return a text in the page's language, else the original, for where no element can stand."""
        return text if self.lang == ORIGINAL else self.memory.find(text) or text

    @property
    def scripts(self) -> dict[str, str]:
        """The sentences of the page's scripts, with their placeholders."""
        return {key.removeprefix("js_"): said for key, said in self.table.items() if key.startswith("js_")}


def load(lang: str) -> Words:
    """Load the table of a language. Raises UserError for an unknown one."""
    if lang not in languages():
        raise unknown("language", lang, languages())
    table, original = _table(lang), _table(ORIGINAL)
    verdicts = {said: table[key] for key, said in original.items() if key.startswith("verdict_")}
    found = [entry for entries in translations(lang).values() for entry in entries]
    return Words(lang, table, Memory(found, verdicts))


def translations(lang: str) -> dict[str, list[Entry]]:
    """Return the translations of each file of a language, by its name: "cards", "claims"."""
    files = sorted((HERE / lang).glob("*.toml"))
    return {file.stem: list(_entries(tomllib.loads(file.read_text(encoding="utf-8")))) for file in files}


def _table(lang: str) -> dict[str, str]:
    return tomllib.loads((HERE / f"{lang}.toml").read_text(encoding="utf-8"))


def _entries(table: Mapping[str, Any], *key: str) -> Iterator[Entry]:
    """Yield the texts of a table, at any depth: tables with `en` and `to`."""
    if isinstance(table.get("en"), str):
        yield Entry(key, table["en"], table["to"])
        return
    for name, inner in table.items():
        yield from _entries(inner, *key, name)
