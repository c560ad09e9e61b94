"""Weights by name are downloaded once, checked each time, and nothing wrong is ever kept."""

import dataclasses
import errno
import importlib
import json
import os
import shutil
import subprocess
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hub_server
import jax
import named
import numpy as np
import pytest
from hub_server import Hub
from named import CARD, COMMIT, FILE, REPOSITORY, row_of
from safetensors.numpy import load_file, save_file
from tiny import network

import zoo
from zoo import UserError
from zoo.weights import hub as client
from zoo.weights import store, table
from zoo.weights.preprocessing import HALF, Images
from zoo.weights.table import FileFacts, Row

VOCABULARY = b"[PAD]\n[UNK]\nthe\n"


@pytest.fixture(scope="module")
def content(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return named.content_of(tmp_path_factory.mktemp("published"))


@pytest.fixture
def hub(content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub that has the tiny network; the library asks it, and waits for nothing."""
    pytest.importorskip("huggingface_hub")
    constants = importlib.import_module("huggingface_hub.constants")
    download = importlib.import_module("huggingface_hub.file_download")
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy", *client.OFFLINE):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv(store.MIRROR, raising=False)
    monkeypatch.setenv("ZOO_CACHE_DIR", str(tmp_path / "cache"))
    with hub_server.serving() as hub:
        hub.files[REPOSITORY, COMMIT, FILE] = content
        monkeypatch.setattr(constants, "ENDPOINT", hub.endpoint)
        monkeypatch.setattr(
            constants, "HUGGINGFACE_CO_URL_TEMPLATE", hub.endpoint + "/{repo_id}/resolve/{revision}/{filename}"
        )
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
        monkeypatch.setattr(constants, "HF_HUB_DOWNLOAD_TIMEOUT", 1)
        monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 1024)  # what is written at a time, so that half is kept
        monkeypatch.setattr(download, "time", types.SimpleNamespace(sleep=lambda seconds: None))
        yield hub


def refused(row: Row) -> str:
    """The one line with which a row is refused; nothing is left in the cache."""
    with pytest.raises(UserError) as caught:
        store.folder_of(row)
    assert "\n" not in str(caught.value)
    assert not [path for path in store.cache().glob("*") if path.suffix != ".lock"]
    return str(caught.value)


def test_weights_are_downloaded_once_and_checked_each_time(
    hub: Hub, content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = row_of(content)
    named.use(monkeypatch, row)
    loaded = zoo.pretrained(CARD)
    jax.tree.map(np.testing.assert_array_equal, loaded.variables, named.VARIABLES)
    assert (loaded.row, loaded.source, loaded.layout) == (row, row.name, named.LAYOUT)
    assert loaded.model == named.MODEL
    assert [line.partition("?")[0] for line in hub.bodies()] == [f"GET /storage/{FILE}"]
    asked = len(hub.asked)
    zoo.load_model(CARD, row.name)
    assert len(hub.asked) == asked
    folder = store.cache() / row.name
    assert sorted(path.name for path in folder.iterdir()) == [store.CHECKED, FILE]
    record = json.loads((folder / store.CHECKED).read_text())
    assert (record["revision"], record["licence"], record["checked_against"]) == (COMMIT, "mit", store.BY_TABLE)
    (folder / FILE).write_bytes(content[:-1] + b"x")
    with pytest.raises(UserError, match=rf"{FILE} has the SHA-256 \w+, and {FILE} of resnet18.tiny has .*: remove"):
        zoo.pretrained(CARD)
    store.fetch(row, store.cache())  # `zoo weights fetch` gets it again
    assert (folder / FILE).read_bytes() == content


def test_a_hash_that_nobody_states_is_the_hubs_and_is_kept(hub: Hub, content: bytes) -> None:
    row = row_of(None)
    folder = store.folder_of(row)
    assert store.check(row, folder) == store.BY_HUB
    (folder / FILE).write_bytes(content[:-1] + b"x")
    with pytest.raises(UserError, match="has the SHA-256"):
        store.folder_of(row)
    (folder / FILE).write_bytes(content)
    (folder / store.CHECKED).unlink()
    with pytest.raises(UserError, match=f"nothing states the SHA-256 of {FILE}, neither the table nor {store.CHECKED}"):
        store.folder_of(row)


def test_a_vocabulary_has_the_git_hash_that_the_hub_states(hub: Hub, content: bytes) -> None:
    row = row_of(content)
    row = dataclasses.replace(row, files={**row.files, "vocab.txt": FileFacts()})
    assert f"{REPOSITORY} has no such file at {COMMIT}" in refused(row)
    hub.files[REPOSITORY, COMMIT, "vocab.txt"] = VOCABULARY
    hub.changed["vocab.txt"] = VOCABULARY.replace(b"the", b"teh")
    assert "vocab.txt of resnet18.tiny has the Git hash" in refused(row)
    hub.changed.clear()
    assert (store.folder_of(row) / "vocab.txt").read_bytes() == VOCABULARY
    hub.stated["vocab.txt"] = "no-hash"
    shutil.rmtree(store.cache())
    assert "the hub states no hash of vocab.txt" in refused(row)


def test_a_cut_connection_is_taken_up_again(hub: Hub, content: bytes) -> None:
    hub.cuts = 2
    assert (store.folder_of(row_of(content)) / FILE).read_bytes() == content
    first, second, third = (line.partition("bytes=")[2].rstrip("-") for line in hub.bodies())
    assert first == ""
    assert 0 < int(second) < int(third) < len(content)


def test_half_a_download_is_never_kept(hub: Hub, content: bytes) -> None:
    hub.changed[FILE] = content[: len(content) // 2]
    assert "resnet18.tiny: the hub cannot be reached" in refused(row_of(content))
    hub.changed.clear()
    hub.cuts = 1000
    assert "the hub cannot be reached" in refused(row_of(content))
    hub.cuts = 0
    assert (store.folder_of(row_of(content)) / FILE).read_bytes() == content


def test_another_file_is_refused_before_or_after_its_download(hub: Hub, content: bytes) -> None:
    other = row_of(content + b"more")
    assert f"the hub has {FILE} with the SHA-256" in refused(other)
    assert not hub.bodies()
    hub.changed[FILE] = content[:-1] + b"x"
    assert f"{FILE} of resnet18.tiny has" in refused(row_of(content))
    assert "try again; nothing was kept" in refused(row_of(None))
    hub.changed.clear()
    hub.commit = "f" * 40
    assert f"the hub sent {FILE} of the commit {'f' * 40}, not of {COMMIT}" in refused(row_of(content))
    hub.commit = ""
    hub.files[REPOSITORY, COMMIT, FILE] = content + b"x"
    short = row_of(None, files={FILE: FileFacts(bytes=len(content))})
    assert f"the hub has {FILE} with {len(content) + 1:,} bytes, not {len(content):,}" in refused(short)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        ("GatedRepo", "access must be requested from its owner on the hub; then log in with `hf auth login`"),
        ("RepoNotFound", "there is no such repository on the hub, or it is private"),
        ("RevisionNotFound", f"{REPOSITORY} has no revision '{COMMIT}'"),
        ("EntryNotFound", f"{REPOSITORY} has no such file at {COMMIT}"),
    ],
)
def test_what_the_hub_refuses_is_one_line(error: str, message: str, hub: Hub, content: bytes) -> None:
    hub.error = error
    assert refused(row_of(content)).startswith(f"resnet18.tiny: {message}")


def test_no_network_and_slow_answers(hub: Hub, content: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    constants = importlib.import_module("huggingface_hub.constants")
    hub.delay = 0.05
    store.folder_of(row_of(content))  # slow, but it answers
    shutil.rmtree(store.cache())
    monkeypatch.setattr(client, "SECONDS", 0.01)
    assert "resnet18.tiny: the hub cannot be reached" in refused(row_of(content))
    hub.delay = 0
    closed = "http://127.0.0.1:9"
    monkeypatch.setattr(constants, "ENDPOINT", closed)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", closed + "/{repo_id}/resolve/{revision}/{filename}")
    assert "resnet18.tiny: the hub cannot be reached" in refused(row_of(content))


@pytest.mark.parametrize("variable", client.OFFLINE)
def test_offline_uses_what_is_here(variable: str, hub: Hub, content: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, "1")
    message = refused(row_of(content))
    assert "ZOO_OFFLINE=1 or HF_HUB_OFFLINE=1 forbids the network: zoo weights fetch resnet18.tiny" in message
    assert not hub.asked
    monkeypatch.delenv(variable)
    store.folder_of(row_of(content))
    monkeypatch.setenv(variable, "1")
    store.folder_of(row_of(content))


def test_no_disk(hub: Hub, content: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    full = shutil.disk_usage(".")._replace(free=10)
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "disk_usage", lambda path: full)
        assert "resnet18.tiny needs 0.0 MB, and" in refused(row_of(content))
    assert not hub.bodies()

    def fail(*args: Any, **options: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "part")

    monkeypatch.setattr("huggingface_hub.hf_hub_download", fail)
    assert "resnet18.tiny: cannot write part: No space left on device" in refused(row_of(content))


def test_weights_without_a_licence_are_not_downloaded(hub: Hub, content: bytes) -> None:
    message = refused(row_of(content, licence=None))
    assert message == (
        f"resnet18.tiny: its owner states no licence, so it is not downloaded by name; hf://{REPOSITORY}@{COMMIT} "
        "takes it on your own responsibility"
    )
    assert not hub.asked


def test_a_mirror_is_read_without_a_network(
    hub: Hub, content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    row, stick = row_of(None), tmp_path / "stick"
    folder = store.fetch(row, stick)
    assert folder == stick / row.name
    monkeypatch.setenv("ZOO_OFFLINE", "1")
    monkeypatch.setenv(store.MIRROR, str(stick))
    named.use(monkeypatch, row)
    jax.tree.map(np.testing.assert_array_equal, zoo.pretrained(row.name).variables, named.VARIABLES)
    assert not store.cache().exists()
    asked = len(hub.asked)
    assert store.fetch(row, tmp_path / "second") == tmp_path / "second" / row.name  # copied
    assert store.check(row, tmp_path / "second" / row.name) == store.BY_HUB
    assert len(hub.asked) == asked
    (folder / FILE).write_bytes(content[:-1] + b"x")
    with pytest.raises(UserError, match=rf"stick/resnet18.tiny/{FILE} has the SHA-256"):
        zoo.pretrained(row.name)
    newer = row_of(None, revision="f" * 40)
    with pytest.raises(UserError, match=f"has the revision {COMMIT}, and resnet18.tiny is now {'f' * 40}"):
        store.folder_of(newer)
    (folder / FILE).unlink()
    with pytest.raises(UserError, match=f"lacks {FILE}, a file of resnet18.tiny"):
        store.folder_of(row)
    (folder / store.CHECKED).write_text("[]")
    with pytest.raises(UserError, match="is not a record of checked files"):
        store.folder_of(row)
    monkeypatch.setenv(store.MIRROR, str(tmp_path / "none"))
    with pytest.raises(UserError, match=r"ZOO_WEIGHTS: there is no folder .*none"):
        store.folder_of(row)


def test_weights_of_a_package(tmp_path: Path, content: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZOO_CACHE_DIR", str(tmp_path / "cache"))
    row = row_of(content, source="package:zoo_weights_of_a_test", revision=None)
    with pytest.raises(UserError, match="comes with the package zoo-weights-of-a-test, which is not installed here"):
        store.folder_of(row)
    folder = tmp_path / "zoo_weights_of_a_test" / "pretrained" / row.name
    folder.mkdir(parents=True)
    (tmp_path / "zoo_weights_of_a_test" / "__init__.py").touch()
    (folder / FILE).write_bytes(content)
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.invalidate_caches()
    named.use(monkeypatch, row)
    loaded = zoo.pretrained(row.name)
    jax.tree.map(np.testing.assert_array_equal, loaded.variables, named.VARIABLES)
    assert store.fetch(row, tmp_path / "stick") == tmp_path / "stick" / row.name
    assert store.check(row, tmp_path / "stick" / row.name) == store.BY_TABLE
    (folder / FILE).write_bytes(content[:-1] + b"x")
    with pytest.raises(UserError, match="has the SHA-256"):
        store.folder_of(row)


def test_a_path_that_exists_comes_before_a_name(
    hub: Hub, content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = row_of(content)
    named.use(monkeypatch, row)
    monkeypatch.chdir(tmp_path)
    Path(row.name).mkdir()
    with pytest.raises(UserError, match=r"resnet18.tiny contains no weights"):
        zoo.load_model(CARD, row.name)
    assert zoo.pretrained(row.name).row == row  # which takes names alone


def test_a_new_head(hub: Hub, content: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    named.use(monkeypatch, row_of(content, labels=tuple("abcde")), row_of(content, name="lenet5.x", card="lenet5"))
    loaded = zoo.pretrained(CARD, classes=3)
    assert loaded.variables["params"]["head"]["kernel"].shape[-1] == 3
    assert loaded.labels is None
    kept = zoo.pretrained(CARD, classes=5)
    assert kept.labels == tuple("abcde")
    np.testing.assert_array_equal(kept.variables["params"]["head"]["bias"], named.VARIABLES["params"]["head"]["bias"])
    for wrong in (0, True, 2.0):
        with pytest.raises(UserError, match="classes must be at least 1, not"):
            zoo.pretrained(CARD, classes=wrong)
    named.use(monkeypatch, row_of(content, name="gpt2.x", card="gpt2", fields={}))
    with pytest.raises(UserError, match=r"gpt2.x tells no classes apart"):
        zoo.pretrained("gpt2", classes=2)


def test_a_repository_of_pickles_says_how_to_convert_them(hub: Hub) -> None:
    hub.files = {
        ("owner/pickles", COMMIT, "pytorch_model.bin"): b"\x80\x02",
        ("owner/pickles", COMMIT, "README.md"): b"x",
    }
    with pytest.raises(UserError, match=r"hf://owner/pickles@0\w+ has only pytorch_model.bin, a pickle, .* convert it"):
        zoo.load_model(CARD, f"hf://owner/pickles@{COMMIT}")
    assert not [line for line in hub.bodies() if "storage" in line]


KINDS = {  # a shipped row -> a tiny network of its layout
    "resnet18.tv_in1k": "resnet18-torchvision",
    "resnet50.tv_in1k": "resnet50-timm",
    "vit_base_patch16.augreg2_in21k_ft_in1k": "vit-timm",
    "vit_base_patch16.google": "vit-huggingface",
    "bert_base.uncased": "bert-pretrain",
    "gpt2.openai": "gpt2-units",
}


@pytest.mark.parametrize("name", KINDS)
def test_the_files_of_a_row_are_enough(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tiny network stands in for the real one: the files that a row names, and no others, load and prepare."""
    row = table.read(table.FILE).rows[name]
    _, _, fields, model, variables = network(KINDS[name])
    inputs = Images((32, 32), mean=HALF, std=HALF, crop="floor") if "google" in name else None
    zoo.save_weights(tmp_path / "whole", model, variables, layout=row.layout, inputs=inputs)
    file = tmp_path / "whole" / FILE
    save_file(load_file(file), file, metadata={"format": "pt"})  # without the record that only this project writes
    for vocabulary in ("vocab.txt", "vocab.json", "merges.txt"):
        (tmp_path / "whole" / vocabulary).write_bytes(VOCABULARY)
    folder = tmp_path / "stick" / name
    folder.mkdir(parents=True)
    for file_name in row.files:
        shutil.copyfile(tmp_path / "whole" / file_name, folder / file_name)
    files = {file_name: FileFacts(sha256=store.sha256_of(folder / file_name)) for file_name in row.files}
    images = row.preprocessing
    if isinstance(images, Images) and "vit" in name:
        images = dataclasses.replace(images, size=(32, 32), resize=36)
    named.use(monkeypatch, dataclasses.replace(row, files=files, fields=fields, preprocessing=images, default=True))
    monkeypatch.setenv(store.MIRROR, str(tmp_path / "stick"))
    loaded = zoo.pretrained(row.card)
    jax.tree.map(np.testing.assert_array_equal, loaded.variables, variables)
    assert loaded.preprocessing == (images or inputs)
    if hasattr(loaded.model.cfg, "classes"):
        finer = zoo.pretrained(row.card, classes=3)
        assert finer.variables["params"]["head"]["kernel"].shape[-1] == 3
        assert getattr(finer.model.cfg, "head", "classify") == "classify"


@pytest.mark.slow
def test_the_librarys_own_variable_points_it_at_another_server(hub: Hub, content: bytes, tmp_path: Path) -> None:
    """In a program of its own: the variables of the environment are read when the library is imported."""
    facts = {FILE: row_of(content).files[FILE]._asdict()}
    row = {"source": f"hf://{REPOSITORY}", "revision": COMMIT, "files": facts, "licence": "mit", "trained_on": "noise"}
    (tmp_path / "table.json").write_text(json.dumps({"rows": {f"{CARD}.tiny": row | {"default": True}}}))
    code = (
        "import sys; from pathlib import Path; from train import cli; from zoo.weights import table; "
        "table.FILE = Path(sys.argv[1]); sys.exit(cli.run(sys.argv[2:]))"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "table.json"), "weights", "fetch", CARD]
    environment = {**os.environ, "HF_ENDPOINT": hub.endpoint, "HF_HOME": str(tmp_path / "home"), "NO_PROXY": "*"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == (
        f"{CARD}.tiny: {store.cache() / CARD}.tiny, checked by the SHA-256 in the table; licence mit\n"
    )
