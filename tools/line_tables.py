"""Write the tables of docs/lines.md, and that of the README, from results/exhibits/ and results/line_sweep.json.

    python tools/line_tables.py

A test compares both documents with those files.
"""

import json
from pathlib import Path

from train.history.timeline import exhibits, lines

ROOT = Path(__file__).parents[1]
DOCS, README, SWEEP = ROOT / "docs" / "lines.md", ROOT / "README.md", ROOT / "results" / "line_sweep.json"


def tables() -> dict[str, str]:
    """Return the name of each table, as it stands in the documents' marks, and its Markdown."""
    shown = exhibits.read_all(exhibits.FOLDER)
    sweep = json.loads(SWEEP.read_text(encoding="utf-8"))
    return {
        "scenes": lines.scenes_table(shown),
        "mnist": lines.recipes_table(shown, lines.MNIST, "accuracy"),
        "multi30k": lines.recipes_table(shown, lines.MULTI30K, "bleu"),
        "shakespeare": lines.recipes_table(shown, lines.SHAKESPEARE, "bits_per_byte"),
        "rates": lines.sweep_table(sweep["rates"], "rate"),
        "lengths": lines.sweep_table(sweep["lengths"], "steps"),
    }


def inserted(document: str) -> str:
    """Return the document with every table between its marks: <!-- NAME: tools/line_tables.py --> to <!-- end -->."""
    for name, table in tables().items():
        begin, end = f"<!-- {name}: tools/line_tables.py -->\n", "<!-- end -->"
        before, mark, rest = document.partition(begin)
        if mark:
            document = before + mark + "\n" + table + "\n" + rest[rest.index(end) :]
    return document


def main() -> None:
    for path in (DOCS, README):
        path.write_text(inserted(path.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
