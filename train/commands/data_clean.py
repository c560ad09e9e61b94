"""`zoo data clean`: what the cache of decoded data holds, and with `--yes` its removal."""

from collections.abc import Sequence

from rich.table import Column, Table

from train.core.console import Console
from train.data import cache
from zoo.errors import UserError

USAGE = """usage: zoo data clean [NAME …] [--yes]

Lists what the cache of decoded and tokenized data holds, of the data sets whose names begin with one of NAME, or of
all; --yes removes it. It is built again when a run needs it. Files that a process is writing now stay, and so does
whatever this project did not write."""
UNITS = (("day", 86_400), ("hour", 3_600), ("minute", 60), ("second", 1))


def clean(args: Sequence[str], console: Console) -> None:
    """`zoo data clean`."""
    if not {"-h", "--help"}.isdisjoint(args):
        console.print(USAGE, soft_wrap=True, highlight=False)
        return
    if unknown := [arg for arg in args if arg.startswith("-") and arg != "--yes"]:
        raise UserError(f"unknown option {unknown[0]}: {USAGE.splitlines()[0]}")
    names = tuple(arg for arg in args if arg != "--yes")
    everything = list(cache.entries())
    found = [entry for entry in everything if not names or entry.holds.startswith(names)]
    if names and not found:
        raise UserError(f"{cache.place()} holds nothing of {' or '.join(names)}: zoo data clean lists what is there")
    _show(found, console)
    if not found:
        return
    if "--yes" not in args:
        again = " ".join(["zoo data clean", *names, "--yes"])
        console.print(f"{again} removes this; a run that needs it builds it again", soft_wrap=True, highlight=False)
        return
    stay = [entry for entry in found if not cache.remove(entry)]
    console.print(f"removed {_sum([entry for entry in found if entry not in stay])}", soft_wrap=True, highlight=False)
    for entry in stay:
        console.print(f"{entry.path} is in use by another process and stays", soft_wrap=True, highlight=False)


def _show(found: Sequence[cache.Entry], console: Console) -> None:
    table = Table("holds", "size", "age", Column("file", overflow="fold"))
    for entry in found:
        holds = ", ".join(filter(None, (entry.holds, entry.state * (entry.state != "whole"))))
        table.add_row(holds, f"{entry.bytes / 1e6:,.1f} MB", age(entry.age), entry.path.name)
    if found:
        console.print(table)
    console.print(f"{cache.place()}: {_sum(found)}", soft_wrap=True, highlight=False)


def _sum(found: Sequence[cache.Entry]) -> str:
    files = "file" if len(found) == 1 else "files"
    return f"{len(found):,} {files}, {sum(entry.bytes for entry in found) / 1e6:,.1f} MB"


def age(seconds: float) -> str:
    """Return a span of time in its largest whole unit: "3 days"."""
    unit, size = next((pair for pair in UNITS if seconds >= pair[1]), UNITS[-1])
    count = int(seconds // size)
    return f"{count:,} {unit}{'s' * (count != 1)}"
