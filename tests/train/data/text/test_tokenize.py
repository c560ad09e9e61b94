import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer

from train.data.text import tokenize
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
    tokenizer = tokenize.learn(kind, TEXT, 400)
    ids = tokenize.encode_many(tokenizer, LINES)
    parts = np.split(ids.flat, np.cumsum(ids.lengths)[:-1])
    assert [tokenize.decode(tokenizer, part) for part in parts] == LINES
    assert ids.flat.dtype == np.uint16
    assert ids.flat.min() > 3  # "[EOS]" in a text is five characters, not the end of it


def test_wordpiece_reads_as_bert_does() -> None:
    tokenizer = tokenize.learn("wordpiece", TEXT, 300, lower=True)
    tokens = tokenizer.encode("LOWEST Café!").tokens
    assert "".join(tokens).replace("##", "") == "lowestcafe[UNK]"
    assert tokenize.decode(tokenizer, tokenizer.encode("the cat sat.").ids) == "the cat sat."
    assert [tokenize.special(tokenizer, name) for name in tokenize.NAMES] == list(range(7))


def test_ids_of_special_tokens() -> None:
    for kind in ("char", "bpe"):
        tokenizer = tokenize.learn(kind, TEXT, 300)
        assert [tokenizer.token_to_id(name) for name in tokenize.SPECIAL] == [0, 1, 2, 3]
        assert tokenize.special(tokenizer, "[MASK]") is None
    assert tokenize.vocab_size(tokenize.learn("bpe", TEXT, 300)) == 300


def test_characters_by_frequency_in_the_order_of_code_points() -> None:
    tokenizer = tokenize.learn("char", ["bbbaac", "ddd"], 3, specials=False)
    assert tokenizer.get_vocab() == {"a": 0, "b": 1, "d": 2}
    assert tokenize.characters(tokenizer) == set("abd")
    assert tokenize.characters(tokenize.learn("bpe", TEXT, 300)) is None


@pytest.mark.parametrize("kind", tokenize.KINDS)
def test_the_same_text_gives_the_same_tokenizer_in_another_process(kind: str) -> None:
    program = (
        "import json, sys; from train.data.text import tokenize; "
        "print(tokenize.learn(sys.argv[1], json.loads(sys.argv[2]), 350, True).to_str())"
    )
    command = [sys.executable, "-c", program, kind, json.dumps(TEXT)]
    assert subprocess.check_output(command, text=True).strip() == tokenize.learn(kind, TEXT, 350, True).to_str()


@pytest.mark.parametrize("kind", tokenize.KINDS)
def test_long_text_is_cut_without_a_trace(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    tokenizer = tokenize.learn(kind, TEXT, 350)
    text = "".join(np.random.default_rng(0).choice([*LINES[:3], "\n", " \n", "\n ", "word"], 300))
    whole = tokenizer.encode(text.replace("[EOS]", "x").replace("[PAD]", "x"), add_special_tokens=False).ids
    monkeypatch.setattr(tokenize, "PIECE", 40)
    cut = tokenize.encode_many(tokenizer, ["", text.replace("[EOS]", "x").replace("[PAD]", "x"), ""])
    assert len(list(tokenize._pieces(text))) > 50
    assert cut.lengths.tolist() == [0, len(whole), 0]
    assert cut.flat.tolist() == whole


def test_typed_text_may_hold_special_tokens_and_strangers_are_named() -> None:
    tokenizer = tokenize.learn("wordpiece", TEXT, 300)
    assert 6 in tokenize.encode(tokenizer, "the [MASK] sat 漢")
    letters = tokenize.learn("char", ["abc"], 10)
    assert tokenize.encode(letters, "a[BOS]c") == [4, 2, 6]
    assert tokenize.encode(letters, "axb", strict=False) == [4, 1, 5]
    assert refused(tokenize.encode, letters, "aéb\tc") == (
        "the text has characters that are not in the vocabulary: '\\t', 'é'"
    )
    many = "".join(map(chr, range(0x4E00, 0x4E00 + 15)))
    assert refused(tokenize.encode, letters, many).endswith("and 5 more")
    assert tokenize.encode(tokenize.learn("char", ["abc"], 10, lower=True), "ABC") == [4, 5, 6]


def test_published_files(tmp_path: Path) -> None:
    ours = tokenize.learn("wordpiece", TEXT, 300, lower=True)
    (tmp_path / "vocab.txt").write_text("\n".join(sorted(ours.get_vocab(), key=ours.token_to_id)), encoding="utf-8")
    theirs = tokenize.read(tmp_path / "vocab.txt", lower=True)
    assert theirs.encode("The Café sat").ids == ours.encode("The Café sat").ids
    assert tokenize.special(theirs, "[MASK]") == 6
    assert tokenize.decode(theirs, [4, *theirs.encode("cat").ids, 5]) == "cat"
    folder = tmp_path / "gpt2"
    folder.mkdir()
    pairs = tokenize.learn("bpe", TEXT, 400)
    pairs.model.save(str(folder))
    content = json.loads((folder / "vocab.json").read_text())
    content["<|endoftext|>"] = content.pop("[EOS]")
    (folder / "vocab.json").write_text(json.dumps(content))
    published = tokenize.read(folder)
    assert tokenize.decode(published, tokenize.encode_many(published, [LINES[1]]).flat) == LINES[1]
    assert tokenize.special(published, "[EOS]") == 3
    assert published.encode("a<|endoftext|>").ids[-1] == 3


def test_saved_and_read_again(tmp_path: Path) -> None:
    for kind in tokenize.KINDS:
        tokenizer = tokenize.learn(kind, TEXT, 300)
        tokenizer.enable_truncation(3)
        tokenizer.save(str(tmp_path / "tokenizer.json"))
        again = tokenize.read(tmp_path)
        tokenizer.no_truncation()
        assert tokenize.encode_many(again, TEXT).flat.tolist() == tokenize.encode_many(tokenizer, TEXT).flat.tolist()
        assert (tokenize.characters(again) is None) == (kind != "char")


def test_what_a_user_gets_wrong_is_one_line(tmp_path: Path) -> None:
    assert "unknown data.tokenizer (or the path of one) 'wordpeice': did you mean wordpiece" in refused(
        tokenize.named, "wordpeice", False
    )
    assert refused(tokenize.named, str(tmp_path / "no.json"), False).startswith(f"data.tokenizer={tmp_path}/no.json: ")
    assert "the folder has none of tokenizer.json" in refused(tokenize.read, tmp_path)
    for name, content in (("tokenizer.json", "{"), ("vocab.json", "{}"), ("other.json", "[]")):
        (tmp_path / name).write_text(content)
        assert refused(tokenize.read, tmp_path / name).startswith(f"{tmp_path / name} is no tokenizer (")
    assert "bpe needs at least 260" in refused(tokenize.learn, "bpe", TEXT, 100)
    assert "wordpiece needs at least 9" in refused(tokenize.learn, "wordpiece", TEXT, 8)
    tokenizer = tokenize.learn("char", ["abc"], 10)
    tokenize.require_vocab(tokenizer, 7, "the run")
    assert refused(tokenize.require_vocab, tokenizer, 8, "the run") == (
        "the tokenizer has 7 tokens where the run has 8: they do not belong together"
    )
    assert "has no [MASK], needed for it" in refused(tokenize.require, tokenizer, ["[MASK]"], "it")
    odd = json.loads(tokenizer.to_str().replace("[PAD]", "<x>").replace("[UNK]", "<pad>"))
    assert "has id 1, not 0, for [PAD]" in refused(tokenize.require, Tokenizer.from_str(json.dumps(odd)), ["[PAD]"], "")
