"""The position table of a ViT belongs to an arrangement of patches: 16 may be 4x4 or 2x8."""

import dataclasses
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import train.loop.run
import zoo
from train import cli
from train.config import Contrast, Data, Experiment, Model, files
from train.loop import transfer
from train.loop.checkpoints import Checkpoints
from train.loop.transfer import start_from
from zoo import UserError, vit
from zoo.weights import layouts

SMALL = {"patch": 2, "width": 4, "depth": 1, "heads": 1}
TABLE = np.random.default_rng(0).normal(size=(1, 17, 4)).astype(np.float32)
PATH = "params/net/positions"


@dataclasses.dataclass(frozen=True)
class Parameters:
    """As much of a State as a transfer reads."""

    params: Any
    vars: Any

    def replace(self, **changes: Any) -> "Parameters":
        return dataclasses.replace(self, **changes)


@pytest.fixture
def sets(tmp_path: Path) -> dict[str, Data]:
    """Images of 8x8 pixels, which are 4x4 patches, and of 4x16, which are 2x8."""
    found = {}
    for name, shape in (("square", (8, 8)), ("wide", (4, 16))):
        np.savez(tmp_path / f"{name}.npz", x=np.zeros((20, *shape), np.uint8), y=np.arange(20) % 2)
        found[name] = Data(f"npz:{tmp_path / name}.npz")
    return found


def moved(tmp_path: Path, monkeypatch, old: Data, new: Data, path: str = PATH, **fields: Any) -> tuple[Any, str]:
    """The positions that a run on `new` takes from one on `old`, and the remark."""
    source = Experiment(Model("vit_mini_patch2", SMALL), old)
    if "encoder" in path:
        source = Experiment(
            Model("simclr_resnet20", {"encoder": "vit_mini_patch2", "fields": SMALL}), old, task=Contrast()
        )
    run = train.loop.run.create("source", source, tmp_path)
    monkeypatch.setattr(Checkpoints, "networks", lambda self: {path: TABLE})
    state = Parameters({"net": {"positions": jnp.zeros_like(TABLE)}}, {})
    experiment = Experiment(Model("vit_mini_patch2", SMALL | fields), new, init_from=str(run.path))
    start, remark = start_from(state, experiment)
    return start.params["net"]["positions"], remark


@pytest.mark.parametrize("path", [PATH, "params/net/encoder/positions"])
def test_a_table_of_another_arrangement_is_resampled(path: str, sets, tmp_path, monkeypatch) -> None:
    found, remark = moved(tmp_path, monkeypatch, sets["square"], sets["wide"], path)
    expected = vit.resample_positions({"params": {"positions": TABLE}}, (4, 4), (2, 8))["params"]["positions"]
    np.testing.assert_array_equal(found, expected)
    assert not np.array_equal(found, TABLE)
    assert remark.endswith("; its positions of 4x4 patches are resampled to 2x8")


def test_a_table_of_the_same_arrangement_is_taken_unchanged(sets, tmp_path, monkeypatch) -> None:
    wider = dataclasses.replace(sets["wide"], image_size=8)  # 4x16, brought to 8x8
    for old, new in ((sets["wide"], sets["wide"]), (wider, sets["square"])):
        found, remark = moved(tmp_path, monkeypatch, old, new)
        np.testing.assert_array_equal(found, TABLE)
        assert "positions" not in remark


def test_the_size_of_a_crop_decides(sets, tmp_path, monkeypatch) -> None:
    larger = Data(sets["wide"].name, image_size=12, augment=("crop_8",))
    found, remark = moved(tmp_path, monkeypatch, larger, sets["square"])
    np.testing.assert_array_equal(found, TABLE)
    assert "positions" not in remark


def test_images_that_are_gone_are_said(sets, tmp_path, monkeypatch) -> None:
    found, remark = moved(tmp_path, monkeypatch, Data("npz:gone.npz"), sets["wide"])
    np.testing.assert_array_equal(found, TABLE)
    assert remark.endswith("; whether its positions are of 2x8 patches too is not known")


def test_other_networks_have_no_arrangement(sets) -> None:
    assert transfer._grid(Experiment(Model("vit_mini_patch2", SMALL), sets["wide"])) == (2, 8)
    assert transfer._grid(Experiment(Model("vit_mini_patch2", SMALL | {"positions": "sine"}), sets["wide"])) is None
    assert transfer._grid(Experiment(Model("mlp"), sets["wide"])) is None


@pytest.mark.parametrize(("layout", "grid"), [("timm", (2, 8)), (layouts.OWN, None)])
def test_published_weights_say_their_size_and_our_own_files_may_not(layout, grid, sets, monkeypatch) -> None:
    model = zoo.create("vit_mini_patch2", **SMALL)
    inputs = {"x": ((4, 16, 1), jnp.float32)}
    loaded = zoo.weights.load.Loaded(
        model, {"params": {"positions": TABLE}}, "vit_mini_patch2", layout, "file", None, None, (), None, inputs
    )
    monkeypatch.setattr(zoo, "load_model", lambda *_, **__: loaded, raising=False)
    weights = transfer._published(Experiment(Model("vit_mini_patch2", SMALL), sets["square"]), "file")
    assert (weights.grid, list(weights.arrays)) == (grid, [PATH])


def test_weights_may_have_started_otherwise_than_this_config_does(monkeypatch) -> None:
    """The encoder's fields of a SimCLR were compared as a whole, with those that say how it starts."""
    small = {"depths": (1,), "widths": (4,)}
    model = zoo.create("simclr_resnet20", fields=small)
    loaded = zoo.weights.load.Loaded(
        model, {"params": {}}, "simclr_resnet20", layouts.OWN, "file", None, None, (), None, {}
    )
    monkeypatch.setattr(zoo, "load_model", lambda *_, **__: loaded, raising=False)
    for fields in ({"zero_init_last_scale": True}, {"stride_in_3x3": True}):
        experiment = Experiment(Model("simclr_resnet20", {"fields": small | fields}), Data("digits"))
        with nullcontext() if "zero_init_last_scale" in fields else pytest.raises(UserError, match="another network"):
            transfer._published(experiment, "file")


def test_an_agent_starts_from_its_own_exported_weights(tmp_path: Path) -> None:
    """Its network is called "q" in a State, and arrays of a file were looked for in "net" alone."""
    agent = files.load("cartpole_dqn")
    model = zoo.create("dqn_mlp", hidden=(3,), actions=2)
    variables = model.init(jax.random.key(1), jnp.zeros((1, 4)), train=False)
    path = zoo.save_weights(tmp_path / "agent.safetensors", model, variables)
    experiment = dataclasses.replace(agent, model=Model("dqn_mlp", {"hidden": (3,)}), init_from=str(path))
    state = Parameters({"q": jax.tree.map(jnp.zeros_like, variables["params"])}, {"q": {}})
    start, remark = start_from(state, experiment)
    assert "took 4 of 4 arrays" in remark
    jax.tree.map(np.testing.assert_array_equal, start.params["q"], variables["params"])


def test_weights_without_a_head_leave_that_of_the_run(tmp_path: Path) -> None:
    """They fitted no model."""
    model = zoo.create("mlp", widths=(3,), classes=2)
    ours = model.init(jax.random.key(0), jnp.zeros((1, 2, 2, 1)), train=False)["params"]
    theirs = {name: jax.tree.map(lambda leaf: leaf + 1, tree) for name, tree in ours.items()}
    path = tmp_path / "bare.npz"
    np.savez(path, **{f"params/hidden0/{part}": array for part, array in theirs["hidden0"].items()})
    with pytest.raises(UserError, match="these weights have no head: new_head=True initializes one"):
        zoo.load_model("mlp", path, widths=(3,))
    experiment = Experiment(Model("mlp", {"widths": (3,)}), Data("digits"), init_from=str(path))
    start, remark = start_from(Parameters({"net": ours}, {"net": {}}), experiment)
    assert "took 2 of 4 arrays" in remark
    jax.tree.map(np.testing.assert_array_equal, start.params["net"]["hidden0"], theirs["hidden0"])
    jax.tree.map(np.testing.assert_array_equal, start.params["net"]["head"], ours["head"])


def test_a_refused_start_leaves_no_run_folder(tmp_path: Path, monkeypatch, capsys) -> None:
    """The folder was made first, and a run that had not begun stayed in it."""
    run = train.loop.run.create("source", Experiment(Model("mlp"), Data("digits")), tmp_path)
    monkeypatch.setattr(Checkpoints, "networks", lambda self: {"params/net/other/kernel": np.zeros((2, 3))})
    words = f"train digits_mlp --init-from {run.path} --workdir {tmp_path / 'new'}"
    assert cli.run(words.split()) == 2
    assert capsys.readouterr().err == f"zoo: init_from: no parameter of {run.path} (mlp) fits this model\n"
    assert not (tmp_path / "new").exists()
