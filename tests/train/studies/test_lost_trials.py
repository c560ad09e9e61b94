"""The trials of dead processes of a search are tried again."""

import pytest

optuna = pytest.importorskip("optuna", reason="the extra `search` is not installed")

from pathlib import Path  # noqa: E402

import train.loop.run  # noqa: E402
from train.config import Data, Experiment, Model, Optim  # noqa: E402
from train.studies.search import report  # noqa: E402
from train.studies.search.folder import TRIES, About, Folder, Worker  # noqa: E402
from train.studies.search.samplers import distribution  # noqa: E402
from train.studies.search.space import read  # noqa: E402

EXPERIMENT = Experiment(Model("mlp", {"widths": (8,)}), Data("digits", batch=32), Optim("momentum", lr=0.01), steps=12)


def begun(path: Path, trials: int, sampler: str = "random") -> Folder:
    about = About("digits_mlp", ("optim.lr=log:1e-3..1e-1",), sampler, "none")
    made = Folder(train.loop.run.create("digits_mlp", EXPERIMENT, path), about, trials, 1, "accuracy")
    made.write()
    return made


def _space(folder: Folder) -> dict:
    return {space.name: distribution(space) for space in read(folder.experiment, folder.about.space)}


def test_a_search_whose_processes_die_tries_the_same_settings(tmp_path) -> None:
    """At any trial, the config's own included, also while a setting is drawn, and several times at the same one."""
    whole, killed = begun(tmp_path / "whole", trials=12, sampler="tpe"), begun(tmp_path, trials=12, sampler="tpe")
    first = {space.name: space.now(whole.experiment) for space in read(whole.experiment, whole.about.space)}
    settings = []
    with Worker(whole, whole.study(), _space(whole), first) as worker:
        while asked := worker.ask(1):
            settings.append(asked[0].params)
            worker.study.tell(asked[0], sum(asked[0].params.values()))
    deaths = [0, 3, 3, 7, 11]  # trials that have ended before each
    told, default = [], []
    for death in [*deaths, 12]:
        with Worker(killed, killed.study(), _space(killed), first) as worker:
            while len(told) < death and (asked := worker.ask(1)):
                told.append(asked[0].params)
                default += [asked[0].user_attrs.get("default", False)]
                asked[0].set_user_attr("validation", {})
                worker.study.tell(asked[0], sum(asked[0].params.values()))
            if death == 7:
                worker.study.ask({})  # killed while its setting was drawn
            worker.ask(1)  # killed before it is told: leaving the process marks it as failed, like a dead one's
    assert told == settings
    assert default == [True] + [False] * 11
    assert report.summary(killed, killed.study())["default"]["setting"] == settings[0]


def test_a_setting_that_kills_every_process_is_given_up(tmp_path) -> None:
    folder = begun(tmp_path, trials=2)
    tried = []
    for _ in range(TRIES + 1):
        with Worker(folder, folder.study(), _space(folder), {}) as worker:
            tried += [trial.params for trial in worker.ask(1)]
    assert tried[:TRIES] == [tried[0]] * TRIES
    assert tried[TRIES] != tried[0]
