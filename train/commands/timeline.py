"""`zoo timeline`: trains the line of image classifiers, runs the quickest claims, writes the page of all there is."""

import contextlib
import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

import train.loop.run
from train.commands.options import OwnParts
from train.config import files
from train.config.parse import parse
from train.core.console import Console
from train.history.claims import results
from train.history.timeline import words
from train.history.timeline.lenient_json import read_json
from train.loop.run import RUNS
from train.metrics.format import figure
from zoo.errors import UserError

if TYPE_CHECKING:
    from train.history.timeline.exhibits import Exhibit
    from train.history.timeline.findings import Finding


@dataclasses.dataclass(frozen=True)
class TimelineOptions(OwnParts):
    """Train the line of image classifiers on scenes under one budget; write the page of all landmarks, and a picture.

    The page shows the newest finished run of each config in WORKDIR, and of the others what came with the project.
    """

    runs: Annotated[tyro.conf.Positional[tuple[str, ...]], tyro.conf.arg(metavar="[RUN ...]")] = ()
    """Finished runs to show, all of them; then no other run of their configs is."""
    workdir: Path = RUNS
    """Run folders are made here; the page is WORKDIR/timeline/index.html."""
    fresh: bool = False
    """Train all models again, also those that a finished run of the same config is there for."""
    line: bool = True
    """Train the line of image classifiers; --no-line shows what is there."""
    lang: str = words.ORIGINAL
    """Language of the page: en or ko."""
    claims: str = "45s"
    """Run the quickest claims too, as many as were recorded to take no longer than this together: 45s, 10m, 0s."""


def timeline_command(args: Sequence[str]) -> None:
    """`zoo timeline`."""
    options = parse(TimelineOptions, args, prog="zoo timeline")
    words.load(options.lang)  # says so at once where there is no such language
    from train.core import machine
    from train.history.claims.run import parse_time
    from train.history.grids import results as grid_results
    from train.history.timeline import exhibits, findings, grids, lines, picture
    from train.history.timeline import rows as timeline
    from train.history.timeline.live import nets, traces
    from train.history.timeline.page import write_page

    seconds = parse_time(options.claims)
    given = [train.loop.run.load(path, options.config).path for path in options.runs]
    shown = [exhibits.of_run(path) for path in dict.fromkeys(map(Path.resolve, given))]
    console, folder = Console(), options.workdir / "timeline"
    if options.line:
        machine.prepare_backend()
        line = list(train_line(options, console))
        rows = timeline.gather(line)
        console.print(timeline.table(rows))
        if note := lines.longer_note(exhibits.read_all(exhibits.FOLDER)):
            console.print(note, highlight=False)
        picture.write(rows, folder)
        _add(shown, [exhibits.of_run(path) for path in line])
        run_quickest(seconds, options, console)
    for path in newest(options.workdir):
        try:
            _add(shown, [exhibits.of_run(path)])
        except UserError as error:
            left_out(error)
    shown += exhibits.read_all(exhibits.FOLDER)
    claims = {finding.name: finding for finding in findings.read_all(results.FILE)}
    claims |= {finding.name: finding for finding in findings.read_own(options.workdir, left_out)}
    claims = {name: _dated(finding) for name, finding in claims.items()}
    of_grids = {grid.name: grid for grid in grids.read_all(grid_results.FILE)}
    of_grids |= {grid.name: grid for grid in grids.read_own(options.workdir, left_out)}
    page = write_page(
        shown,
        list(claims.values()),
        folder,
        grids=list(of_grids.values()),
        nets=[*nets.own_nets(), *nets.read_all(exhibits.FOLDER / nets.SUBFOLDER)],
        traces=list(traces.read_all(exhibits.FOLDER / traces.SUBFOLDER)),
        lang=options.lang,
    )
    console.print(f"page: {page}", soft_wrap=True, highlight=False, markup=False)


def _dated(finding: "Finding") -> "Finding":
    """Return a finding that says whether the design in the claim's file, or its code, has changed since."""
    from train.history.claims import files as claim_files
    from train.history.claims import provenance

    facts = {"name": finding.name, "setting": finding.setting, "design": finding.design}
    own = bool(finding.file)  # a user's own file is not run for this
    changed = provenance.named(provenance.changed({"code": finding.code}))
    return dataclasses.replace(finding, earlier=not own and claim_files.is_earlier(facts), changed=changed)


def _add(shown: list["Exhibit"], others: Sequence["Exhibit"]) -> None:
    """Add the exhibits of configs of which none is shown yet."""
    names = {exhibit.name for exhibit in shown}
    shown += [exhibit for exhibit in others if exhibit.name not in names]


def train_line(options: TimelineOptions, console: Console) -> Iterator[Path]:
    """A finished run of each model of the line; those that are there are not trained again."""
    from train.history.timeline.lines import SCENES
    from train.loop.fit import fit
    from train.loop.restore import opened

    for name in SCENES:
        run, setup, resume = opened(name, files.load(name), options.workdir, usable=lambda _: not options.fresh)
        if setup is not None:
            summary = fit(run, setup, console, resume=resume)
            line = f"test accuracy {figure('accuracy', summary.test['accuracy'])}, {summary.seconds:.0f} s"
        else:
            line = f"already trained, in {run.path}"
        console.print(f"{name}: {line}", soft_wrap=True, highlight=False)
        yield run.path


def run_quickest(seconds: float, options: TimelineOptions, console: Console) -> None:
    """Run the claims that took the least when they were recorded, within `seconds` in all; those found here stay."""
    recorded = sorted(results.read().values(), key=lambda claim: claim["seconds"])
    from train.history.claims.run import claim_folder, run_claim

    for claim in recorded:
        name, seconds = claim["name"], seconds - claim["seconds"]
        if seconds < 0:
            break
        if claim["setting"] == "full" or (results.own(claim_folder(options.workdir, name)) and not options.fresh):
            continue
        try:
            run_claim(name, full=False, seeds=None, record=False, workdir=options.workdir, console=console)
        except UserError as error:  # data that are not here: what is recorded is shown
            console.print(f"claim {name} was not run: {error}", soft_wrap=True, highlight=False, markup=False)


def newest(workdir: Path) -> Iterator[Path]:
    """Of each config in `workdir` the newest finished run that is just that config, with whatever seeds.

    A run with a damaged summary is left out, with a line that says so.
    """
    for folder in sorted(workdir.glob("*")):
        for file in sorted(folder.glob("*/summary.json"), reverse=True):
            try:
                read_json(file)
            except UserError as error:
                left_out(error)
                continue
            if as_written(file.parent):
                yield file.parent
                break


def left_out(error: UserError) -> None:
    """Say what does not come onto the page because its files are damaged."""
    Console().print(f"left out of the page: {error}", soft_wrap=True, highlight=False, markup=False)


def as_written(path: Path) -> bool:
    """Whether a run is of the config of its name, seeds aside; one of a config of one's own always is."""
    name = path.parent.name
    if name not in files.names():
        with contextlib.suppress(UserError):  # the page then knows less of its model
            train.loop.run.load(path)
        return True
    try:
        found = train.loop.run.load(path).experiment
    except UserError:  # of another version of the project
        return False
    return dataclasses.replace(found, seed=0, seeds=1) == dataclasses.replace(files.load(name), seed=0, seeds=1)
