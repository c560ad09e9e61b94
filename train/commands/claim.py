"""`zoo claim`: run a paper's claim and judge it, list all of them, or run as many as the time allows."""

import dataclasses
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import tyro

from train.config import files as config_files
from train.config.parse import parse
from train.core.console import Console
from train.core.signals import Stopped
from train.history.claims import files, results, table
from train.history.claims.claim import Claim
from train.history.claims.workers import Ended, side_by_side
from train.loop.run import RUNS
from zoo.errors import UserError

PIPE_COLUMNS = 120  # of tables that nobody watches


@dataclasses.dataclass(frozen=True)
class ClaimOptions:
    """Run what a paper claims and judge it; without NAME, list the claims and their verdicts."""

    name: Annotated[tyro.conf.Positional[str | None], tyro.conf.arg(metavar="NAME")] = None
    """Of the claim, or the path of a Python file with CLAIM = Claim(...)."""
    list: bool = False
    """List the claims; a verdict with * is the project's own (results/claims.json), one without was found here."""
    all: bool = False
    """Run every claim, the quickest first; with --jobs and without --budget the longest first, so that no core waits at
    the end. One whose data are not here is passed over and said so."""
    budget: str | None = None
    """With --all: start no claim that would not end within this time, such as 90m or 1h30m."""
    jobs: int = 1
    """With --all on a CPU: so many claims side by side, each in a process with its share of the cores. The networks are
    small: with a core each, claims are done sooner than one after the other on all."""
    full: bool = False
    """The setting nearer to the paper, for an accelerator."""
    seeds: int | None = None
    """Seeds of each arm; by default the claim's own number."""
    sham: bool = False
    """In place of the claim run its sham, a control: one arm of the headline against itself with other seeds, judged by
    the same rule. It must not hold. With --record it joins the claim's record."""
    record: bool = False
    """Put the result into results/claims.json of the project as well. It must be of the design in the claim's file,
    so without --seeds."""
    markdown: bool = False
    """Print the recorded results as the table of docs/claims.md."""
    workdir: Path = RUNS
    """Run folders, picture and result are made in WORKDIR/claims/<name>."""


def claim_command(args: Sequence[str]) -> None:
    """`zoo claim NAME`, `zoo claim --list`, `zoo claim --all`."""
    options = parse(ClaimOptions, args, prog="zoo claim")
    if options.seeds is not None and options.seeds < 1:
        raise UserError(f"--seeds must be at least 1, not {options.seeds}")
    if options.budget is not None and not options.all:
        raise UserError("--budget goes with --all")
    if options.jobs != 1 and not options.all:
        raise UserError("--jobs goes with --all")
    from train.core import machine
    from train.history.claims.run import parse_time

    if not 1 <= options.jobs <= machine.cores():
        raise UserError(f"--jobs must be 1 to {machine.cores()}, the number of cores, not {options.jobs}")
    budget = None if options.budget is None else parse_time(options.budget)
    if options.markdown:
        recorded = list(results.read().values())
        print(results.markdown(recorded, files.earlier(recorded)), end="")
    elif options.all:
        if options.name is not None:
            raise UserError(f"either a name or --all, not both: {options.name}")
        All(options, budget).run()
    elif options.name is None or options.list:
        _list(options)
    else:
        claim, _ = files.load_claim(options.name)
        claim.at(full=options.full, seeds=options.seeds)  # before the devices are touched
        machine.prepare_backend()
        _run(options.name, options, _console())


def _run(name: str, options: ClaimOptions, console: Console) -> dict[str, Any]:
    where = {"workdir": options.workdir, "record": options.record, "console": console}
    from train.history.claims.run import run_claim, run_sham

    return (run_sham if options.sham else run_claim)(name, full=options.full, seeds=options.seeds, **where)


def expected_seconds(name: str, claim: Claim, recorded: dict[str, Any], options: ClaimOptions) -> float:
    """What a claim took here, else where it was recorded, else an estimate; with as many seeds as asked for.

    Nothing where its result is here and up to date. The estimate is what its file says, and at the full setting that of
    its FLOPs: raises UserError where data for that are not here.
    """
    setting = "full" if options.full else "small"
    from train.history.claims import cost, design
    from train.history.claims.run import claim_folder

    here = results.own(claim_folder(options.workdir, name, setting))
    if here and here.get("design") == design.digest(claim) and not files.stale(here) and not options.sham:
        return 0.0
    known = here or recorded.get(name)
    if known is None or known["setting"] != setting:
        import jax

        rate = cost.FLOPS_PER_SECOND.get(jax.default_backend(), cost.FLOPS_PER_SECOND["gpu"])
        return cost.seconds(claim, rate) if options.full else claim.seconds
    seeds = max((len(arm["seeds"]) for arm in known["arms"]), default=0)  # 0 where every arm is exact
    return known["seconds"] * (claim.seeds / seeds if seeds else 1)


class Planned(NamedTuple):
    """A claim that is to be run."""

    seconds: float  # that it should take
    name: str
    alone: bool  # with nothing beside it


class All:
    """`--all`: every claim, the quickest first, within the budget; what could not be run is listed with its reason."""

    def __init__(self, options: ClaimOptions, budget: float | None) -> None:
        self.options, self.budget, self.console = options, budget, _console()
        self.found: list[dict[str, Any]] = []
        self.left: list[tuple[str, str]] = []
        self.failed: list[str] = []
        self.began = time.perf_counter()

    def run(self) -> None:
        """Raises Stopped, after the rest, where a claim's process did not end as it should."""
        import jax

        from train.core import machine

        machine.prepare_backend()
        planned = sorted(self._plan())
        self._say(planned)
        if self.options.jobs > 1 and jax.default_backend() != "cpu":
            raise UserError(f"--jobs shares out the cores of a processor, and this runs on {machine.describe()}")
        for name in self._in_time(one for one in planned if one.alone or self.options.jobs == 1):
            try:
                self.found.append(_run(name, self.options, self.console))
            except UserError as error:  # a data set that is not here; what is wrong with one claim stops no other
                self.left.append((name, str(error)))
        if self.options.jobs > 1:
            together = [one for one in planned if not one.alone]
            # A long claim that begins last would leave the other cores without work until it has ended.
            self._together(together[::-1] if self.budget is None else together)
        self._show()

    def _plan(self) -> Iterator[Planned]:
        recorded = results.read()
        for name in files.claim_names():
            claim, _ = files.load_claim(name)
            try:
                claim = claim.at(full=self.options.full, seeds=self.options.seeds)
                seconds = expected_seconds(name, claim, recorded, self.options)
            except UserError as error:  # it has no such setting, or data are not here
                self.left.append((name, str(error)))
                continue
            yield Planned(seconds, name, claim.alone)

    def _say(self, planned: Sequence[Planned]) -> None:
        """Print the plan where it may take hours: which claims begin within the budget, and what each should take."""
        if not self.options.full and self.budget is None:
            return
        total = 0.0
        for seconds, name, _ in planned:
            fits = self.budget is None or total + seconds <= self.budget
            total += seconds if fits else 0.0
            said = "done" if seconds == 0 else f"about {seconds / 60:,.1f} minutes"
            self.console.print(f"planned: {name}: {said}{'' if fits else ', beyond the budget'}", highlight=False)
        self.console.print(f"planned in all: about {total / 60:,.1f} minutes", highlight=False)

    def _in_time(self, planned: Iterable[Planned]) -> Iterator[str]:
        """The names of those that would end within the budget, judged when each is asked for."""
        for seconds, name, _ in planned:
            spent = time.perf_counter() - self.began
            if self.budget is not None and spent + seconds > self.budget:
                why = f"would take about {seconds:,.0f} s, and {max(0.0, self.budget - spent):,.0f} s are left"
                self.left.append((name, why))
            else:
                yield name

    def _together(self, planned: Sequence[Planned]) -> None:
        running: list[str] = []

        def say() -> None:
            status.update(f"running {', '.join(running)}; {len(self.found)} claims done")

        def commands() -> Iterator[tuple[str, Sequence[str]]]:
            for name in self._in_time(planned):
                running.append(name)
                say()
                yield name, self._arguments(name)

        with self.console.status("") as status:
            for ended in side_by_side(commands(), self.options.jobs):
                running.remove(ended.name)
                self._take(ended)
                say()

    def _arguments(self, name: str) -> list[str]:
        path = config_files.FOLDER / "claims" / f"{name}.py"
        words = ["claim", str(path), "--workdir", str(self.options.workdir)]
        words += ["--seeds", str(self.options.seeds)] if self.options.seeds is not None else []
        flags = {"--full": self.options.full, "--record": self.options.record, "--sham": self.options.sham}
        return words + [flag for flag, given in flags.items() if given]

    def _take(self, ended: Ended) -> None:
        said = (ended.err.strip().splitlines() or [""])[-1].removeprefix("zoo: ")
        from train.history.claims.run import claim_folder

        if ended.code == 0:
            self.console.out(ended.out, end="", highlight=False)
            folder = claim_folder(self.options.workdir, ended.name, "full" if self.options.full else "small")
            result = results.own(folder, "sham" if self.options.sham else "result")
            assert result is not None, f"{ended.name} ended well, and its result is written before"
            self.found.append({"name": ended.name, "sham": result} if self.options.sham else result)
        elif ended.code == 2:
            self.left.append((ended.name, said))
        else:
            self.left.append((ended.name, f"ended with code {ended.code}: {said}"))
            self.failed.append(ended.name)

    def _show(self) -> None:
        if not self.options.sham:
            by_year = sorted(self.found, key=lambda one: one["year"])
            self.console.print(
                table.listing([table.Listed(one["name"], one["year"], one["says"], one, True) for one in by_year])
            )
        seconds = time.perf_counter() - self.began
        said = results.shams_text(self.found) or "no sham was run" if self.options.sham else f"{len(self.found)} claims"
        self.console.print(
            f"{said}, in {seconds:,.0f} s" if self.options.sham else f"{said} in {seconds:,.0f} s", highlight=False
        )
        for name, why in self.left:
            self.console.print(f"not run: {name}: {why}", soft_wrap=True, highlight=False)
        if self.failed:
            raise Stopped(f"{', '.join(self.failed)} did not end; the same command goes on", 1)


def _list(options: ClaimOptions) -> None:
    recorded, rows = results.read(), []
    from train.history.claims.run import claim_folder

    for name in files.claim_names():
        claim, _ = files.load_claim(name)
        here = results.own(claim_folder(options.workdir, name))
        found = here or recorded.get(name)
        stale = files.stale(found) if found is not None else ""
        rows.append(table.Listed(name, claim.year, claim.says, found, here is not None, stale))
    console = _console()
    console.print(table.listing(sorted(rows, key=lambda row: row.year)))
    if shams := results.shams_text(row.result for row in rows if row.result):
        console.print(shams, highlight=False)
    console.print("zoo claim NAME runs one; * the project's own result (results/claims.json)", highlight=False)


def _console() -> Console:
    console = Console()
    return console if console.is_terminal else Console(width=PIPE_COLUMNS)
