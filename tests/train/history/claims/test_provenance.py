"""A result says by which commit, code, data and machine it was made, and whether its code has changed since."""

import dataclasses
from pathlib import Path

import pytest
from repositories import commit_all
from rich.console import Console

from train import cli
from train.config import Data, Experiment, Model, files
from train.history.claims import Claim, Effect, FunctionArm, Metric, TrainedArm, provenance, results
from train.history.claims import files as claim_files
from train.history.claims.claim_run import ClaimRun

FILE = """
from train.history.claims import Claim, Effect, FunctionArm, Metric
arms = {"a": FunctionArm("a", float), "b": FunctionArm("b", lambda s: s + 100.0)}
CLAIM = Claim(1990, "N", "https://e.org", "It.", arms, (Effect("a", "b", "lower", "less", margin=0.1),), Metric("x"),
              models=("perceptron",), seeds=3)
"""
MLP = Experiment(Model("mlp", {"widths": (4,)}), Data("digits", batch=8), steps=2, eval_every_steps=2)
LOWER = Effect("a", "b", "lower", "less", margin=0.1)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of one claim, `mine`, whose perceptron is a file of four lines that a test may change."""
    for name in ("configs/claims/mine.py", "zoo/perceptron.py", "zoo/fields.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / "configs" / "claims" / "mine.py").write_text(FILE)
    (tmp_path / "zoo" / "perceptron.py").write_text('"""Doc."""\nfrom zoo.fields import check\nA = 1  # one\n')
    (tmp_path / "zoo" / "fields.py").write_text("def check():\n    return 1\n")
    monkeypatch.setattr(provenance, "ROOT", tmp_path)
    monkeypatch.setattr(files, "FOLDER", tmp_path / "configs")
    monkeypatch.setattr("train.history.claims.picture.save", lambda *_: None)
    monkeypatch.setattr(results, "FILE", tmp_path / "results" / "claims.json")
    for function in (results.record, results.read):
        monkeypatch.setattr(function, "__defaults__", (results.FILE,))
    return tmp_path


def claim(*words: str) -> int:
    return cli.run(["claim", *words])


def test_a_result_whose_code_has_changed_is_shown_as_stale_with_the_command_that_renews_it(
    project: Path, capsys
) -> None:
    commit_all(project)
    assert claim("mine", "--record", "--workdir", str(project / "runs")) == 0
    found = results.read()["mine"]
    assert set(found["code"]) == {"zoo/perceptron.py", "zoo/fields.py"}
    assert (len(found["commit"]), found["clean"]) == (40, True)
    assert {"python", "jax", "flax", "optax", "numpy"} == set(found["versions"])
    assert found["machine"]
    assert "Made at commit: " + found["commit"][:12] in capsys.readouterr().out
    model, other = project / "zoo" / "perceptron.py", project / "zoo" / "fields.py"
    model.write_text('"""Other words."""\nfrom zoo.fields import check\n\nA = 1\n')
    assert claim_files.stale(found) == ""  # words and comments are no code
    other.write_text("def check():\n    return 2\n")
    assert claim_files.stale(found) == "of earlier code (zoo/fields.py)"
    assert claim("--markdown") == 0
    assert "| holds; of earlier code (zoo/fields.py) |" in capsys.readouterr().out
    assert claim("--list", "--workdir", str(project / "elsewhere")) == 0
    assert "of earlier code (zoo/fields.py): zoo claim mine --record" in " ".join(capsys.readouterr().out.split())
    assert claim("mine", "--record", "--workdir", str(project / "runs")) == 0
    assert claim_files.stale(results.read()["mine"]) == ""
    assert results.read()["mine"]["clean"] is False
    assert "with changes that are not committed" in " ".join(capsys.readouterr().out.split())


def test_a_file_that_is_in_no_repository_has_no_commit_and_is_not_recorded(project: Path, capsys) -> None:
    where = ("--workdir", str(project / "runs"))
    assert claim("mine", "--record", *where) == 2
    error = capsys.readouterr().err
    assert error == (
        f"zoo: {project / 'configs' / 'claims' / 'mine.py'} is in no git repository with a commit: its result cannot "
        "be recorded\n"
    )
    assert not (project / "runs").exists()  # said before the hours that the claim may take
    assert claim("mine", *where) == 0
    assert "Made at commit: none" in capsys.readouterr().out
    (project / ".gitignore").write_text("configs\n")
    commit_all(project)
    assert claim("mine", "--record", *where) == 2  # as an installed package in somebody's repository
    assert provenance.repository(project / "zoo" / "fields.py")["clean"] is True


def test_changed_files_are_named_the_first_of_them() -> None:
    assert provenance.named(["a", "b"]) == "a, b"
    assert provenance.named(list("abcde")) == "a, b, c and 2 more"


def test_the_code_of_a_claim_is_that_of_its_models_tasks_data_and_algorithms() -> None:
    arms = {name: TrainedArm(name, dataclasses.replace(MLP, seed=i)) for i, name in enumerate("ab")}
    trained = Claim(1990, "N", "https://e.org", "It.", arms, (LOWER,), "train loss")
    found = provenance.code(trained)
    for file in ("zoo/mlp.py", "zoo/layers.py", "train/tasks/classify/task.py", "train/data/images/catalog.py",
                 "train/algorithms/optimizers.py"):  # fmt: skip
        assert file in found
    assert not {"zoo/resnet.py", "zoo/errors.py", "train/data/scenes/compose.py", "train/loop/fit.py"} & set(found)
    computed = {name: FunctionArm(name, float) for name in "ab"}
    assert provenance.code(dataclasses.replace(trained, arms=computed, metric=Metric("x"))) == {}


def test_the_code_of_a_claim_about_images_has_no_file_of_texts_or_scenes() -> None:
    folders = ("train/data/text/", "train/data/scenes/")
    used = {name: provenance.code(claim_files.load_claim(name)[0]) for name in ("lenet", "gpt_scaling", "vit_data")}
    found = {
        name: [folder for folder in folders if any(file.startswith(folder) for file in used[name])] for name in used
    }
    assert found == {"lenet": [], "gpt_scaling": [folders[0]], "vit_data": [folders[1]]}


def test_runs_of_other_code_are_used_and_said_so_but_not_for_a_record(tmp_path: Path, monkeypatch) -> None:
    arms = {name: TrainedArm(name, dataclasses.replace(MLP, seed=i)) for i, name in enumerate("ab")}
    trained = Claim(1990, "N", "https://e.org", "It.", arms, (LOWER,), "train loss", seeds=1)

    def run(**options: bool) -> dict:
        return ClaimRun("mine", trained, tmp_path, Console(quiet=True), **options).run()

    first = run()
    assert list(first["data"]) == ["digits"]
    files_of_runs = sorted(tmp_path.glob("*/*/code.json"))
    assert len(files_of_runs) == 2
    files_of_runs[0].write_text(files_of_runs[0].read_text().replace(first["code"]["zoo/mlp.py"], "other"))
    assert run()["code"] == first["code"] | {"zoo/mlp.py": "other"}
    assert provenance.changed(run()) == ["zoo/mlp.py"]
    assert len(list(tmp_path.glob("*/*/code.json"))) == 2
    again = run(current=True)
    assert len(list(tmp_path.glob("*/*/code.json"))) == 3
    assert (again["code"], again["data"]) == (first["code"], first["data"])
