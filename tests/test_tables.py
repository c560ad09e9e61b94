"""Every table of README.md and docs/ says what results/ has."""

from types import ModuleType

import pytest
import tools_by_name


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    return tools_by_name.tool("tables")


def test_every_table_stands_somewhere_and_says_what_is_recorded(tool: ModuleType) -> None:
    tables = tool.tables()
    there = set()
    for path in tool.documents():
        document = path.read_text(encoding="utf-8")
        there |= {name for name in tables if tool.BEGIN.format(name=name) in document}
        assert tool.inserted(document, tables) == document, f"run python tools/tables.py for {path.name}"
    assert there == tables.keys()


def test_a_table_replaces_what_stands_between_its_own_marks_alone(tool: ModuleType) -> None:
    document = "a\n<!-- x: tools/tables.py -->\nold\n<!-- end -->\nb\n<!-- y: tools/tables.py -->\nkept\n<!-- end -->\n"
    assert tool.inserted(document, {"x": "| new |\n", "absent": "no"}) == document.replace("old", "\n| new |\n")
