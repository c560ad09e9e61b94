"""`zoo export --to hf://owner/name`: weights and their card on a hub; what is wrong is one line without the token."""

import importlib
from collections.abc import Iterator
from pathlib import Path

import hub_server
import jax
import numpy as np
import pytest
from hub_server import Hub

import zoo
from train import cli
from train.commands import share
from train.commands.export import CardOptions, ExportOptions
from zoo.weights import Loaded, store
from zoo.weights import hub as client
from zoo.weights.table import FileFacts, Row

TO = "hf://owner/digits"
RIGHT, WRONG = "hf_right", "hf_wrong"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    workdir = tmp_path_factory.mktemp("runs")
    words = "train digits_mlp --steps 30 --eval-every-steps 30 --optim.warmup-steps 5 --model.widths 32"
    assert cli.run([*words.split(), "--workdir", str(workdir)]) == 0
    return next(workdir.glob("*/*/config.json")).parent


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub on loopback, and a user who is logged in nowhere."""
    pytest.importorskip("huggingface_hub")
    constants = importlib.import_module("huggingface_hub.constants")
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy", *client.OFFLINE):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("HUGGING_FACE_HUB_TOKEN", raising=False)
    monkeypatch.setenv("HF_TOKEN", RIGHT)
    monkeypatch.chdir(tmp_path)
    with hub_server.serving() as hub:
        monkeypatch.setattr(constants, "ENDPOINT", hub.endpoint)
        monkeypatch.setattr(
            constants, "HUGGINGFACE_CO_URL_TEMPLATE", hub.endpoint + "/{repo_id}/resolve/{revision}/{filename}"
        )
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
        monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "token"))
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)  # the server has no storage of chunks
        yield hub


def shared(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    code = cli.run(["export", *map(str, words)])
    out, err = capsys.readouterr()
    assert code == 0, err
    assert RIGHT not in out + err
    return out


def refused(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    assert cli.run(["export", *map(str, words)]) == 2
    out, err = capsys.readouterr()
    assert err.count("\n") == 1
    assert RIGHT not in out + err
    assert WRONG not in out + err
    return err


def test_a_run_is_uploaded_with_its_card_and_loads_from_there(
    run: Path, hub: Hub, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--licence", "CC-BY-4.0", "--data-licence", "CC BY 4.0", "--intended-use", "a lesson", "--private"]
    place = shared(capsys, run, "--to", TO, *words).partition(": ")[0]
    assert hub.private == {"owner/digits": True}
    commit = place.removeprefix(f"{TO}@")
    there = {file: content for (_, own, file), content in hub.files.items() if own == commit}
    assert sorted(there) == ["README.md", "model.safetensors", "picture.png"]
    card = there["README.md"].decode()
    assert card.startswith('---\nlicense: "cc-by-4.0"\nlibrary_name: "zoo"\ntags: ["zoo", "mlp"]\n---\n\n# digits\n')
    for said in (
        "**Model.** mlp, widths=(32,)",
        "**Intended use.** a lesson",
        "**Trained on.** digits (CC BY 4.0)",
        " % (n = 1) on the test split of digits, by zoo eval RUN --checkpoint best",
        " of the 359 test examples, most often ",
        "](picture.png)",
        "**Licence.** CC-BY-4.0",
        "**Recipe.** zoo train digits_mlp --model.widths 32 ",
        f'loaded = zoo.load_model("mlp", "{TO}")',
        f"    zoo predict INPUT --weights {TO}\n",
    ):
        assert said in card, card
    loaded, wanted = zoo.load_model("mlp", place), zoo.load_model("mlp", run)
    jax.tree.map(np.testing.assert_array_equal, loaded.variables, wanted.variables)
    assert loaded.labels == tuple("0123456789")
    shared(capsys, run, "--to", TO, *words)  # a second commit of the same repository


def test_a_file_has_a_short_card(run: Path, hub: Hub, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shared(capsys, run, tmp_path / "w.safetensors")
    shared(capsys, tmp_path / "w.safetensors", "--to", TO, "--licence", "My own")
    (card,) = (content.decode() for (_, _, file), content in hub.files.items() if file == "README.md")
    assert 'license: "other"\n' in card
    assert 'license_name: "My own"\n' in card
    assert "**Trained on.** not stated" in card


def test_what_is_wrong_is_one_line_without_the_token(
    run: Path, hub: Hub, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    licence = ("--licence", "mit")
    assert "needs an OUT, such as run.safetensors or run.onnx, or --to" in refused(capsys, run)
    assert "needs an OUT" in refused(capsys, run, "out.npz", "--to", TO)
    assert "has a model card, and out.npz has none" in refused(capsys, run, "out.npz", *licence)
    assert "'owner/digits' is no place for an upload: write hf://owner/name" in refused(
        capsys, run, "--to", "owner/digits", *licence
    )
    assert "is no place for an upload" in refused(capsys, run, "--to", f"{TO}@main", *licence)
    assert f"{TO} needs --licence NAME" in refused(capsys, run, "--to", TO)
    message = refused(capsys, run, "--to", "hf://nobody/digits", *licence)
    assert "there is no owner 'nobody', or the token may not write there (" in message
    assert "You don't have the rights" in message
    monkeypatch.setenv("HF_TOKEN", WRONG)
    assert f"{TO}: the hub does not know the token: `hf auth login`, or another HF_TOKEN" in refused(
        capsys, run, "--to", TO, *licence
    )
    monkeypatch.delenv("HF_TOKEN")
    assert f"{TO} needs a token that may write: log in with `hf auth login`, or set HF_TOKEN" in refused(
        capsys, run, "--to", TO, *licence
    )
    monkeypatch.setenv("HF_TOKEN", RIGHT)
    monkeypatch.setenv("ZOO_OFFLINE", "1")
    assert "must be uploaded, and ZOO_OFFLINE or HF_HUB_OFFLINE forbids the network" in refused(
        capsys, run, "--to", TO, *licence
    )
    monkeypatch.delenv("ZOO_OFFLINE")
    monkeypatch.setattr(importlib.import_module("huggingface_hub.constants"), "ENDPOINT", "http://127.0.0.1:9")
    assert f"{TO}: nothing was uploaded, the hub cannot be reached (" in refused(capsys, run, "--to", TO, *licence)
    assert not hub.private
    assert not hub.files


def test_weights_by_name_have_the_card_of_their_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = {name: FileFacts(1, 64 * "0") for name in ("model.safetensors", "picture.png")}
    row = Row(
        name="mlp.tiny",
        card="mlp",
        files=files,
        source="package:somewhere",
        licence="mit",
        trained_on="digits (CC BY 4.0)",
        intended_use="a lesson",
        picture="picture.png",
    )
    (tmp_path / "row").mkdir()
    (tmp_path / "row" / "picture.png").write_bytes(b"picture")
    monkeypatch.setattr(store, "folder_of", lambda found: tmp_path / found.name.replace("mlp.tiny", "row"))
    (tmp_path / "out").mkdir()
    loaded = Loaded(zoo.create("mlp"), {}, "mlp", "zoo", "mlp.tiny", None, None, (), None, {}, row)
    options = ExportOptions("mlp.tiny", to=TO, card=CardOptions(fails_on="rotated digits"))
    card = share._card(loaded, options, tmp_path / "out")
    assert (tmp_path / "out" / "picture.png").read_bytes() == b"picture"
    assert (card.licence, card.trained_on, card.intended_use, card.fails_on) == (
        "mit",
        "digits (CC BY 4.0)",
        "a lesson",
        "rotated digits",
    )
