import gzip
from pathlib import Path

import pytest

from train.config import Text
from train.data.text import files, tokenizers
from train.data.text.catalog import load
from train.data.text.dataset import Form
from zoo.errors import UserError


def refused(call: object, *arguments: object) -> str:
    with pytest.raises(UserError) as raised:
        call(*arguments)
    assert "\n" not in str(raised.value)
    return str(raised.value)


def test_files_and_folders_of_text(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"\xef\xbb\xbfone\r\ntwo")
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "b.txt.gz").write_bytes(gzip.compress("über".encode()))
    (tmp_path / "other.md").write_text("not read")
    assert files.text(str(tmp_path)).splits["train"].texts == ["one\ntwo", "über"]
    assert files.text(str(tmp_path / "other.md")).splits["train"].texts == ["not read"]
    (tmp_path / "train.txt").write_text("x")
    (tmp_path / "valid.txt.gz").write_bytes(gzip.compress(b"y"))
    splits = files.text(str(tmp_path)).splits
    assert {split: part.texts for split, part in splits.items()} == {"train": ["x"], "validation": ["y"]}
    (tmp_path / "dev.txt").write_text("z")
    assert "has two files for validation: dev.txt and valid.txt.gz; keep one" in refused(files.text, str(tmp_path))


def test_text_that_cannot_be_read(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    for content, says in (
        (b"", "is empty"),
        (b" \n\n", "is empty"),
        (b"PNG\0\1", "is not text: it has a zero byte at 3"),
        (b"abc\xff\xfe", "is not UTF-8: byte 3 is 0xff; convert or repair it"),
        ("é".encode()[:1], "is not UTF-8: byte 0 is 0xc3; convert or repair it"),
    ):
        path.write_bytes(content)
        assert refused(files.text, str(path)) == f"{path} {says}"
    packed = tmp_path / "a.txt.gz"
    for content in (b"no gzip", gzip.compress(b"abc" * 99)[:-5], b"\x1f\x8b\x08\0\0\0\0\0\0\0\xff\xff\xff"):
        packed.write_bytes(content)
        assert refused(files.read, packed).startswith(f"{packed} is damaged (")
    assert refused(files.read, tmp_path) == f"{tmp_path} cannot be read: Is a directory"
    assert "there is no such file or folder" in refused(files.text, str(tmp_path / "none"))
    assert "there is no such file or folder" in refused(files.text, "")
    (tmp_path / "empty").mkdir()
    assert "has no .txt or .txt.gz files" in refused(files.text, str(tmp_path / "empty"))


@pytest.mark.parametrize("name", ["a.txt", "a.txt.gz"])
def test_a_file_that_memory_has_no_room_for(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = b"0123456789" * 1000
    (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith("gz") else content)
    monkeypatch.setattr(files.machine, "host_memory_free", lambda: 8 * 10_000)
    assert len(files.read(tmp_path / name)) == 10_000
    monkeypatch.setattr(files.machine, "host_memory_free", lambda: 8 * 9_999)
    assert refused(files.read, tmp_path / name).startswith(f"{tmp_path / name} holds more than ")


def test_text_that_no_tokenizer_can_take_is_named_by_file_and_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    word, rows = "a" * 20_000, "".join(f"one {i}\ttwo\n" for i in range(30))
    (tmp_path / "books").mkdir()
    (tmp_path / "books" / "1.txt").write_text("one two\n" * 40)
    (tmp_path / "books" / "2.txt").write_text("one two\n" * 40 + f"three {word}\n")
    (tmp_path / "long.tsv").write_text(f"{rows}three\t{word}\n{rows}")
    for language in ("de", "en"):
        (tmp_path / f"train.{language}").write_text("one\n" * 30 + f"{word if language == 'en' else 'two'}\n")
    cases: list[tuple[str, Form, str]] = [
        (f"text:{tmp_path / 'books'}", "stream", f"{tmp_path / 'books' / '2.txt'}, line 41"),
        (f"tsv:{tmp_path / 'long.tsv'}", "pairs", f"{tmp_path / 'long.tsv'}, line 31"),
        (f"tsv:{tmp_path / 'de-en'}", "pairs", f"{tmp_path / 'train.en'}, line 31"),
    ]
    for name, form, place in cases:
        says = refused(load, Text(name, tokenizer="bpe", vocab=300), form)
        assert says.startswith(f"{place}: a word of more than 10,000 characters, from which learning bpe would")
    assert load(Text(cases[0][0], tokenizer="char", length=8), "stream").vocab  # characters know no words
    monkeypatch.setattr(files.machine, "host_memory_free", lambda: 4 * 150 * 15_000)
    monkeypatch.setattr(tokenizers, "_cut", lambda tokenizer: None)  # one of which nothing is known
    says = refused(load, Text(cases[1][0], tokenizer="char"), "pairs")
    assert says == (
        f"{tmp_path / 'long.tsv'}, line 31: 20,000 characters that this tokenizer reads at once, and there is memory "
        "for 15,000: divide them into words or files"
    )


def test_two_columns(tmp_path: Path) -> None:
    path = tmp_path / "all.tsv"
    path.write_text('"quoted\tpos\nwith \u2028 inside\tneg\n', encoding="utf-8")
    corpus = files.tsv(str(path), "labelled")
    assert corpus.class_names == ("neg", "pos")
    assert corpus.splits["train"].texts == ['"quoted', "with \u2028 inside"]
    assert corpus.splits["train"].labels.tolist() == [1, 0]
    assert files.tsv(str(path), "pairs").splits["train"].seconds == ["pos", "neg"]
    assert files.tsv(str(path), "passages").splits["train"].seconds is None


def test_columns_that_are_wrong(tmp_path: Path) -> None:
    path = tmp_path / "train.tsv"
    for content, says in (
        ("a\tb\nc\n", f"{path}, line 2: 1 column, expected 2"),
        ("a\tb\tc\n", f"{path}, line 1: 3 columns, expected 2"),
        ("a\tb\n\nc\td\n", f"{path}, line 2: 1 column, expected 2"),
        ("a\t1\n\t2\n", f"{path}, line 2: a column is empty"),
        ("a\t1\nb\t1\n", f"{path} has only one class, '1': at least two are needed"),
        ("sentence\tlabel\na\t0\nb\t1\n", f"{path}, line 1: 'label' looks like a header; remove that line"),
    ):
        path.write_text(content)
        assert refused(files.tsv, str(tmp_path), "labelled") == says
    path.write_text("a\t0\nb\t1\n")
    (tmp_path / "dev.tsv").write_text("a\t0\nb\t2\n")
    says = f"{tmp_path}/dev.tsv, line 2: the class '2' is not in train.tsv"
    assert refused(files.tsv, str(tmp_path), "labelled") == says
    (tmp_path / "none").mkdir()
    assert "the folder has no train.tsv" in refused(files.tsv, str(tmp_path / "none"), "labelled")
    assert "there is no such file or folder" in refused(files.tsv, str(tmp_path / "x.tsv"), "labelled")


def test_parallel_files(tmp_path: Path) -> None:
    for name, content in {"train.de": "eins\nzwei\n", "val.de": "drei\n", "test_2016.de": "vier\n"}.items():
        (tmp_path / name).write_text(content)
        english = {"eins": "one", "zwei": "two", "drei": "three", "vier": "four"}
        other = "".join(f"{english[line]}\n" for line in content.split())
        (tmp_path / name.replace(".de", ".en.gz")).write_bytes(gzip.compress(other.encode()))
    corpus = files.tsv(f"{tmp_path}/en-de", "pairs")
    assert corpus.languages == ("en", "de")
    assert list(corpus.splits) == ["train", "validation", "test"]
    assert corpus.splits["train"].texts == ["one", "two"]
    assert corpus.splits["test"].seconds == ["vier"]
    (tmp_path / "val.de").write_text("drei\nvier\n")
    says = f"{tmp_path}/val.de has 2 lines, and {tmp_path}/val.en.gz has 1"
    assert refused(files.tsv, f"{tmp_path}/de-en", "pairs") == says
    (tmp_path / "val.de").unlink()
    assert refused(files.tsv, f"{tmp_path}/de-en", "pairs").endswith(
        "one of the two languages has a file for validation"
    )
    assert "there is no train.fr or train.fr.gz" in refused(files.tsv, f"{tmp_path}/de-fr", "pairs")
    (tmp_path / "test_2017.de").write_text("x\n")
    assert "several test sets (test_2016, test_2017); keep one" in refused(files.tsv, f"{tmp_path}/de-en", "pairs")
