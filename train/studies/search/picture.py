"""The figures of a search: the scores of the trials in their order, and the score against each field."""

import math
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from train.metrics.format import is_share, title
from train.pictures.style import GRID, INK, LIGHT, SOFT
from train.studies.search.folder import DEFAULT, Folder
from train.studies.search.report import complete, importance, score_of, value_of
from train.studies.search.space import Space, read
from zoo.files import atomic_file

OCHRE, BRICK, BLUE, SLATE = LIGHT[0], LIGHT[1], LIGHT[4], LIGHT[7]
WIDEST = 4  # panels side by side


def write(folder: Folder, study: optuna.Study) -> list[Path]:
    """Write history.png and importance.png to the search folder."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    written = []
    for name, drawn in (("history", history(folder, study)), ("importance", fields(folder, study))):
        if drawn is not None:
            path = folder.path / f"{name}.png"
            with atomic_file(path) as temporary:
                FigureCanvasAgg(drawn).print_png(str(temporary))
            written.append(path)
    return written


def history(folder: Folder, study: optuna.Study) -> Any:
    """Return a matplotlib Figure of the score of each trial and the best so far; None before the first trial."""
    trials = [trial for trial in study.get_trials(deepcopy=False) if _score(folder, trial) is not None]
    if not trials:
        return None
    page = _page(9, 4.6)
    axes = page.subplots()
    _dress(axes, folder.metric)
    done = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    early = [trial for trial in trials if trial.state == TrialState.PRUNED]
    best, steps = -math.inf, []
    for trial in done:
        best = max(best, score_of(trial))
        steps.append((trial.number, value_of(folder, best)))
    if early:
        at = [(t.number, _score(folder, t)) for t in early]
        axes.plot(*zip(*at, strict=True), "x", color=SLATE, markersize=6, alpha=0.7, label="pruned")
    if done:
        axes.step(*zip(*steps, strict=True), where="post", color=BRICK, linewidth=1.6, label="best so far")
        at = [(t.number, value_of(folder, score_of(t))) for t in done]
        axes.plot(*zip(*at, strict=True), "o", color=BLUE, markersize=6, label="complete")
    for trial in done:
        if trial.user_attrs.get(DEFAULT):
            axes.axhline(
                value_of(folder, score_of(trial)),
                color=OCHRE,
                linewidth=1.2,
                linestyle="--",
                label="setting of the config",
            )
    axes.set_xlabel("Trial", color=SOFT, labelpad=8)
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.legend(frameon=False, labelcolor=SOFT, fontsize=9, loc="upper left", bbox_to_anchor=(1.01, 1))
    _heading(page, folder)
    return page


def fields(folder: Folder, study: optuna.Study) -> Any:
    """Return a matplotlib Figure of each field's importance and of the score against its value; None without complete
    trials.
    """
    done = complete(study)
    if not done:
        return None
    shares = importance(study)
    spaces = sorted(read(folder.experiment, folder.about.space), key=lambda space: -shares.get(space.name, 0))
    panels = len(spaces) + bool(shares)
    columns = min(panels, WIDEST)
    rows = -(-panels // columns)
    page = _page(3.6 * columns + 0.6, 3.5 * rows + 0.9)
    grid = list(page.subplots(rows, columns, squeeze=False).flat)
    if shares:
        _bars(grid[0], shares)
    early = [trial for trial in study.get_trials(deepcopy=False) if trial.state == TrialState.PRUNED]
    early = [trial for trial in early if _score(folder, trial) is not None]
    for axes, space in zip(grid[bool(shares) :], spaces, strict=False):
        _slice(axes, folder, space, done, early)
    for axes in grid[panels:]:
        axes.set_visible(False)
    _heading(page, folder)
    return page


def _bars(axes: Any, shares: dict[str, float]) -> None:
    names = list(shares)[::-1]
    _frame(axes)
    axes.grid(axis="y", visible=False)
    axes.barh(names, [shares[name] for name in names], color=BLUE, height=0.55)
    axes.set_xlim(0, 1.15)
    axes.set_xticks([])
    for place, name in enumerate(names):
        axes.text(shares[name] + 0.02, place, f"{100 * shares[name]:.0f} %", va="center", color=INK, size=9)
    axes.set_title("Importance", loc="left", size=10, color=SOFT, pad=10)


def _slice(axes: Any, folder: Folder, space: Space, done: list[FrozenTrial], early: list[FrozenTrial]) -> None:
    """Draw the score against the value of one field: dots are complete trials, crosses are pruned ones."""
    if space.kind == "choices":
        axes.set_xticks(range(len(space.choices)), space.choices)
        axes.set_xlim(-0.5, len(space.choices) - 0.5)
    elif space.log:
        _decades(axes, space)
    _dress(axes, folder.metric)
    scores = [value_of(folder, score_of(trial)) for trial in done]
    best = (_place(space, done[0]), scores[0])
    early_scores = [_score(folder, trial) for trial in early]
    axes.plot([_place(space, t) for t in early], early_scores, "x", color=SLATE, markersize=5, alpha=0.6)
    axes.plot([_place(space, trial) for trial in done], scores, "o", color=BLUE, markersize=5.5, alpha=0.75)
    axes.plot(*best, "o", color=BRICK, markersize=8)
    axes.annotate("best", best, (0, 8), textcoords="offset points", ha="center", color=BRICK, size=9)
    axes.margins(y=0.12)
    axes.set_xlabel(space.name, color=SOFT, labelpad=6, parse_math=False)


def _place(space: Space, trial: FrozenTrial) -> float:
    value = trial.params[space.name]
    return space.choices.index(value) if space.kind == "choices" else value


def _decades(axes: Any, space: Space) -> None:
    """Set a logarithmic axis over the whole space, with few labels in plain notation."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    wide = math.log10(space.high / space.low) >= 2
    axes.set_xscale("log")
    axes.set_xlim(space.low / 1.2, space.high * 1.2)
    axes.xaxis.set_major_locator(LogLocator(subs=(1,) if wide else (1, 2, 5)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())


def _score(folder: Folder, trial: FrozenTrial) -> float | None:
    """Return the metric of a complete trial, or the last one of a pruned trial if it is finite."""
    if trial.state == TrialState.COMPLETE:
        return value_of(folder, score_of(trial))
    last = trial.intermediate_values.get(trial.last_step) if trial.last_step is not None else None
    return (
        value_of(folder, last)
        if trial.state == TrialState.PRUNED and last is not None and math.isfinite(last)
        else None
    )


def _page(width: float, height: float) -> Any:
    from matplotlib.figure import Figure  # slow to import; no pyplot, so no global state

    page = Figure(figsize=(width, height), dpi=150, facecolor="white")
    page.set_layout_engine("constrained", w_pad=0.14, h_pad=0.12, wspace=0.04, hspace=0.06)
    return page


def _frame(axes: Any) -> None:
    axes.grid(color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(which="both", colors=SOFT, length=0, labelsize=9)
    axes.spines[:].set_visible(False)


def _dress(axes: Any, metric: str) -> None:
    from matplotlib.ticker import FuncFormatter

    _frame(axes)
    if is_share(metric):
        axes.yaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{100 * share:g} %"))
    name = title(metric)
    axes.set_title(f"{name[0].upper()}{name[1:]} on validation", loc="left", size=10, color=SOFT, pad=10)


def _heading(page: Any, folder: Folder) -> None:
    about = folder.about
    page.suptitle(
        f"Search of {folder.path.parent.name}", x=0.013, ha="left", size=16, color=INK, family="serif", parse_math=False
    )
    note = f"{', '.join(about.space)}. Sampler {about.sampler}, pruning {about.pruner}."
    page.supxlabel(note, x=0.013, ha="left", size=8.5, color=SOFT, parse_math=False)
