"""The README's commands run in its order, and every command of docs/ has the words and options that it shows."""

import contextlib
import re
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

import zoo
from train import cli
from train.config import files

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
PAGES = [README, *sorted((ROOT / "docs").glob("*.md"))]
ELSEWHERE = ("git clone", "make timeline", "source .venv")
"""What the README shows and this test does not run: the project's continuous integration runs these."""
OF_A_RUN = {("sample", "--label")}
"""Options that the help of a command shows once it is given a run of that kind."""
LINKS = re.compile(r"\]\(([^)#]+)[^)]*\)")


def commands(page: Path) -> Iterator[str]:
    """Yield the commands of a page, without what is said of them: the lines that are set in by four spaces."""
    for line in page.read_text(encoding="utf-8").splitlines():
        words = line[4:].split(" #")[0].strip()
        if line.startswith("    ") and re.match(r"(zoo|make|git|source|python|py) ?", words):
            yield words


def flat(fields: Mapping[str, Any], before: str = "--") -> list[str]:
    """Return nested fields as options of the command line: {"data": {"batch": 8}} is --data.batch 8."""
    words = []
    for name, value in fields.items():
        own = f"{before}{name.replace('_', '-')}"
        words += flat(value, f"{own}.") if isinstance(value, Mapping) else [own, str(value)]
    return words


@pytest.mark.slow
def test_the_commands_of_the_readme_run_in_its_order(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    digit = 255 * load_digits().images[0] / 16
    Image.fromarray(digit.astype(np.uint8)).resize((28, 28)).save("digit.png")
    told = list(commands(README))
    assert sum(command.startswith(ELSEWHERE) for command in told) == len(ELSEWHERE)
    for command in told:
        if command.startswith(ELSEWHERE):
            continue
        _, *words = shlex.split(command)
        if words[0] == "train":  # a few steps instead of minutes
            words += flat(files.load(words[1]).smoke)
        assert cli.run(words) == 0, command


@pytest.mark.slow
def test_the_python_of_the_readme_runs_and_says_the_truth() -> None:
    (block,) = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    names: dict[str, Any] = {}
    exec(compile(block, str(README), "exec"), names)
    assert names["logits"].shape == (1, 10)
    assert zoo.param_count("vit_huge_patch14") == 632_045_800
    assert names["digits"].row.card == "lenet5"


def test_every_size_in_the_table_of_models_is_that_of_a_card() -> None:
    rows = [line.split(" | ") for line in README.read_text(encoding="utf-8").splitlines() if line.count(" | ") == 3]
    table = [row for row in rows if re.fullmatch(r"[12]\d{3}", row[1])]
    sizes = {card.params for card in zoo.CARDS.values()}
    assert len(table) >= 15
    assert {row[1] for row in table} <= {str(card.year) for card in zoo.CARDS.values()}
    for row in table:
        found = {int(number.replace(",", "")) for number in re.findall(r"\d[\d,]{3,}", row[3])}
        assert found <= sizes, row


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_of_a_page_leads_to_a_file(page: Path) -> None:
    for target in LINKS.findall(page.read_text(encoding="utf-8")):
        assert target.startswith("https://") or (page.parent / target).exists(), target


def test_every_page_is_reached_from_the_readme() -> None:
    seen, ahead = set(), [README]
    while ahead:
        page = ahead.pop()
        seen.add(page)
        found = {(page.parent / target).resolve() for target in LINKS.findall(page.read_text(encoding="utf-8"))}
        ahead += [other for other in found if other in PAGES and other not in seen]
    assert seen == set(PAGES)


@pytest.mark.slow
def test_every_command_of_the_documentation_has_an_answer_to_help(capsys: pytest.CaptureFixture[str]) -> None:
    """And lists each option that a page shows."""
    shown: dict[tuple[str, ...], set[str]] = {}
    for page in PAGES:
        for command in commands(page):
            name, *words = shlex.split(command)
            if name == "zoo" and words:
                further = words[0] == "data" or (words[0] in ("train", "range", "search") and words[1] in files.names())
                config = words[1:2] if further else []
                shown.setdefault((words[0], *config), set()).update(w for w in words if w.startswith("--"))
    missing = set()
    for words, options in shown.items():
        with contextlib.suppress(SystemExit):  # after the fields of a config
            assert cli.run([*words, "--help"]) == 0
        told = capsys.readouterr().out
        missing |= {(words[0], option) for option in options if option.partition("=")[0] not in told}
    assert missing <= OF_A_RUN, missing
