"""The weights of this project: trained once, each seed alone, and named by what tools/weights.py is told."""

from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
import tools_by_name

from train.config import files
from train.loop.run import load
from zoo import CARDS, UserError

CONFIG = """
from train.config import Data, Experiment, Model, Optim

CONFIG = Experiment(
    Model("mlp", {"widths": (8,)}), Data("digits", batch=32), Optim("adam"), steps=4, eval_every_steps=2
)
"""


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    return tools_by_name.tool("own_weights")


def test_every_name_is_of_the_model_that_its_config_trains(tool: ModuleType) -> None:
    for name, own in tool.OWN.items():
        assert name.partition(".")[0] in CARDS
        assert files.load(own.config).model.name == name.partition(".")[0], name


def test_seeds_are_trained_once_and_named_alone(tool: ModuleType, tmp_path: Path, monkeypatch) -> None:
    config = tmp_path / "tiny.py"
    config.write_text(CONFIG, encoding="utf-8")
    given: list[list[str]] = []
    monkeypatch.setattr(tool, "OWN", {"mlp.tiny": tool.Own(str(config), 2, "none", "a test")})
    monkeypatch.setattr(tool, "tool", lambda: SimpleNamespace(main=given.append))
    assert tool.main(["make", "--workdir", str(tmp_path / "runs")]) == 0
    monkeypatch.setattr(tool, "fit", None)  # nothing is trained again
    assert tool.main(["make", "mlp.tiny", "--workdir", str(tmp_path / "runs")]) == 0
    assert given[0] == given[1]
    verb, first, name, also, second, *more = given[0]
    assert (verb, name, also, more) == (
        "add",
        "mlp.tiny",
        "--also",
        ["--half", "--data-licence", "none", "--intended-use", "a test"],
    )
    assert [load(path).experiment.seed for path in (first, second)] == [0, 1]
    assert all(load(path).experiment.seeds == 1 for path in (first, second))


def test_an_unknown_name_is_one_line_with_near_ones(tool: ModuleType) -> None:
    with pytest.raises(UserError, match=r"lenet5\.mnst.*lenet5\.mnist"):
        tool.main(["make", "lenet5.mnst"])
