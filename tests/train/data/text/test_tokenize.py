import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer

from train.data.text import tokenizers
from train.data.text.dataset import Examples
from zoo.errors import UserError

LINES = [
    "The cat sat on the mat.\n",
    "Ein Café — naïve \u4f60\u597d 🙂\t\ttabs",
    "  two  spaces\n\n\nlines [EOS] [PAD]",
    "",
]
TEXT = [line * 3 for line in LINES] + ["lower lowest newer newest wider widest"] * 20


def refused(call: Callable, *arguments: object) -> str:
    with pytest.raises(UserError) as raised:
        call(*arguments)
    assert "\n" not in str(raised.value)
    return str(raised.value)


@pytest.mark.parametrize("kind", ["char", "bpe"])
def test_text_comes_back_exactly(kind: str) -> None:
    tokenizer = tokenizers.learn(kind, TEXT, 400)
    ids = tokenizers.encode_many(tokenizer, LINES)
    parts = np.split(ids.flat, np.cumsum(ids.lengths)[:-1])
    assert [tokenizers.decode(tokenizer, part) for part in parts] == LINES
    assert ids.flat.dtype == np.uint16
    assert ids.flat.min() > 3  # "[EOS]" in a text is five characters, not the end of it


def test_wordpiece_reads_as_bert_does() -> None:
    tokenizer = tokenizers.learn("wordpiece", TEXT, 300, lower=True)
    tokens = tokenizer.encode("LOWEST Café!").tokens
    assert "".join(tokens).replace("##", "") == "lowestcafe[UNK]"
    assert tokenizers.decode(tokenizer, tokenizer.encode("the cat sat.").ids) == "the cat sat."
    assert [tokenizers.special(tokenizer, name) for name in tokenizers.NAMES] == list(range(7))


def test_ids_of_special_tokens() -> None:
    for kind in ("char", "bpe"):
        tokenizer = tokenizers.learn(kind, TEXT, 300)
        assert [tokenizer.token_to_id(name) for name in tokenizers.SPECIAL] == [0, 1, 2, 3]
        assert tokenizers.special(tokenizer, "[MASK]") is None
    assert tokenizers.vocab_size(tokenizers.learn("bpe", TEXT, 300)) == 300


def test_characters_by_frequency_in_the_order_of_code_points() -> None:
    tokenizer = tokenizers.learn("char", ["bbbaac", "ddd"], 3, specials=False)
    assert tokenizer.get_vocab() == {"a": 0, "b": 1, "d": 2}
    assert tokenizers.characters(tokenizer) == set("abd")
    assert tokenizers.characters(tokenizers.learn("bpe", TEXT, 300)) is None


@pytest.mark.parametrize("kind", tokenizers.KINDS)
def test_the_same_text_gives_the_same_tokenizer_in_another_process(kind: str) -> None:
    program = (
        "import json, sys; from train.data.text import tokenizers; "
        "print(tokenizers.learn(sys.argv[1], json.loads(sys.argv[2]), 350, True).to_str())"
    )
    command = [sys.executable, "-c", program, kind, json.dumps(TEXT)]
    assert subprocess.check_output(command, text=True).strip() == tokenizers.learn(kind, TEXT, 350, True).to_str()


@pytest.mark.parametrize("kind", tokenizers.KINDS)
def test_long_text_is_cut_without_a_trace(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    tokenizer = tokenizers.learn(kind, TEXT, 350)
    text = "".join(np.random.default_rng(0).choice([*LINES[:3], "\n", " \n", "\n ", "word"], 300))
    whole = tokenizer.encode(text.replace("[EOS]", "x").replace("[PAD]", "x"), add_special_tokens=False).ids
    monkeypatch.setattr(tokenizers, "PIECE", 40)
    cut = tokenizers.encode_many(tokenizer, ["", text.replace("[EOS]", "x").replace("[PAD]", "x"), ""])
    assert len(list(tokenizers._pieces(text, tokenizers._cut(tokenizer)))) > 50
    assert cut.lengths.tolist() == [0, len(whole), 0]
    assert cut.flat.tolist() == whole


@pytest.mark.parametrize("kind", tokenizers.KINDS)
def test_a_long_line_is_cut_without_a_trace(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    tokenizer = tokenizers.learn(kind, TEXT, 350)
    parts = [
        "the cat",
        " ",
        "  ",
        "\t ",
        "'s",
        "12",
        "Café",
        "e\u0301",
        " \u0301",
        "漢字",
        "-",
        "\u2028",
        "\x1c",
        "x" * 60,
    ]
    text = "".join(np.random.default_rng(0).choice(parts, 400))
    whole = tokenizer.encode(text, add_special_tokens=False).ids
    monkeypatch.setattr(tokenizers, "PIECE", 40)
    assert tokenizers.encode_many(tokenizer, [text]).flat.tolist() == whole
    start, size = tokenizers.longest_piece(tokenizer, text)
    pieces = [len(piece) for piece in tokenizers._pieces(text, tokenizers._cut(tokenizer))]
    assert (size, start in np.cumsum([0, *pieces])) == (max(pieces), True)
    assert len(pieces) > 30
    if kind == "char":  # even without a space
        assert max(pieces) == 40


@pytest.mark.parametrize(
    ("kind", "text", "found"),
    [
        ("bpe", "a" * 20_000, True),
        ("bpe", "我" * 20_000, True),
        ("bpe", "a1" * 10_000, False),
        ("bpe", "-" * 20_000, True),
        ("wordpiece", "ab" * 10_000, True),
        ("wordpiece", "我" * 20_000, False),
        ("wordpiece", "a-" * 10_000, False),
        ("char", "a" * 20_000, False),
        ("bpe", "a" * 9_999, False),
    ],
)
def test_a_word_that_is_too_long_to_learn_from(kind: str, text: str, found: bool) -> None:
    blank, before = tokenizers.blank(kind), "some words " * 5_000
    position = tokenizers.long_word(blank, before + text + " more" * 5_000)
    assert (position is not None) == found
    assert position is None or len(before) <= position <= len(before) + 10_000


def test_typed_text_may_hold_special_tokens_and_strangers_are_named() -> None:
    tokenizer = tokenizers.learn("wordpiece", TEXT, 300)
    assert 6 in tokenizers.encode(tokenizer, "the [MASK] sat 漢")
    letters = tokenizers.learn("char", ["abc"], 10)
    assert tokenizers.encode(letters, "a[BOS]c") == [4, 2, 6]
    assert tokenizers.encode(letters, "axb", strict=False) == [4, 1, 5]
    assert refused(tokenizers.encode, letters, "aéb\tc") == (
        "the text has characters that are not in the vocabulary: '\\t', 'é'"
    )
    many = "".join(map(chr, range(0x4E00, 0x4E00 + 15)))
    assert refused(tokenizers.encode, letters, many).endswith("and 5 more")
    assert tokenizers.encode(tokenizers.learn("char", ["abc"], 10, lower=True), "ABC") == [4, 5, 6]


def test_published_files(tmp_path: Path) -> None:
    ours = tokenizers.learn("wordpiece", TEXT, 300, lower=True)
    (tmp_path / "vocab.txt").write_text("\n".join(sorted(ours.get_vocab(), key=ours.token_to_id)), encoding="utf-8")
    theirs = tokenizers.read(tmp_path / "vocab.txt", lower=True)
    assert theirs.encode("The Café sat").ids == ours.encode("The Café sat").ids
    assert tokenizers.special(theirs, "[MASK]") == 6
    assert tokenizers.decode(theirs, [4, *theirs.encode("cat").ids, 5]) == "cat"
    folder = tmp_path / "gpt2"
    folder.mkdir()
    pairs = tokenizers.learn("bpe", TEXT, 400)
    pairs.model.save(str(folder))
    content = json.loads((folder / "vocab.json").read_text())
    content["<|endoftext|>"] = content.pop("[EOS]")
    (folder / "vocab.json").write_text(json.dumps(content))
    published = tokenizers.read(folder)
    assert tokenizers.decode(published, tokenizers.encode_many(published, [LINES[1]]).flat) == LINES[1]
    assert tokenizers.special(published, "[EOS]") == 3
    assert published.encode("a<|endoftext|>").ids[-1] == 3


def test_saved_and_read_again(tmp_path: Path) -> None:
    for kind in tokenizers.KINDS:
        tokenizer = tokenizers.learn(kind, TEXT, 300)
        tokenizer.enable_truncation(3)
        tokenizer.save(str(tmp_path / "tokenizer.json"))
        again = tokenizers.read(tmp_path)
        tokenizer.no_truncation()
        assert (
            tokenizers.encode_many(again, TEXT).flat.tolist() == tokenizers.encode_many(tokenizer, TEXT).flat.tolist()
        )
        assert (tokenizers.characters(again) is None) == (kind != "char")


def test_what_a_user_gets_wrong_is_one_line(tmp_path: Path) -> None:
    assert "unknown data.tokenizer (or the path of one) 'wordpeice': did you mean wordpiece" in refused(
        tokenizers.named, "wordpeice", False
    )
    assert refused(tokenizers.named, str(tmp_path / "no.json"), False).startswith(
        f"data.tokenizer={tmp_path}/no.json: "
    )
    assert "the folder has none of tokenizer.json" in refused(tokenizers.read, tmp_path)
    for name, content in (("tokenizer.json", "{"), ("vocab.json", "{}"), ("other.json", "[]")):
        (tmp_path / name).write_text(content)
        assert refused(tokenizers.read, tmp_path / name).startswith(f"{tmp_path / name} is not a tokenizer (")
    assert "bpe needs at least 260" in refused(tokenizers.learn, "bpe", TEXT, 100)
    assert "wordpiece needs at least 9" in refused(tokenizers.learn, "wordpiece", TEXT, 8)
    tokenizer = tokenizers.learn("char", ["abc"], 10)
    tokenizers.require_vocab(tokenizer, 7, "the run")
    assert refused(tokenizers.require_vocab, tokenizer, 8, "the run") == (
        "the tokenizer has 7 tokens, and the run has 8: they do not belong together"
    )
    assert "has no [MASK], needed for it" in refused(tokenizers.require, tokenizer, ["[MASK]"], "it")
    odd = json.loads(tokenizer.to_str().replace("[PAD]", "<x>").replace("[UNK]", "<pad>"))
    assert "has id 1, not 0, for [PAD]" in refused(
        tokenizers.require, Tokenizer.from_str(json.dumps(odd)), ["[PAD]"], ""
    )


def test_a_published_tokenizer_lowers_what_a_user_types_as_it_lowers_training_text(tmp_path: Path) -> None:
    tokenizers.learn("char", ["abσς"], 10).save(str(tmp_path / "tokenizer.json"))
    read = tokenizers.read(tmp_path, lower=True)
    trained = Examples(["AB ΟΔΟΣ ΣΣ"]).lower().texts[0]
    assert trained == "ab οδοσ σσ"
    assert tokenizers.encode(read, "ABΣ") == tokenizers.encode(read, "abσ")
    assert (
        tokenizers.encode_many(read, ["ΟΔΟΣ AB"]).flat.tolist()
        == tokenizers.encode_many(read, ["οδοσ ab"]).flat.tolist()
    )
