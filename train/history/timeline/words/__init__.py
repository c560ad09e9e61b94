"""The page's own sentences, one table for each language; each has the same keys."""

import tomllib
from pathlib import Path

from zoo.errors import unknown

HERE = Path(__file__).parent
ORIGINAL = "en"  # the language of papers, cards and claims


def languages() -> list[str]:
    """What `load` takes, the original first."""
    return sorted((file.stem for file in HERE.glob("*.toml")), key=lambda lang: (lang != ORIGINAL, lang))


class Words:
    """`words(key, **values)` is a sentence with its places filled. A key or place that is not there is a KeyError."""

    def __init__(self, lang: str, table: dict[str, str]) -> None:
        self.lang, self.table = lang, table

    def __call__(self, key: str, **values: object) -> str:
        return self.table[key].format(**values)

    @property
    def scripts(self) -> dict[str, str]:
        """Those that the page's scripts say, places unfilled."""
        return {key.removeprefix("js_"): said for key, said in self.table.items() if key.startswith("js_")}


def load(lang: str) -> Words:
    """The table of a language. UserError for one that is not there."""
    if lang not in languages():
        raise unknown("language", lang, languages())
    return Words(lang, tomllib.loads((HERE / f"{lang}.toml").read_text(encoding="utf-8")))
