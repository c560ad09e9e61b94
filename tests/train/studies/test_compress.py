"""`zoo compress`: a smaller network that is measured as it is, and comes back from its file."""

import dataclasses
import json
from pathlib import Path

import jax
import numpy as np
import pytest
from rich.console import Console

import train.loop.run
from train import cli
from train.commands.compress import take_apart
from train.config import Data, Experiment, Language, Masked, Model, Optim, Text, Translate
from train.core import State
from train.loop.fit import fit
from train.loop.restore import restore
from train.loop.run import Run
from train.studies.compress.curve import _flops, levels
from train.tasks.assemble import assemble
from zoo import low_rank
from zoo.errors import UserError

EXPERIMENT = Experiment(
    model=Model("mlp", {"widths": (48, 32)}),
    data=Data("digits", batch=64),
    optim=Optim("adam", lr=5e-3, ema=0.9),
    steps=60,
    eval_every_steps=30,
)


def trained(experiment: Experiment, folder: Path) -> Run:
    run = train.loop.run.create("digits", experiment, folder)
    fit(run, assemble(experiment), Console(quiet=True))
    return run


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Run:
    return trained(EXPERIMENT, tmp_path_factory.mktemp("compress"))


def test_what_is_written_is_smaller_and_what_was_measured(run: Run, capsys, monkeypatch) -> None:
    monkeypatch.setattr("train.studies.compress.curve.ROUND_SECONDS", 0.0)
    assert cli.run(["compress", str(run.path), "--energy", "0.8"]) == 0
    said = capsys.readouterr().out
    stem = run.path / "compressed_energy0.8"
    found = json.loads(stem.with_name(stem.name + ".json").read_text())
    full, chosen = found["full"], found["chosen"]
    assert chosen["params"] < full["params"] == assemble(EXPERIMENT).params
    assert chosen["flops"] < full["flops"] == assemble(EXPERIMENT).flops
    assert f"{chosen['params']:,} of {full['params']:,} parameters" in said
    model, variables = low_rank.load(stem.with_name(stem.name + ".safetensors"))
    assert sum(leaf.size for leaf in jax.tree.leaves(variables)) == chosen["params"]
    parts, state = restore(run)
    task_inputs = parts.dataset.test.arrays()
    x = (task_inputs["x"].astype(np.float32) / 255 - parts.dataset.mean) / parts.dataset.std
    logits = jax.jit(lambda variables, x: low_rank.apply(model, variables, x, train=False))(variables, x)
    assert float((logits.argmax(-1) == task_inputs["y"]).mean()) == pytest.approx(chosen["test"]["accuracy"], abs=1e-6)
    summary = train.loop.run.read_summary(run.path)
    for split in ("validation", "test"):  # the averaged weights, as everywhere
        assert full[split]["loss"] == pytest.approx(summary.replicas[0].on(split)["loss"], rel=1e-4)
    kept = [point["params"] for point in found["curve"]]
    assert kept == sorted(kept)
    assert stem.with_name(stem.name + ".png").read_bytes()[:4] == b"\x89PNG"
    assert float(state.step) == found["step"] == 60


@pytest.mark.slow
def test_ranks_in_place_of_an_energy(run: Run, capsys, monkeypatch, tmp_path) -> None:
    monkeypatch.setattr("train.studies.compress.curve.ROUND_SECONDS", 0.0)
    assert cli.run(["compress", str(run.path), "--rank", "5", "--out", str(tmp_path / "new")]) == 0
    assert "ranks: hidden0 5, hidden1 5, head 5" in capsys.readouterr().out
    found = json.loads((tmp_path / "new" / "compressed_rank5.json").read_text())
    assert [point["rank"] for point in found["curve"]] == [1, 2, 4, 5, 8, 16, 32]
    assert found["curve"][-1]["params"] == found["full"]["params"]
    assert found["curve"][-1]["validation"] == pytest.approx(found["full"]["validation"], rel=1e-5)


def test_the_chosen_energy_is_among_those_drawn(run: Run) -> None:
    network = take_apart(run, *restore(run))
    assert {"energy": 0.42} in levels(network, 0.42, None)
    assert levels(network, 0.9, None) == levels(network, 0.95, None)


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--energy", "0"], "--energy must be above 0 and at most 1, not 0"),
        (["--energy", "1.5"], "--energy must be above 0 and at most 1, not 1.5"),
        (["--energy", "nan"], "--energy must be above 0 and at most 1, not nan"),
        (["--rank", "0"], "--rank must be at least 1, not 0"),
        (["--rank", "3", "--energy", "0.5"], "--energy and --rank exclude each other"),
    ],
)
def test_what_cannot_be_is_one_line(run: Run, words: list[str], line: str, capsys) -> None:
    assert cli.run(["compress", str(run.path), *words]) == 2
    assert capsys.readouterr().err == f"zoo: {line}\n"


LONG = "the cat sat\tthe dog sat on it\n"
ON_TEXT = {
    "language": (Model("gpt_char_mini", {"width": 16, "depth": 1, "heads": 2}), "text", Language()),
    "translate": (Model("transformer_mini", {"width": 16, "depth": 1, "heads": 2, "hidden": 16}), "tsv", Translate()),
    "masked": (Model("bert_tiny", {"width": 16, "depth": 1, "heads": 2, "context": 16}), "text", Masked()),
}


@pytest.mark.parametrize("name", ON_TEXT)
def test_texts_are_counted_and_timed_at_the_length_of_training(name: str, tmp_path: Path) -> None:
    """The network is found by a call of its own inputs, not by that of two tokens which initializes it."""
    model, kind, task = ON_TEXT[name]
    file = tmp_path / ("pairs.tsv" if kind == "tsv" else "text.txt")
    file.write_text("".join(LONG.replace("cat", f"cat {i}") for i in range(60)))
    tokenizer = "wordpiece" if name == "masked" else "char"
    data = Text(f"{kind}:{file}", 4, tokenizer, length=16)
    experiment = Experiment(model, data, Optim("sgd", lr=0.1), 4, 4, task)
    parts = assemble(experiment)
    draw = np.random.default_rng(0)
    state = jax.tree.map(lambda leaf: draw.normal(size=leaf.shape).astype(leaf.dtype), parts.abstract)
    network = take_apart(Run(tmp_path, experiment), parts, state)
    assert _flops(network, {"params": network.params, **network.statistics}) == parts.flops
    assert network.batch == 4
    shapes = {leaf.shape for leaf in jax.tree.leaves(network.call.kwargs) if hasattr(leaf, "shape")}
    assert shapes == {(1, 16)}


def test_runs_without_such_kernels_are_refused(run: Run, tmp_path, capsys) -> None:
    narrow = dataclasses.replace(EXPERIMENT, model=Model("mlp", {"widths": (1,)}), steps=1, eval_every_steps=1)
    assert cli.run(["compress", str(trained(narrow, tmp_path).path)]) == 2
    assert "mlp has no dense kernel or 1x1 convolution that factors would make smaller" in capsys.readouterr().err
    parts, state = restore(run)
    pair = State(state.step, {"gen": {}, "disc": {}}, {}, {})
    with pytest.raises(UserError, match="works on one network, and this run has gen, disc"):
        take_apart(run, parts, pair)
    with pytest.raises(UserError, match="measures a network on its data"):
        take_apart(run, parts, State(state.step, {"q": {}}, {}, {}))
