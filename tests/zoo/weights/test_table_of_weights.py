"""The table of weights: what it says can be used, names mean rows, and a wrong table is one line."""

import json
from pathlib import Path

import named
import pytest

import zoo
from zoo import UserError
from zoo.weights import layouts, store, table
from zoo.weights.preprocessing import Images, Text
from zoo.weights.table import PACKAGE, Row

TABLE = table.read(table.FILE)
ROWS = list(TABLE.rows.values())


@pytest.mark.parametrize("row", ROWS, ids=[row.name for row in ROWS])
def test_a_row_fits_its_card(row: Row) -> None:
    card = zoo.card(row.card)
    config = card.changed(**row.fields)
    assert row.layout in ("auto", *layouts.names_of(card.module))
    if row.preprocessing is not None:
        assert isinstance(row.preprocessing, Images if "x" in card.inputs else Text)
    if row.labels is not None:
        assert len(row.labels) == config.classes
    assert row.licence
    assert row.trained_on
    assert row.intended_use
    assert row.stated_in or row.recipe
    if row.sha256 is None:  # then the row says what is checked in its place
        assert "linked ETag is checked and kept" in row.stated_in


def test_what_comes_with_the_project_is_there_and_right() -> None:
    for row in ROWS:
        if row.source.startswith(PACKAGE + "zoo"):
            store.check(row, store.folder_of(row))


def test_weights_that_cannot_be_had_by_name_say_why() -> None:
    assert not TABLE.rows.keys() & TABLE.absent.keys()
    for name, why in TABLE.absent.items():
        assert name.partition(".")[0] in zoo.CARDS
        assert "\n" not in why
        with pytest.raises(UserError, match=r"a pickle|of pickles|no public file states a revision"):
            table.require(name)


def test_names() -> None:
    assert table.require("resnet50.tv_in1k") is table.require("resnet50")
    assert table.require("vit_base_patch16").name == "vit_base_patch16.augreg2_in21k_ft_in1k"
    for name, near in (
        ("resnet50.tv_ink", "resnet50.tv_in1k"),
        ("resnt50", "resnet50"),
        ("gpt2.openal", "gpt2.openai"),
    ):
        with pytest.raises(UserError, match=rf"unknown weights '{name}': did you mean .*{near}"):
            table.require(name)
    with pytest.raises(UserError, match=r"resnet101 has no weights by name. resnet101.tv_in1k: no public file states"):
        table.require("resnet101")
    with pytest.raises(UserError, match="plain56 has no weights by name"):
        table.require("plain56")


def test_patterns() -> None:
    assert [row.name for row in zoo.list_pretrained("vit_base*")] == [
        "vit_base_patch16.augreg2_in21k_ft_in1k",
        "vit_base_patch16.google",
    ]
    assert [row.name for row in zoo.list_pretrained("gpt2")] == ["gpt2.openai"]
    assert len(zoo.list_pretrained()) == len(ROWS)
    assert repr(zoo.list_pretrained("resnet18")[0]).startswith(
        "Row('resnet18.tv_in1k': 46.8 MB, top-1 69.752 %, bsd-3-clause, hf://timm/resnet18.tv_in1k@bbd144b3"
    )
    names = [row.name for row in table.matching(["resnet[35]*", "resnet50"])]
    assert names == ["resnet34.tv_in1k", "resnet50.tv_in1k"]
    with pytest.raises(UserError, match="unknown weights 'nothing\\*'"):
        table.matching(["nothing*"])


def test_other_libraries_ways_to_ask_are_answered() -> None:
    for name, fields in (
        ("resnet50", {"pretrained": True}),
        ("resnet50.tv_in1k", {}),
        ("perceptron", {"pretrained": 1}),
    ):
        with pytest.raises(UserError, match=rf"a model holds no weights here: zoo.pretrained\('{name}'\) returns"):
            zoo.create(name, **fields)
    with pytest.raises(UserError, match=r"unknown model 'resnet50.nonsense'"):
        zoo.create("resnet50.nonsense")


def test_a_source_that_is_no_path_may_be_a_name() -> None:
    assert table.named_by("resnet50") is table.require("resnet50.tv_in1k")
    for path in ("no/such/file", "nowhere", "resnet50.safetensors", "resnet50.npz", "/resnet50", "hf://resnet50"):
        assert table.named_by(path) is None
    with pytest.raises(UserError, match=r"no file or folder at resnet50.tv, and no weights of that name: did you mean"):
        table.named_by("resnet50.tv")
    with pytest.raises(UserError, match=r"dqn_nature.cleanrl: .* has only q_network.pth, a pickle"):
        table.named_by("dqn_nature.cleanrl")


GOOD = {
    "source": "hf://owner/tiny",
    "revision": named.COMMIT,
    "files": {"model.safetensors": {"bytes": 3, "sha256": "0" * 64}},
    "licence": "mit",
    "trained_on": "noise",
    "default": True,
}
BAD = {
    "no licence": ({"licence": " "}, "the licence is not stated: name it, or write null"),
    "a branch": ({"revision": "main"}, "the revision must be a commit of 40 digits, not 'main'"),
    "another source": ({"source": "https://x"}, "the source must be hf://owner/name or package:MODULE"),
    "half a hash": ({"files": {"w": {"sha256": "00"}}}, "the SHA-256 of w must have 64 digits, not '00'"),
    "a file elsewhere": ({"files": {"../w": {}}}, "files must be names of files"),
    "no file": ({"files": {}}, "files must be names of files"),
    "ours without a hash": ({"source": "package:zoo.weights", "files": {"w": {}}}, "its SHA-256 must be stated"),
    "a picture elsewhere": ({"picture": "p.png"}, "the picture 'p.png' must be one of its files"),
    "a new field": ({"license": "mit"}, "unknown field of a row 'license': did you mean licence"),
    "two words": ({"files": {"w": {"size": 3}}}, "is not a table of weights (TypeError"),
    "no default": ({"default": False}, "one row of lenet5 must be its default"),
}


@pytest.mark.parametrize("what", BAD)
def test_a_wrong_table_is_one_line(what: str, tmp_path: Path) -> None:
    changes, message = BAD[what]
    path = tmp_path / "table.json"
    path.write_text(json.dumps({"rows": {"lenet5.mnist": GOOD | changes}}))
    with pytest.raises(UserError) as caught:
        table.read(path)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    path.write_text(json.dumps({"rows": {"lenet5": GOOD}}))
    with pytest.raises(UserError, match="must be the name of its card"):
        table.read(path)
    path.write_text("[]")
    with pytest.raises(UserError, match="is not a table of weights"):
        table.read(path)
