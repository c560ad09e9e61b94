"""tests/slow.txt names tests that exist: a test that was renamed would silently be quick again."""

import re
from pathlib import Path

FOLDER = Path(__file__).parent
LINES = [line for line in (FOLDER / "slow.txt").read_text(encoding="utf-8").splitlines() if not line.startswith("#")]


def test_every_line_names_a_test_that_is_there() -> None:
    assert sorted(set(LINES)) == LINES
    for line in LINES:
        file, _, name = line.partition("::")
        source = (FOLDER / file).read_text(encoding="utf-8")
        assert re.search(rf"^def {re.escape(name.partition('[')[0])}", source, re.MULTILINE), line
