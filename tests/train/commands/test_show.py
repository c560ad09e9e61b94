"""`zoo list` and `zoo show`: every figure is there, uncut, in a pipe and on 80 columns."""

import json
from typing import get_args, get_type_hints

import pytest
from rich.console import Console

import zoo
from train.algorithms.cards import ALGORITHMS, KINDS
from train.commands.console import emit
from train.commands.show import list_algorithms, list_models, list_models_json, show
from train.config import Optim
from train.config.losses import LOSSES
from train.metrics.format import human
from zoo import fields
from zoo.errors import UserError


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (None, "–"), (0, "0"), (650, "650"), (61_706, "61,706"), (99_999, "99,999"), (825_000, "0.82 M"),
        (833_040, "0.83 M"), (999_999, "1.0 M"), (25_557_032, "25.6 M"), (99_960_000, "100 M"),
        (632_045_800, "632 M"), (4.1e9, "4.1 G"), (3.3e14, "330 T"),
    ],
)  # fmt: skip
def test_human_numbers(number: float | None, text: str) -> None:
    assert human(number) == text


def test_list_in_a_pipe_cuts_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    emit(list_models())
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [words[1] for words in lines if words and words[0].isdigit()] == list(zoo.CARDS)
    (lenet,) = [words for words in lines if "lenet5" in words]
    assert lenet == ["1998", "lenet5", "LeCun", "et", "al.", "61,706", "0.83", "M", "32×32×1"]


def test_list_fits_a_terminal() -> None:
    console = Console(width=80)
    with console.capture() as capture:
        console.print(list_models())
    lines = capture.get().splitlines()
    assert all(any(name in line.split() for line in lines) for name in zoo.CARDS)
    assert len([line for line in lines if line.strip()]) == len(zoo.CARDS) + 2  # head and rule; no row wraps


def test_list_as_json_is_exact() -> None:
    (entry,) = json.loads(list_models_json("resnet50"))
    assert (entry["name"], entry["year"], entry["params"]) == ("resnet50", 2015, 25_557_032)
    assert entry["inputs"] == {"x": {"shape": [224, 224, 3], "dtype": "float32"}}
    assert entry["paper"]["url"] == "https://arxiv.org/abs/1512.03385"


@pytest.mark.parametrize("listing", [list_models, list_models_json])
def test_a_pattern_without_match_offers_names(listing: object) -> None:
    with pytest.raises(UserError, match=r"did you mean .*resnet50"):
        listing("resnet5O")


def test_show_has_the_card_and_every_layer(capsys: pytest.CaptureFixture[str]) -> None:
    emit(show("lenet5"))
    out = capsys.readouterr().out
    card = zoo.card("lenet5")
    for words in (card.idea, card.paper.url, card.departs, "Takes x 32×32×1 float32, gives 10.", "61,706 parameters"):
        assert words in out
    table = show("lenet5").renderables[-1]
    rows = {str(path): params for path, params in zip(*(table.columns[i].cells for i in (0, 3)), strict=True)}
    assert rows["(the model)"] == "61,706"
    leaves = [path for path in rows if path != "(the model)" and not any(p.startswith(path + "/") for p in rows)]
    assert sum(int(rows[path].replace(",", "")) for path in leaves) == 61_706


def test_show_tells_the_lineage(capsys: pytest.CaptureFixture[str]) -> None:
    emit(show("transformer_base"))
    out = capsys.readouterr().out
    assert "Took: attention of the decoder to the encoder (seq2seq_attention); residual connections (resnet50)." in out
    assert "Passed on to: bert_tiny (the encoder); gpt1 (the decoder alone); vit_mini_patch2" in out
    assert "The paper counts 65,000,000, rounded." in out
    emit(show("perceptron"))
    assert "Took:" not in capsys.readouterr().out


def test_a_count_that_is_the_papers_own_is_not_called_rounded(capsys: pytest.CaptureFixture[str]) -> None:
    emit(show("lecun1989"))
    assert "The paper counts 9,760." in " ".join(capsys.readouterr().out.split())


def test_show_of_an_unknown_model_offers_names() -> None:
    with pytest.raises(UserError, match="did you mean lenet5"):
        show("lenet")


def test_algorithms_have_cards_that_are_found_by_name(capsys: pytest.CaptureFixture[str]) -> None:
    names = {*get_args(get_type_hints(Optim)["name"]), *LOSSES, *fields.ACTIVATIONS}
    assert names <= ALGORITHMS.keys()
    assert not ALGORITHMS.keys() & zoo.CARDS.keys()  # `zoo show` takes both
    for kind, cards in KINDS.items():
        emit(list_algorithms(kind))
        lines = [line.split() for line in capsys.readouterr().out.splitlines()]
        listed = [(int(words[0]), words[1]) for words in lines if words and words[0].isdigit()]
        assert sorted(listed) == sorted((card.year, card.name) for card in cards)
        assert [year for year, _ in listed] == sorted(year for year, _ in listed)
    emit(show("adam"))
    out = capsys.readouterr().out
    for words in ("D. P. Kingma, J. Ba", "https://arxiv.org/abs/1412.6980", "m ← β₁ m + (1 - β₁) g", "b2 = 0.999"):
        assert words in out
    with pytest.raises(UserError, match="unknown model or algorithm 'adan': did you mean adam"):
        show("adan")
