"""A user's own config file: how it is loaded, hashed and trusted, and one line for whatever is wrong with it."""

import dataclasses
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import jax
import numpy as np
import own_parts
import pytest
from flax import linen as nn

import train.data
import train.data.images
import train.loop.run
import zoo
from train import cli
from train.config import Data, Experiment, Model, World, files, source, trust
from train.data import worlds
from zoo.errors import UserError

PLAIN = """\
from train.config import Data, Experiment, Model
CONFIG = Experiment(Model("mlp"), Data("digits"), steps=STEPS)
"""


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Each test has its own trust store and leaves no registered name behind."""
    monkeypatch.setenv("ZOO_DATA_DIR", str(tmp_path / "data"))
    yield
    own_parts.forget()


def run_of(config: Path, workdir: Path) -> Path:
    """A run folder as `zoo train config` makes it, without training."""
    return train.loop.run.create("my", files.load(str(config)), workdir, source=files.source_of(config)).path


# The loader


def test_a_file_finds_the_modules_beside_it_and_stays_in_sys_modules(tmp_path: Path):
    (tmp_path / "beside.py").write_text("STEPS = 7\n")
    text = f"from __future__ import annotations\nimport sys\nfrom beside import STEPS\nPATH = list(sys.path)\n{PLAIN}"
    text += "import dataclasses\n@dataclasses.dataclass\nclass Mine:\n    x: int = 1\n"
    (tmp_path / "my.py").write_text(text)
    assert files.load(str(tmp_path / "my.py")).steps == 7
    module = sys.modules["zoo_config_my"]
    assert module.PATH[0] == str(tmp_path)
    assert str(tmp_path) not in sys.path
    assert not list(tmp_path.glob("__pycache__"))  # and so nothing stale is ever read


def test_help_of_an_own_file_shows_the_fields_of_its_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as stop:
        cli.run(["train", str(own_parts.write(tmp_path)), "--help"])
    assert not stop.value.code
    assert "--model.width INT" in capsys.readouterr().out


def test_the_same_file_can_be_loaded_twice_and_after_it_changed(tmp_path: Path):
    path = own_parts.write(tmp_path)
    first = files.load(str(path))
    assert files.load(str(path)) is first
    path.write_text(path.read_text().replace("width: int = 8", "width: int = 9"))
    files.load(str(path))
    assert zoo.card("mine").config.width == 9
    (tmp_path / "made.py").write_text(own_parts.MADE.replace("180", "90"))
    files.load(str(path))
    halved = train.data.load(Data("squares", validation=0))
    assert len(halved.train) + len(halved.test) == 90


def test_two_folders_may_each_have_a_module_of_the_same_name(tmp_path: Path):
    for steps, name in ((3, "a"), (4, "b")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "beside.py").write_text(f"STEPS = {steps}\n")
        (tmp_path / name / "my.py").write_text("from beside import STEPS\n" + PLAIN)
    assert [files.load(str(tmp_path / name / "my.py")).steps for name in "ab"] == [3, 4]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x = (\n", "line 1: SyntaxError: '(' was never closed"),
        ("import zoo\n\nnope + 1\n", "line 3: NameError: name 'nope' is not defined"),
        ("import json\njson.loads('{')\n", "line 2: JSONDecodeError: Expecting property name"),
        ("import gone_for_good\n", "line 1: ModuleNotFoundError: No module named 'gone_for_good'"),
        ("import importlib\nimportlib.import_module('beside')\n", "write import beside"),
        ("x = 1\n", "defines no CONFIG"),
        ("import zoo\nzoo.create('mpl')\n", "did you mean mlp?"),
    ],
)
def test_what_is_wrong_in_a_file_is_one_line(text: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (tmp_path / "beside.py").write_text("STEPS = 7\n")
    (tmp_path / "my.py").write_text(text)
    assert cli.run(["train", str(tmp_path / "my.py")]) == 2
    line = capsys.readouterr().err
    assert said in line
    assert line.count("\n") == 1
    if "SyntaxError" in said or "Error:" in said:
        assert str(tmp_path / "my.py") in line


# Hash and trust


def test_the_hash_covers_the_file_and_the_modules_that_it_imports(tmp_path: Path):
    (tmp_path / "pack").mkdir()
    (tmp_path / "pack" / "__init__.py").write_text("from . import inner\n")
    (tmp_path / "pack" / "inner.py").write_text("def f():\n    import deep\n")
    for name in ("deep", "other", "zoo"):
        (tmp_path / f"{name}.py").write_text("x = 1\n")
    (tmp_path / "my.py").write_text("import numpy, zoo\nimport pack.inner\n")
    own = source.read(tmp_path / "my.py")
    names = {file.relative_to(tmp_path).as_posix() for file in own.files}
    assert names == {"my.py", "pack/__init__.py", "pack/inner.py", "deep.py"}
    for name in (*names, "other.py"):
        before = source.read(tmp_path / "my.py").sha256
        with open(tmp_path / name, "a") as file:
            file.write("# changed\n")
        assert (source.read(tmp_path / "my.py").sha256 != before) == (name != "other.py")


def test_the_hash_is_the_same_wherever_the_folder_lies(tmp_path: Path):
    one, two = (source.read(own_parts.write(tmp_path / name)) for name in ("one", "two"))
    assert one.sha256 == two.sha256


def test_what_the_user_runs_is_trusted_at_that_path_with_that_content(tmp_path: Path):
    path = own_parts.write(tmp_path / "own")
    own = source.read(path)
    assert not trust.is_trusted(path, own.sha256)
    files.load(str(path))
    assert trust.is_trusted(path, own.sha256)
    assert not trust.is_trusted(tmp_path / "elsewhere" / "my.py", own.sha256)
    assert not trust.is_trusted(path, "0" * 64)
    trust.store().write_text("{damaged")
    assert not trust.is_trusted(path, own.sha256)


def test_a_folder_that_cannot_be_written_is_said_and_nothing_stops(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("ZOO_DATA_DIR", str(tmp_path / "file"))
    files.load(str(own_parts.write(tmp_path / "own")))
    assert "later commands need --config" in capsys.readouterr().err


def test_config_json_names_the_file_and_a_run_loads_it_again(tmp_path: Path):
    path = own_parts.write(tmp_path / "own")
    run = run_of(path, tmp_path)
    kept = json.loads((run / "config.json").read_text())["config_file"]
    assert kept["path"] == str(path)
    assert kept["sha256"] == source.read(path).sha256
    assert kept["registers"] == ["data set squares", "loss far", "model mine"]
    own_parts.forget()
    assert "mine" not in zoo.CARDS
    assert train.loop.run.load(run).experiment.model.name == "mine"
    assert "mine" in zoo.CARDS


def test_a_run_of_the_projects_own_parts_needs_no_file(tmp_path: Path):
    (tmp_path / "my.py").write_text(PLAIN.replace("STEPS", "5"))
    run = run_of(tmp_path / "my.py", tmp_path)
    (tmp_path / "my.py").unlink()
    own_parts.forget()
    assert train.loop.run.load(run).experiment.steps == 5
    plain = train.loop.run.create("digits_mlp", files.load("digits_mlp"), tmp_path)
    assert "config_file" not in json.loads((plain.path / "config.json").read_text())
    assert train.loop.run.load(plain.path).source is None


def gone(path: Path) -> None:
    path.unlink()


def changed(path: Path) -> None:
    path.write_text(path.read_text() + "# changed\n")


def changed_beside(path: Path) -> None:
    changed(path.with_name("made.py"))


def never_run(path: Path) -> None:
    trust.store().unlink()


@pytest.mark.parametrize(
    ("event", "said"),
    [
        (gone, "which is gone: --config FILE"),
        (changed, "which has changed since"),
        (changed_beside, "which has changed since"),
        (never_run, "which you have not run yourself"),
    ],
)
@pytest.mark.parametrize("command", ["eval", "train --resume", "export", "exhibit", "timeline", "ensemble", "probe"])
def test_a_file_that_is_gone_changed_or_never_run_is_one_line(
    command: str, event, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    path = own_parts.write(tmp_path / "own")
    run = run_of(path, tmp_path)
    own_parts.forget()
    event(path)
    out = [str(tmp_path / "out.npz")] if command == "export" else []
    assert cli.run([*command.split(), str(run), *out]) == 2
    line = capsys.readouterr().err
    assert said in line
    assert str(path) in line
    assert line.count("\n") == 1
    assert "mine" not in zoo.CARDS


@pytest.mark.parametrize("forged", ["config_file", "search"])
def test_nothing_in_a_folder_from_elsewhere_ever_runs(forged: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """Not where the run names a file, says its right hash, or brings it along; nor where a search names a config."""
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    evil = foreign / "evil.py"
    evil.write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    content = dataclasses.asdict(Experiment(Model("mlp"), Data("digits")))
    if forged == "config_file":
        kept = {"path": str(evil), "sha256": source.read(evil).sha256, "registers": ["model mine"]}
        (foreign / "config.json").write_text(json.dumps(content | {"config_file": kept}))
        arguments = ["eval", str(foreign)]
    else:
        (foreign / "config.json").write_text(json.dumps(content))
        about = {
            "config": str(evil),
            "space": ["optim.lr=log:1e-4..1e-1"],
            "trials": 1,
            "batch": 1,
            "metric": "accuracy",
        }
        (foreign / "search.json").write_text(json.dumps(about))
        arguments = ["search", "--resume", str(foreign)]
    assert cli.run(arguments) == 2
    line = capsys.readouterr().err
    assert str(evil) in line
    assert "--config" in line
    assert line.count("\n") == 1
    assert not (tmp_path / "ran").exists()


def test_a_config_file_that_is_no_object_is_said(tmp_path: Path):
    content = dataclasses.asdict(Experiment(Model("mlp"), Data("digits")))
    for wrong in (3, {"path": 1}, []):
        (tmp_path / "config.json").write_text(json.dumps(content | {"config_file": wrong}))
        with pytest.raises(UserError, match=r"config_file is not"):
            train.loop.run.load(tmp_path)


def test_config_loads_the_file_from_where_it_lies_now(tmp_path: Path):
    path = own_parts.write(tmp_path / "own")
    run = run_of(path, tmp_path)
    own_parts.forget()
    os.rename(tmp_path / "own", tmp_path / "away")
    assert train.loop.run.load(run, tmp_path / "away" / "my.py").experiment.model.name == "mine"


def test_list_show_and_data_take_the_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    path = str(own_parts.write(tmp_path))
    assert cli.run(["list", "mi*", "--config", path]) == 0
    assert cli.run(["show", "mine", f"--config={path}"]) == 0
    assert cli.run(["data", "--config", path]) == 0
    said = capsys.readouterr().out
    assert "676 parameters" not in said
    assert "547 parameters" in said
    assert "squares" in said


# What is registered


class Plain(nn.Module):
    """A class as a user has it: no Config, another word for `train`, a field that is no number."""

    classes: int
    widths: list[int] = dataclasses.field(default_factory=lambda: [4, 3])
    activation: object = nn.relu

    @nn.compact
    def __call__(self, x, deterministic: bool = False):
        for width in self.widths:
            x = self.activation(nn.Dense(width)(x))
        return nn.Dropout(0.5, deterministic=deterministic)(nn.Dense(self.classes)(x))


def test_a_class_as_it_is_becomes_a_model():
    with zoo.registry.registering("test"):
        card = zoo.register("plain", Plain, inputs={"x": ((5,), np.float32)}, classes=2)
    assert dataclasses.asdict(card.config) == {"classes": 2, "widths": (4, 3)}
    model = zoo.create("plain", classes=3, widths=[6])
    assert (model.cfg.classes, model.cfg.widths, isinstance(model, Plain)) == (3, (6,), True)
    assert (card.params, card.flops, card.output) == (zoo.param_count("plain"), 2 * (5 * 4 + 4 * 3 + 3 * 2), (2,))
    assert zoo.param_count("plain") == 5 * 4 + 4 + 4 * 3 + 3 + 3 * 2 + 2
    x = np.ones((1, 5), np.float32)
    variables = model.init(jax.random.key(0), x, train=False)
    assert np.array_equal(model.apply(variables, x, train=False), model.apply(variables, x, train=False))
    assert not card.paper
    assert zoo.list_models("pla[i]n") == ["plain"]
    assert zoo.list_models()[-1] == "plain"  # of this year
    with pytest.raises(UserError, match="did you mean widths"):
        zoo.create("plain", width=3)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: zoo.register("mlp", Plain, inputs=zoo.cards.image(8, 8, 1), classes=2), "'mlp' is taken"),
        (lambda: zoo.register(zoo.card("mlp")), "'mlp' is taken"),
        (lambda: zoo.register("mine", Plain, inputs=zoo.cards.image(8, 8, 1)), "'classes' has no default"),
        (lambda: zoo.register("mine", Plain, classes=2), "inputs=zoo.cards.image"),
        (lambda: zoo.register("mine", Plain, inputs=zoo.cards.text(8), classes=2), "no argument 'tokens'"),
        (lambda: zoo.register("mine", Plain, inputs=zoo.cards.image(8, 8, 1), clases=2), "no field 'clases'"),
        (lambda: zoo.register("mine", dict, inputs=zoo.cards.image(8, 8, 1)), "a Flax module class"),
        (lambda: zoo.register("mine"), "a Flax module class"),
        (lambda: train.data.register("digits", list), "is taken"),
        (lambda: train.data.images.register_augmentation("flip", list), "is taken"),
        (lambda: train.data.register("mine", list, kind="sound"), "kind must be"),
        (lambda: train.data.register("mine", [1, 2]), "with a function"),
    ],
)
def test_a_wrong_registration_is_one_line(call, said: str):
    with pytest.raises(UserError) as error, zoo.registry.registering("test"):
        call()
    assert said in str(error.value)
    assert "\n" not in str(error.value)


IMAGES, LABELS = np.zeros((60, 4, 4, 1), np.uint8), np.arange(60) % 3


@pytest.mark.parametrize(
    ("returned", "said"),
    [
        (3, "must return a dict of train, validation and test, not int"),
        ({"training": (IMAGES, LABELS)}, r"not splits \['training'\]"),
        ((IMAGES,), r"must be a pair \(x, y\)"),
        ((IMAGES, LABELS[:5]), r"y must be \(N,\)"),
        ((IMAGES.astype(int), LABELS), "not int64"),
        ({"train": (IMAGES, LABELS), "test": (IMAGES[:, :2], LABELS)}, "differ in the shape"),
    ],
)
def test_a_loader_that_returns_something_else_is_one_line(returned: object, said: str):
    with zoo.registry.registering("test"):
        train.data.register("wrong", lambda: returned)
    with pytest.raises(UserError, match=said):
        train.data.load(Data("wrong"))


def test_an_exception_in_a_loader_is_one_line_with_its_place(tmp_path: Path):
    path = own_parts.write(tmp_path)
    (tmp_path / "made.py").write_text("def images():\n    return 1 / 0\n")
    files.load(str(path))
    with pytest.raises(UserError, match=r"squares: .*made\.py, line 2: ZeroDivisionError: division by zero"):
        train.data.load(Data("squares"))


def test_images_text_environments_and_augmentations_go_by_their_names():
    import jax.numpy as jnp

    from train.config import Text
    from train.data.images.augment import Operation, parse
    from train.data.text import load

    still = train.data.Dynamics(lambda key: (jnp.zeros(2), jnp.zeros(2)), lambda k, s, a: (s, s, 1.0, False), 2, 9)
    values = np.linspace(-1, 1, 60)
    with zoo.registry.registering("test"):
        train.data.register("pictures", lambda: {"train": (IMAGES, LABELS), "test": (IMAGES[:6], LABELS[:6])})
        train.data.register("line", lambda: (values[:, None], values))
        train.data.register("tale", lambda: ["once upon a time " * 20], kind="text")
        train.data.register("verdicts", lambda: (["good", "bad"] * 20, [1, 0] * 20), kind="text", classes=("no", "yes"))
        train.data.register("still", lambda: still, kind="environment")
        train.data.images.register_augmentation("dim", lambda key, x, labels, strength: (x * strength, labels))
    found = train.data.load(Data("pictures"))
    assert (len(found.train) + len(found.validation), len(found.test)) == (60, 6)
    assert found.class_names == ("0", "1", "2")
    line = train.data.load(Data("line"))
    assert (line.shape, line.classes, line.train.arrays()["y"].dtype) == ((1,), 0, np.float32)
    assert load(Text("tale", tokenizer="char", length=8), "stream").vocab == len(set("once upon a time"))
    assert load(Text("verdicts", tokenizer="char", length=8), "labelled").class_names == ("no", "yes")
    assert worlds.make(World("still", time_limit=5)).time_limit == 5
    assert "still" in worlds.names()
    assert parse(("dim_0.5", "flip")) == (Operation("dim", 0.5), Operation("flip", 0))
    with pytest.raises(UserError, match="registered as text, not as images"):
        train.data.load(Data("tale"))
