"""Text from data is printed as it is: no markup, and no escape sequence reaches the terminal."""

import io
import re
import shutil
from pathlib import Path

import pytest
from rich.table import Table
from rich.text import Text

import train.loop.run
from train import cli
from train.commands.console import say
from train.config import Data, Experiment, Model, Optim
from train.core.console import Console
from train.loop.fit import fit
from train.loop.progress import Bar
from train.tasks.assemble import assemble
from zoo.errors import note, printable

EVIL = "x[/y] [red]r[/red] :smile: \x1b]0;title\x07\x1b[2J\x9b1m\b\r"
SHOWN = r"x[/y] [red]r[/red] :smile: \x1b]0;title\x07\x1b[2J\x9b1m\x08\x0d"


def printed(what: object, **options: object) -> str:
    file = io.StringIO()
    Console(file=file, width=200, color_system=None, **options).print(what)
    return file.getvalue()


def test_a_line_is_printed_as_it_is() -> None:
    assert printed(EVIL) == SHOWN.replace(r"\x07", "").replace(r"\x08", "").replace(r"\x0d", "") + "\n"  # rich's part
    assert "\x1b" not in printed(Text(EVIL))
    assert printable(f"a\tb\n{EVIL}") == f"a\tb\n{SHOWN}"


def test_a_table_is_printed_as_it_is() -> None:
    table = Table(title=EVIL, caption=EVIL)
    table.add_column(EVIL)
    table.add_row(EVIL)
    text = printed(table)
    assert text.count("x[/y] [red]r[/red] :smile: ") == 4
    assert "\x1b" not in text


def test_a_progress_bar_shows_a_name_as_it_is() -> None:
    file = io.StringIO()
    console = Console(file=file, force_terminal=True, color_system=None, width=200)
    with Bar(console, EVIL, 0, 10) as bar:
        bar.update(3, 1.0, {"[red]loss[/x]": 0.5})
    assert "x[/y] [red]r[/red]" in file.getvalue()
    assert "[red]loss[/x] 0.5" in file.getvalue()
    assert "\x1b]0;" not in file.getvalue()
    assert "\x1b[2J" not in file.getvalue()


def test_plain_lines_are_printed_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    say(EVIL)
    note(EVIL)
    assert cli.run(["show", EVIL]) == 2
    out, err = capsys.readouterr()
    assert out == f"{SHOWN}\n"
    assert err.splitlines()[0] == f"zoo: {SHOWN}"
    assert "\x1b" not in err


@pytest.mark.usefixtures("brief_timings")
def test_a_run_in_a_folder_with_a_hostile_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    experiment = Experiment(
        Model("mlp", {"widths": (8,)}), Data("digits", batch=64), Optim("sgd"), steps=2, eval_every_steps=2
    )
    run = train.loop.run.create("x[", experiment, tmp_path, folder=tmp_path / "\x1b[2Jx[" / "y]" / "run")
    fit(run, assemble(experiment), Console(quiet=True))
    assert cli.run(["eval", str(run.path)]) == 0
    assert cli.run(["exhibit", str(run.path), "--into", str(tmp_path / "x[" / "y]")]) == 0
    assert cli.run(["compress", str(run.path)]) == 0
    out = capsys.readouterr().out
    assert "x[/y]" in out
    assert "\x1b" not in out
    shutil.rmtree(run.path / "checkpoints")
    assert cli.run(["eval", str(run.path)]) == 2
    assert "\\x1b[2Jx[/y]/run/checkpoints holds no" in capsys.readouterr().err


def test_every_console_is_ours() -> None:
    """One that is rich's takes brackets for markup, and so does a column of its progress bar."""
    for file in Path(train.__file__).parent.rglob("*.py"):
        code = file.read_text(encoding="utf-8")
        if re.search(r"(?<![\w.])Console\(", code) and file.name != "console.py":
            assert "from rich.console import Console" not in code, file
        for column in re.findall(r"TextColumn\(.*\)", code):
            assert "markup=False" in column, file
