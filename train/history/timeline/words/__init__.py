"""The page's own sentences: one table per language, all with the same keys."""

import tomllib
from pathlib import Path

from zoo.errors import unknown

HERE = Path(__file__).parent
ORIGINAL = "en"  # the language of papers, cards and claims


def languages() -> list[str]:
    """Return the languages that `load` accepts, the original first."""
    return sorted((file.stem for file in HERE.glob("*.toml")), key=lambda lang: (lang != ORIGINAL, lang))


class Words:
    """`words(key, **values)` is a sentence with its placeholders filled. A missing key or value is a KeyError."""

    def __init__(self, lang: str, table: dict[str, str]) -> None:
        self.lang, self.table = lang, table

    def __call__(self, key: str, **values: object) -> str:
        return self.table[key].format(**values)

    @property
    def scripts(self) -> dict[str, str]:
        """The sentences of the page's scripts, with their placeholders."""
        return {key.removeprefix("js_"): said for key, said in self.table.items() if key.startswith("js_")}


def load(lang: str) -> Words:
    """Load the table of a language. Raises UserError for an unknown one."""
    if lang not in languages():
        raise unknown("language", lang, languages())
    return Words(lang, tomllib.loads((HERE / f"{lang}.toml").read_text(encoding="utf-8")))
