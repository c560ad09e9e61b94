"""Arrays of every form and the roles of splits, on files small enough to check by eye."""

from pathlib import Path

import numpy as np
import pytest

from train.config import Text
from train.data import cache
from train.data.text import catalog, tokenizers
from train.data.text.catalog import load
from train.data.text.dataset import Examples, TextDataset
from train.data.text.encode import Segments, _truncated, fill
from zoo.errors import UserError


def write(folder: Path, **files: str) -> Path:
    folder.mkdir(exist_ok=True)
    for name, content in files.items():
        (folder / name.replace("__", ".")).write_text(content, encoding="utf-8")
    return folder


def sizes(data: TextDataset) -> tuple[int, int, int]:
    return len(data.train), len(data.validation), len(data.test)


def test_a_single_document_is_cut_by_position_and_nothing_is_added(tmp_path: Path) -> None:
    text = "to be or not to be, that is the question\n" * 25
    (tmp_path / "one.txt").write_text(text)
    data = load(Text(f"text:{tmp_path}/one.txt", tokenizer="char", length=8), "stream")
    assert data.vocab == len(set(text))
    assert data.tokenizer.token_to_id(",") == sorted(set(text)).index(",")
    parts = [data.train, data.validation, data.test]
    assert "".join(tokenizers.decode(data.tokenizer, part.arrays["tokens"]) for part in parts) == text
    assert sizes(data) == (829, 93, 103)
    assert [part.nbytes_utf8 for part in parts] == [829, 93, 103]
    assert sizes(load(Text(f"text:{tmp_path}/one.txt", tokenizer="char", validation=0), "stream")) == (922, 0, 103)
    few = load(Text(f"text:{tmp_path}/one.txt", tokenizer="char", vocab=5), "stream")
    assert few.vocab == 9  # what is left out is [UNK], so the special tokens are there
    assert (few.train.arrays["tokens"] == 1).any()


def test_characters_first_met_in_validation_need_unk(tmp_path: Path) -> None:
    folder = write(tmp_path / "own", train__txt="ab " * 50, val__txt="ab c", test__txt="é")
    data = load(Text(f"text:{folder}", tokenizer="char", length=8), "stream")
    assert data.tokenizer.token_to_id("c") is None
    assert data.validation.arrays["tokens"].tolist() == [5, 6, 4, 1]
    assert data.test.nbytes_utf8 == 2
    with pytest.raises(UserError, match="has characters that are not in the tokenizer: 'c', 'é'"):
        load(Text(f"text:{folder}", length=8), "stream", tokenizers.learn("char", ["ab "], 9, specials=False))


def test_documents_stay_whole_and_end(tmp_path: Path) -> None:
    written = [f"{i:04b}" * (i + 5) for i in range(10)]
    folder = write(tmp_path / "books", **{f"{i}__txt": text for i, text in enumerate(written)})
    data = load(Text(f"text:{folder}", tokenizer="char", length=4), "stream")
    found = []
    for part in (data.train, data.validation, data.test):
        tokens = part.arrays["tokens"]
        assert tokens[-1] == 3
        documents = [tokenizers.decode(data.tokenizer, one) for one in np.split(tokens, np.flatnonzero(tokens == 3))]
        found += documents[:-1]
        assert part.nbytes_utf8 == len("".join(documents))
    assert sorted(found) == sorted(written)
    other = load(Text(f"text:{folder}", tokenizer="char", length=4, split_seed=3, validation=0.3), "stream")
    np.testing.assert_array_equal(other.test.arrays["tokens"], data.test.arrays["tokens"])


def test_by_position_documents_are_held_out_by_their_length(tmp_path: Path) -> None:
    folder = write(tmp_path / "books", **{f"{i}__txt": f"{i:04b}" * (i + 5) for i in range(10)})
    data = Text(f"text:{folder}", tokenizer="char", length=4, split_seed=3, validation=0.3, split_by="position")
    other = load(data, "stream")
    assert 0.2 < other.validation.nbytes_utf8 / (380 - other.test.nbytes_utf8) <= 0.3


def test_passages_are_halves_of_consecutive_text(tmp_path: Path) -> None:
    words = " ".join(f"w{i}" for i in range(60))
    folder = write(tmp_path / "a", train__txt=words, val__txt="alone", test__txt="w1 w2 w3 w4 w5 w6 w7")
    data = load(Text(f"text:{folder}", tokenizer="wordpiece", length=13, vocab=300), "passages")
    a, b = data.train.arrays["a"], data.train.arrays["b"]
    assert a.shape[1] == b.shape[1] == 5
    joined = np.concatenate([a, b], axis=1)
    assert tokenizers.decode(data.tokenizer, joined[joined > 0]) == words
    assert (joined[:-1] > 0).all()
    test = data.test.arrays
    assert ((test["a"] > 0).sum(), (test["b"] > 0).sum()) == (4, 3)
    with pytest.raises(UserError, match=r"no \[CLS\], needed for masked passages: choose another data.tokenizer"):
        load(Text(f"text:{folder}", tokenizer="char", length=13), "passages")


def test_pairs(tmp_path: Path) -> None:
    rows = "".join(f"{'a' * n}\t{'b' * (7 - n)}\n" for n in range(1, 7))
    folder = write(tmp_path / "pairs", train__tsv=rows, dev__tsv="ab\tba\n", test__tsv="aaa\tb\n")
    data = load(Text(f"tsv:{folder}", tokenizer="char", length=6), "pairs")
    assert data.validation.arrays["source"].tolist() == [[4, 5, 3]]
    assert data.validation.arrays["target"].tolist() == [[2, 5, 4, 3]]
    assert data.train.arrays["source"].shape == (6, 6)
    assert data.train.arrays["target"].shape == (6, 7)
    assert data.train.arrays["source"][0].tolist() == [4, 3, 0, 0, 0, 0]
    assert data.train.arrays["target"][0].tolist() == [2, 5, 5, 5, 5, 5, 3]
    assert data.train.cut == 2
    assert data.train.texts[0][5], data.train.texts[1][5] == ("aaaaaa", "b")
    assert data.test.texts == (["aaa"], ["b"])


def test_labelled(tmp_path: Path) -> None:
    rows = "".join(
        f"{word}\t{label}\n" for word, label in zip(["good", "bad", "so so"] * 20, [10, 9, 2] * 20, strict=True)
    )
    folder = write(tmp_path / "own", train__tsv=rows)
    by_position = {"split_by": "position", "vocab": 60}
    data = load(Text(f"tsv:{folder}", tokenizer="wordpiece", length=6, **by_position), "labelled")
    assert data.class_names == ("2", "9", "10")
    assert sizes(data) == (44, 4, 12)
    assert np.bincount(data.test.arrays["y"]).tolist() == [4, 4, 4]
    for part in (data.train, data.test):
        assert part.arrays["tokens"].shape == (len(part), 6)
        for text, row, y in zip(part.texts, *part.arrays.values(), strict=True):
            content = tokenizers.encode(data.tokenizer, text)
            assert row.tolist() == [4, *content, 5, *[0] * (4 - len(content))]
            assert data.class_names[y] == {"good": "10", "bad": "9", "so so": "2"}[text]
    plain = load(Text(f"tsv:{folder}", tokenizer="char", length=5, **by_position), "labelled")
    ends = [row[row > 0][-1] for row in plain.train.arrays["tokens"]]
    assert set(ends) == {3}
    assert plain.train.cut == sum(text == "so so" for text in plain.train.texts)
    documents = load(Text(f"tsv:{folder}", tokenizer="wordpiece", length=11, **by_position), "passages")
    assert tokenizers.decode(documents.tokenizer, documents.train.arrays["a"].ravel()).split()[0] in (
        "g",
        "b",
        "so",
        "go",
    )


def test_two_sentences_share_the_room() -> None:
    first, second = _truncated([np.array([9, 2, 9, 3]), np.array([9, 9, 1, 3])], 7)
    assert first.tolist() == [4, 2, 6, 3]
    assert second.tolist() == [3, 5, 1, 3]


def test_rows_are_filled_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    flat, counts = np.arange(1, 11), np.array([3, 0, 5, 2])
    columns = [7, Segments(flat, np.cumsum(counts) - counts, counts), 9]
    whole = fill(8, 4, columns, np.int32)
    assert whole.tolist()[1:3] == [[7, 9, 0, 0, 0, 0, 0, 0], [7, 4, 5, 6, 7, 8, 9, 0]]
    monkeypatch.setattr("train.data.text.encode.ROWS", 3)
    np.testing.assert_array_equal(fill(8, 4, columns, np.int32), whole)


def test_lower_case_text_and_vocabulary(tmp_path: Path) -> None:
    folder = write(tmp_path / "own", train__tsv="Ab\tCD\n" * 5, test__tsv="AB\tcd\n")
    data = load(Text(f"tsv:{folder}", tokenizer="char", lower=True, validation=0), "pairs")
    assert data.test.texts == (["ab"], ["cd"])
    assert tokenizers.encode(data.tokenizer, "AB") == data.test.arrays["source"][0, :2].tolist()
    assert tokenizers.characters(data.tokenizer) == set("abcd")


def test_learned_from_the_training_split_only_or_given(tmp_path: Path) -> None:
    folder = write(tmp_path / "own", train__tsv="ab\tcd\n" * 5, val__tsv="xy\tz\n", test__tsv="uv\tw\n")
    data = load(Text(f"tsv:{folder}", tokenizer="char"), "pairs")
    assert tokenizers.characters(data.tokenizer) == set("abcd")
    given = tokenizers.learn("char", ["abcdxyz"], 20)
    again = load(Text(f"tsv:{folder}", tokenizer="bpe"), "pairs", given)
    assert again.tokenizer is given
    given.save(str(tmp_path / "tokenizer.json"))
    path = load(Text(f"tsv:{folder}", tokenizer=str(tmp_path / "tokenizer.json")), "pairs")
    np.testing.assert_array_equal(path.train.arrays["source"], again.train.arrays["source"])


def test_long_sets_are_kept_and_bound_to_their_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalog, "LONG", 10)
    folder = write(tmp_path / "own", train__tsv="ab\tcd\n" * 5, val__tsv="ba\tdc\n" * 3, test__tsv="aa\tcc\n" * 3)
    config = Text(f"tsv:{folder}", tokenizer="char")
    first = load(config, "pairs")
    kept = len(list((cache.folder() / "data").iterdir()))
    monkeypatch.setattr(catalog, "FORMS", {})
    monkeypatch.setattr(tokenizers, "learn", None)
    again = load(config, "pairs")
    assert kept == 4
    np.testing.assert_array_equal(first.train.arrays["target"], again.train.arrays["target"])
    assert again.train.cut == 0
    write(folder, test__tsv="aa\tcd\n" * 3)
    with pytest.raises(KeyError):
        load(config, "pairs")


def test_the_cut_never_changes() -> None:
    every = Examples([str(i) for i in range(40)], labels=np.arange(40, dtype=np.int32) % 2)
    kept, taken = catalog.divide(every, 0.2, 0, "labelled")
    assert list(taken.texts) == ["0", "4", "15", "26", "27", "31", "33", "36"]
    assert sorted([*kept.texts, *taken.texts], key=int) == list(every.texts)
    assert len(catalog.divide(Examples(["aaa", "b"]), 0.1, 0, "stream")[1]) == 1


@pytest.mark.parametrize(
    ("fields", "form", "says"),
    [
        ({"validation": 1.0}, "stream", "data.validation=1.0: must be at least 0 and below 1"),
        ({"split_seed": -1}, "stream", "data.split_seed=-1: must not be negative"),
        ({"length": 4}, "passages", "data.length=4: must be at least 5 tokens"),
        ({"vocab": 0}, "stream", "data.vocab=0: must be at least 1"),
        ({"tokenizer": "bpee"}, "stream", "did you mean bpe"),
        ({"length": 10_000}, "stream", "training tokens are too few for data.length=10000"),
        ({}, "pairs", "contains running text, not pairs of a sentence and its translation"),
        (
            {"name": "dates/en-ko"},
            "labelled",
            "contains pairs of a sentence and its translation, not sentences with a cl",
        ),
        ({"name": "dates/en-ko"}, "stream", "contains pairs of a sentence and its translation, not running text"),
        ({"name": "python_docs/topic"}, "pairs", "contains sentences with a class, not pairs"),
        ({"name": "python_doc"}, "stream", "unknown data set 'python_doc': did you mean python_docs"),
    ],
)
def test_what_a_user_gets_wrong_is_one_line(tmp_path: Path, fields: dict, form: str, says: str) -> None:
    (tmp_path / "one.txt").write_text("some text " * 20)
    with pytest.raises(UserError, match=says) as raised:
        load(Text(**{"name": f"text:{tmp_path}/one.txt", "tokenizer": "char"} | fields), form)
    assert "\n" not in str(raised.value)


def test_too_few_examples(tmp_path: Path) -> None:
    folder = write(tmp_path / "own", train__tsv="a\tb\n")
    with pytest.raises(UserError, match="no examples are left for test"):
        load(Text(f"tsv:{folder}", tokenizer="char"), "pairs")
