"""A run whose weights have a name: every command that takes the run's folder takes the name, and says the same."""

import json
import re
import shutil
from pathlib import Path
from types import ModuleType
from typing import Any

import jax
import numpy as np
import pytest
import tools_by_name
from flax.traverse_util import unflatten_dict
from PIL import Image
from sklearn.datasets import load_digits
from tokenizers import pre_tokenizers

import zoo
from train import cli
from train.config import Data, Experiment, Model
from train.loop import named as named_runs
from train.loop import restore, transfer
from zoo import UserError
from zoo.weights import layouts, store, table
from zoo.weights.fit import expected_shapes, inputs_for

NAME = "mlp.tiny"


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    return tools_by_name.tool("weights")


def named(tool: ModuleType, tmp: Path, args: str, name: str, *more: str) -> tuple[Path, Path]:
    """Train by a command line, and give the weights a name in a package of their own: (run, the package's folder)."""
    assert cli.run([*args.split(), "--workdir", str(tmp / "runs")]) == 0
    run = next((tmp / "runs").glob("*/*/config.json")).parent
    root = tmp / "zoo_weights_by_name"
    (root / "pretrained").mkdir(parents=True)
    (root / "__init__.py").touch()
    words = ["add", str(run), name, "--root", str(root), "--module", root.name, "--data-licence", "CC BY 4.0", *more]
    assert tool.main(words) == 0
    return run, root


@pytest.fixture(scope="module")
def mlp(tool: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    args = "train digits_mlp --steps 60 --eval-every-steps 60 --optim.warmup-steps 5 --model.widths 32"
    return named(tool, tmp_path_factory.mktemp("mlp"), args, NAME, "--intended-use", "reading digits of 8 x 8 pixels")


@pytest.fixture
def used(mlp: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    return use(mlp, tmp_path, monkeypatch)


def use(made: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """Let the table be that of the package, and the user be in an empty folder without a network."""
    _, root = made
    monkeypatch.syspath_prepend(str(root.parent))
    monkeypatch.setattr(table, "FILE", root / "pretrained.json")
    monkeypatch.setenv("ZOO_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("ZOO_OFFLINE", "1")
    monkeypatch.delenv(store.MIRROR, raising=False)
    monkeypatch.chdir(tmp_path)
    return made


def said(capsys: pytest.CaptureFixture[str], *args: object) -> str:
    assert cli.run([str(arg) for arg in args]) == 0
    return capsys.readouterr().out


def refused(capsys: pytest.CaptureFixture[str], *args: object) -> str:
    assert cli.run([str(arg) for arg in args]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    return line.removeprefix("zoo: ")


def test_the_row_says_how_the_weights_were_made(tool: ModuleType, used: tuple[Path, Path]) -> None:
    (row,) = zoo.list_pretrained("mlp")
    assert (row.name, row.default, row.licence) == (NAME, True, "Apache-2.0")
    assert row.trained_on == "digits (CC BY 4.0)"
    assert row.recipe is not None
    assert (row.recipe.config, row.recipe.seed, row.recipe.step, row.recipe.log) == (
        "digits_mlp",
        0,
        60,
        "metrics.jsonl",
    )
    assert row.figure is not None
    assert (row.figure.metric, row.figure.unit, row.figure.seeds, row.figure.mean) == ("accuracy", "%", 1, None)
    assert tool.over_seeds([None], {"value": 3.0}) == {"seeds": 1}
    assert str(row.figure._replace(seeds=3, mean=90.12, spread=0.5)).endswith("% (90.12 ± 0.5, n = 3)")
    assert list(row.files) == [
        "model.safetensors",
        "data.json",
        "metrics.jsonl",
        "picture.png",
        "run.json",
        "summary.json",
    ]
    loaded = zoo.pretrained("mlp")
    assert loaded.labels == tuple(map(str, range(10)))
    run = zoo.load_model("mlp", used[0])
    jax.tree.map(np.testing.assert_array_equal, loaded.variables, run.variables)


def test_the_card_says_what_the_weights_are_for_and_what_they_get_wrong(
    used: tuple[Path, Path], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "500")
    printed = said(capsys, "show", NAME)
    (row,) = zoo.list_pretrained("mlp")
    assert row.figure is not None
    wrong = round(359 * (1 - row.figure.value / 100))
    assert "Intended use: reading digits of 8 x 8 pixels\n" in printed
    assert "Trained on: digits (CC BY 4.0)\n" in printed
    assert re.search(rf"Gets wrong: {wrong} of the 359 test examples, most often \d as \d \(\d+\)", printed)
    assert re.search(r"Recipe: zoo train digits_mlp --seed 0, step 60, \w{40}\n", printed)
    assert "(n = 1) on the test split of digits, by zoo eval mlp.tiny\n" in printed
    picture = next(line for line in printed.splitlines() if line.startswith("Picture: ")).removeprefix("Picture: ")
    with Image.open(picture) as image:
        assert image.size[0] > 300


def test_a_card_is_made_again(tool: ModuleType, used: tuple[Path, Path]) -> None:
    _, root = used
    before, picture = (root / "pretrained.json").read_text(), root / "pretrained" / NAME / "picture.png"
    changed = json.loads(before)
    changed["rows"][NAME] |= {"fails_on": "", "picture": None}
    (root / "pretrained.json").write_text(json.dumps(changed))
    assert tool.main(["card", NAME, "--root", str(root)]) == 0
    assert json.loads((root / "pretrained.json").read_text()) == json.loads(before)
    assert picture.stat().st_size < 40_000
    store.check(table.require(NAME), picture.parent)


def test_one_command_measures_the_figure_again(
    tool: ModuleType, used: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = named_runs.load_or_named(NAME)
    setup, state = restore.restore(run, "best")
    evaluate = setup.evaluator("test", None)
    assert evaluate is not None
    figure = table.require(NAME).figure
    assert figure is not None
    assert 100 * evaluate(state)["accuracy"] == pytest.approx(figure.value, abs=1e-4)
    printed = said(capsys, "eval", NAME)
    assert f"{figure.value:.2f} %" in printed
    assert tool.main(["check"]) == 0
    assert capsys.readouterr().out == f"mlp.tiny: accuracy {figure.value:g} %, in the table {figure.value:g} (+0)\n"
    assert "step 60" in printed
    there = sorted(path.name for path in (tmp_path / "runs" / "pretrained" / NAME / "samples").iterdir())
    assert there == ["confusion.json", "confusion_test.png", "confusion_validation.png"]
    assert sorted(path.name for path in store.folder_of(table.require(NAME)).iterdir()) == sorted(
        table.require(NAME).files
    )


def test_a_digit_is_predicted_by_name(
    used: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Image.fromarray((load_digits().images[3] * 255 / 16).astype(np.uint8)).save(tmp_path / "three.png")
    by_name = said(capsys, "predict", "three.png", "--weights", NAME)
    assert by_name == said(capsys, "predict", "three.png", "--weights", "mlp")
    assert by_name == said(capsys, "predict", "three.png", "--weights", used[0])
    said(capsys, "export", NAME, "out.npz")
    jax.tree.map(
        np.testing.assert_array_equal, zoo.load_model("mlp", "out.npz").variables, zoo.pretrained("mlp").variables
    )


def test_training_starts_from_a_name(used: tuple[Path, Path]) -> None:
    experiment = Experiment(Model("mlp", {"widths": (32,)}), Data("digits"), init_from="mlp")
    assert transfer.is_published("mlp")
    assert restore.starting_run(experiment) is None
    weights = transfer._published(experiment, "mlp")
    expected = zoo.pretrained("mlp").variables["params"]["head"]["kernel"]
    np.testing.assert_array_equal(weights.arrays["params/net/head/kernel"], expected)
    with pytest.raises(UserError, match=r"no file or folder at mlp.tin, and no weights of that name: did you mean"):
        transfer.is_published("mlp.tin")


def test_the_commands_for_weights(
    used: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert f"{NAME}: {used[1] / 'pretrained' / NAME} is right, by the SHA-256 in the table" in said(
        capsys, "weights", "verify"
    )
    printed = said(capsys, "weights", "fetch", "mlp*", "--to", "stick")
    assert printed == f"{NAME}: stick/{NAME}, checked by the SHA-256 in the table; licence Apache-2.0\n"
    assert "is right" in said(capsys, "weights", "verify", "mlp", "--in", "stick")
    assert said(capsys, "weights", "verify") != said(capsys, "weights", "verify", "--in", tmp_path)
    monkeypatch.setenv(store.MIRROR, "stick")
    assert f"{NAME}: stick/{NAME}" in said(capsys, "weights", "fetch", NAME)
    (tmp_path / "stick" / NAME / "model.safetensors").write_bytes(b"x")
    for words in (("weights", "verify"), ("predict", "x.png", "--weights", NAME)):
        Image.new("L", (8, 8)).save(tmp_path / "x.png")
        assert f"stick/{NAME}/model.safetensors has 1 bytes, and" in refused(capsys, *words)
    monkeypatch.setenv(store.MIRROR, "nowhere")
    assert refused(capsys, "weights", "verify") == "ZOO_WEIGHTS: there is no folder nowhere"
    shown = said(capsys, "show", NAME)
    for line in ("Model: mlp, widths=(32,)", "Licence: Apache-2.0", "Recipe: zoo train digits_mlp --seed 0, step 60, "):
        assert line in shown
    assert f"Weights by name: {NAME}; zoo show {NAME} says whose they are." in said(capsys, "show", "mlp")
    table_of = said(capsys, "list", "--pretrained")
    assert NAME in table_of
    assert "package:zoo_weights_by_name" in table_of
    (row,) = json.loads(said(capsys, "list", "--pretrained", "m*", "--json"))
    assert (row["name"], row["recipe"]["config"]) == (NAME, "digits_mlp")


BAD_INPUT = [
    ("weights fetch", "usage: zoo weights fetch NAME"),
    ("weights get mlp", "usage: zoo weights fetch NAME"),
    ("weights fetch mlp --form x", "usage: zoo weights fetch NAME"),
    ("weights fetch mlpp", "unknown weights 'mlpp': did you mean mlp"),
    ("weights fetch nothing*", "unknown weights 'nothing*'"),
    ("weights verify mlp --in nowhere", "mlp.tiny is not in nowhere: zoo weights fetch mlp.tiny"),
    ("list --pretrained a b", "usage: zoo list"),
    ("list --pretrained --losses", "usage: zoo list"),
    ("list --pretrained nothing", "unknown weights 'nothing'"),
    ("list --pretrained lenet5", "lenet5 has no weights by name"),
    ("eval mlp.tin", "no file or folder at mlp.tin, and no weights of that name: did you mean mlp.tiny"),
    ("eval nowhere", "no run folder at nowhere"),
    ("export mlp out.npz", "or give the folder of a run; zoo list --pretrained has mlp.tiny"),
    ("play mlp", "zoo play needs the run of an agent, and"),
    ("sample mlp", "is of the task 'classify', not 'language': use zoo eval"),
    ("train --resume mlp", "no run folder at mlp"),
]


@pytest.mark.parametrize(("command", "message"), BAD_INPUT, ids=[command for command, _ in BAD_INPUT])
def test_bad_input_is_one_line(
    command: str, message: str, used: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert message in refused(capsys, *command.split())


def variables_of(model: Any) -> dict[str, Any]:
    shapes = expected_shapes(model, inputs_for(zoo.weights.fit.card_of(model), model.cfg, layouts.own(type(model)), {}))
    draw = np.random.default_rng(0)
    return unflatten_dict({path: draw.normal(size=s).astype(np.float32) for path, s in shapes.items()}, sep="/")


def published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, fields: dict[str, Any], *files: str) -> None:
    """Let the table have one row of a tiny network that was not trained here; `files` lie in `tmp_path`."""
    folder = tmp_path / "stick" / name
    model = zoo.create(name.partition(".")[0], **fields)
    shutil.copytree(zoo.save_weights(tmp_path / "whole", model, variables_of(model), layout="huggingface"), folder)
    for file in files:
        shutil.copyfile(tmp_path / file, folder / file)
    there = ["model.safetensors", "config.json", *files]
    row = table.Row(
        name=name,
        card=name.partition(".")[0],
        files={file: table.FileFacts(sha256=store.sha256_of(folder / file)) for file in there},
        source="hf://owner/name",
        revision="0" * 40,
        licence="mit",
        trained_on="noise",
        layout="huggingface",
        fields=fields,
        default=True,
    )
    monkeypatch.setattr(table, "current", lambda: table.Table({name: row}, {}))
    monkeypatch.setenv(store.MIRROR, str(tmp_path / "stick"))


def test_a_published_language_model_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    (tmp_path / "vocab.json").write_text(json.dumps({letter: i for i, letter in enumerate(letters)}))
    (tmp_path / "merges.txt").write_text("#version: 0.2\n")
    fields = {"width": 16, "depth": 1, "heads": 2, "vocab": 256, "context": 8}
    published(tmp_path, monkeypatch, "gpt2.tiny", fields, "vocab.json", "merges.txt")
    written = said(capsys, "sample", "gpt2", "--prompt", "the cat", "--length", 3, "--temperature", 0)
    assert written == said(capsys, "sample", "gpt2.tiny", "--prompt", "the cat", "--length", 3, "--temperature", 0)
    assert written.strip()
    message = refused(capsys, "fill", "gpt2", "a [MASK]")
    assert message == "gpt2.tiny is a gpt2, and no model that fills masks: zoo predict … --weights gpt2.tiny"
    assert "gpt2.tiny has no run, it was not trained here" in refused(capsys, "eval", "gpt2")


def test_published_weights_fill_masks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "cat", "sat"]
    (tmp_path / "vocab.txt").write_text("\n".join(words))
    fields = {"width": 16, "depth": 1, "heads": 2, "vocab": len(words), "context": 8, "head": "pretrain"}
    published(tmp_path, monkeypatch, "bert_mini.tiny", fields, "vocab.txt")
    filled = said(capsys, "fill", "bert_mini", "the [MASK] sat", "--top", 1).split()
    predicted = said(capsys, "predict", "the [MASK] sat", "--weights", "bert_mini", "--top", 1).split()
    assert filled[-1] == predicted[1]
    assert refused(capsys, "sample", "bert_mini") == (
        "bert_mini.tiny is a bert_mini, and no model that continues texts: zoo predict … --weights bert_mini.tiny"
    )


def test_a_language_model_writes_by_name(
    tool: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    args = "train python_docs_gpt_char_mini --steps 2 --eval-every-steps 2 --data.batch 2 --data.length 16"
    args += " --optim.warmup-steps 0 --model.depth 1 --model.width 16 --model.heads 2"
    run, _ = use(named(tool, tmp_path, args, "gpt_char_mini.tiny"), tmp_path, monkeypatch)
    words = ("--length", 5, "--temperature", 0, "--prompt", "the ")
    capsys.readouterr()
    assert said(capsys, "sample", "gpt_char_mini.tiny", *words) == said(capsys, "sample", run, *words)
    assert "tokenizer.json" in table.require("gpt_char_mini").files


def test_an_agent_plays_by_name(
    tool: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    args = "train cartpole_dqn --steps 4 --eval-every-steps 4 --data.batch 8 --task.replay 40 --task.replay-start 20"
    run, _ = use(named(tool, tmp_path, f"{args} --task.eval-episodes 2", "dqn_mlp.tiny"), tmp_path, monkeypatch)
    capsys.readouterr()
    by_name = said(capsys, "play", "dqn_mlp.tiny", "--episodes", 2)
    assert "return over 2 episodes" in by_name
    assert (tmp_path / "runs" / "pretrained" / "dqn_mlp.tiny" / "samples" / "play.gif").is_file()
    by_run = said(capsys, "play", run, "--episodes", 2)
    line = next(line for line in by_name.splitlines() if line.startswith("return over"))
    assert line in by_run.splitlines()


def test_a_pair_makes_images_by_name(
    tool: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    args = "train digits_gan --steps 2 --eval-every-steps 2 --data.batch 8 --optim.warmup-steps 0"
    run, _ = use(named(tool, tmp_path, args, "gan.tiny"), tmp_path, monkeypatch)
    capsys.readouterr()
    by_name = said(capsys, "sample", "gan.tiny", "--n", 4).strip()
    by_run = said(capsys, "sample", run, "--n", 4, "--checkpoint", "best").strip()
    assert by_name == "runs/pretrained/gan.tiny/samples/sample_4_seed0.png"
    np.testing.assert_array_equal(np.asarray(Image.open(by_name)), np.asarray(Image.open(by_run)))
