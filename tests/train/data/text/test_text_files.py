import gzip
from pathlib import Path

import pytest

from train.data.text import files
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
