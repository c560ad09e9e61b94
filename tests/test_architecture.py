"""tools/architecture.py counts real imports, shows those that lead up, and sees when its picture is out of date."""

import xml.etree.ElementTree as ET
from pathlib import Path
from types import ModuleType

import pytest
import tools_by_name

ROOT = Path(__file__).parents[1]
FILES = {
    "train/__init__.py": "",
    "train/__main__.py": "from train.cli import main\n",
    "train/cli.py": "COMMANDS = {'a': 'train.commands.train:train_command', 'b': 'train.commands.none:nothing'}\n",
    "train/commands/__init__.py": "",
    "train/commands/train.py": "import train.loop.fit, zoo.errors\nfrom train.core import State\n",
    "train/loop/__init__.py": "",
    "train/loop/fit.py": "def fit():\n    from train import core\n",
    "train/core/__init__.py": "from .task import State\n",
    "train/core/task.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from train.loop.fit import fit\n",
    "train/unheard.py": "import json\n",
    "zoo/__init__.py": "",
    "zoo/errors.py": "",
}


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    return tools_by_name.tool("architecture")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return tmp_path


def test_imports_are_counted_from_file_to_file(tool: ModuleType, tree: Path) -> None:
    sizes, between = tool.read(tree)
    assert sizes == {"__main__": 1, "cli": 1, "commands": 2, "loop": 2, "core": 2, "unheard": 1, "zoo": 2}
    assert between == {
        ("__main__", "cli"): 1,
        ("cli", "commands"): 1,  # by name in a table; a module that is not there is no import
        ("commands", "loop"): 1,
        ("commands", "core"): 1,
        ("commands", "zoo"): 1,
        ("loop", "core"): 1,  # inside a function
        ("core", "loop"): 1,  # for types only
    }


def test_the_picture_is_xml_and_says_what_leads_up(tool: ModuleType, tree: Path) -> None:
    drawn = tool.draw(tree)
    ET.fromstring(drawn)
    assert drawn == tool.draw(tree)
    assert "11 files, 7 imports between 7 rooms: 1 of them lead up or sideways (red)" in drawn
    (tree / "train/core/task.py").write_text("", encoding="utf-8")
    assert "6 imports between 7 rooms: all of them lead downward" in tool.draw(tree)


def test_check_fails_until_the_picture_is_drawn_again(
    tool: ModuleType, tree: Path, capsys: pytest.CaptureFixture
) -> None:
    check = ["--check", "--root", str(tree)]
    assert tool.main(check) == 1
    assert tool.main(["--root", str(tree)]) == 0
    assert tool.main(check) == 0
    (tree / "train/loop/fit.py").write_text("import zoo.errors\n", encoding="utf-8")
    assert tool.main(check) == 1
    assert capsys.readouterr().err.splitlines()[-1] == (
        "docs/architecture.svg is out of date: run python tools/architecture.py"
    )


def test_no_import_of_this_project_leads_up(tool: ModuleType) -> None:
    assert "all of them lead downward" in tool.draw(ROOT)
