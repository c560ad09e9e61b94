"""Write every table of results that README.md and docs/ have, from results/.

    python tools/tables.py

A table stands between its marks, <!-- NAME: tools/tables.py --> and <!-- end -->. A test compares all documents with
results/, so a figure that is typed, or that has changed since, fails it.
"""

import json
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import zoo
from train.history.claims import files
from train.history.claims import results as claim_results
from train.history.timeline import exhibits, lines
from train.studies.bench import results as bench_results

ROOT = Path(__file__).parents[1]
SWEEP = ROOT / "results" / "line_sweep.json"
WIDTH = 118  # of a line
BEGIN, END = "<!-- {name}: tools/tables.py -->\n", "<!-- end -->"


def tables() -> dict[str, str]:
    """Return the name of each table, as it stands in the marks, and its Markdown."""
    shown = exhibits.read_all(exhibits.FOLDER)
    sweep = json.loads(SWEEP.read_text(encoding="utf-8"))
    claims = list(claim_results.read().values())
    timed = bench_results.read_all()
    return {
        "claims": claim_results.markdown(claims, files.earlier(claims)),
        "bullets": bullets(shown, claim_results.verdicts_sentence(claims, files.earlier(claims))),
        "line": lines.short_table(shown),
        "scenes": lines.scenes_table(shown),
        "rates": lines.sweep_table(sweep["rates"], "rate"),
        "lengths": lines.sweep_table(sweep["lengths"], "steps"),
        "mnist": lines.recipes_table(shown, lines.MNIST, "accuracy"),
        "segment": lines.recipes_table(shown, ("scenes_unet",), "mean_iou"),
        "lecun1989": lines.recipes_table(shown, ("mnist_lecun1989",), "accuracy"),
        "multi30k": lines.recipes_table(shown, lines.MULTI30K, "bleu"),
        "shakespeare": lines.recipes_table(shown, lines.SHAKESPEARE, "bits_per_byte"),
        "bench": bench_results.markdown(timed),
        "bench sentence": bench_results.sentence(timed),
    }


def bullets(shown: Sequence[exhibits.Exhibit], verdicts: str) -> str:
    """Return the three lines that open the README: what the project is for, each with its figure."""
    line = sorted((e for e in shown if e.name in lines.SCENES), key=lambda exhibit: lines.SCENES.index(exhibit.name))
    ends = (line[0], max(line, key=lambda exhibit: exhibit.test["accuracy"]))
    said = [f"{100 * e.test['accuracy']:.1f}\N{NO-BREAK SPACE}% ({e.model}, {zoo.card(e.model).year})" for e in ends]
    points = (
        f"- **See history.** `make timeline` trains six nets of six decades on one task, from {said[0]} to {said[1]}, "
        "and writes a page that opens from disk. Every model, algorithm and claim has a room there.",
        f"- **Ask papers.** {verdicts}",
        f"- **Import models.** {len(zoo.CARDS)} models are Flax modules with explicit state, at the paper's size. "
        f"{len(zoo.list_pretrained())} sets of weights load by name: published ones, and some that were trained here.",
    )
    return "\n".join(textwrap.fill(point, WIDTH, subsequent_indent="  ") for point in points) + "\n"


def documents() -> Iterator[Path]:
    """The documents that may have tables."""
    yield ROOT / "README.md"
    yield from sorted((ROOT / "docs").glob("*.md"))


def inserted(document: str, tables: Mapping[str, str]) -> str:
    """Return the document with every table between its marks."""
    for name, table in tables.items():
        before, mark, rest = document.partition(BEGIN.format(name=name))
        if mark:
            document = f"{before}{mark}\n{table.strip()}\n\n{rest[rest.index(END) :]}"
    return document


def main() -> None:
    found = tables()
    for path in documents():
        path.write_text(inserted(path.read_text(encoding="utf-8"), found), encoding="utf-8")


if __name__ == "__main__":
    main()
