"""Write docs/bench.md, and the sentence of the README, from the rows of `zoo bench --peers` in results/bench/.

    python tools/bench_table.py

A test compares both with those rows.
"""

from pathlib import Path

from train.studies.bench import results

ROOT = Path(__file__).parents[1]
DOCS, README = ROOT / "docs" / "bench.md", ROOT / "README.md"
BEGIN, END = "<!-- bench: python tools/bench_table.py -->\n", "<!-- end of bench -->"


def inserted(document: str, text: str) -> str:
    """Return the document with `text` between the marks."""
    before, begin, rest = document.partition(BEGIN)
    _, end, after = rest.partition(END)
    assert begin, "the document has no first mark"
    assert end, "the document has no last mark"
    return before + begin + text + end + after


def main() -> None:
    records = results.read_all()
    for path, text in ((DOCS, results.markdown(records)), (README, results.sentence(records))):
        path.write_text(inserted(path.read_text(encoding="utf-8"), text), encoding="utf-8")


if __name__ == "__main__":
    main()
