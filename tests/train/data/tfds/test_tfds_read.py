import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from sets_by_hand import example, png, write_array_record

from train.config import Data
from train.data.images.catalog import load
from train.data.tfds import read
from zoo.errors import UserError


def refused(name: str = "tiny", **fields: object) -> str:
    with pytest.raises(UserError) as raised:
        load(Data(name, **fields))
    assert "\n" not in str(raised.value)
    return str(raised.value)


@pytest.mark.parametrize("format", ["array_record", "tfrecord"])
@pytest.mark.parametrize(("shape", "shards"), [((5, 4, 3), 2), ((6, 6, 1), 1), ((4, 4, 4), 3)])
def test_reads_what_was_written(make: Callable, format: str, shape: tuple, shards: int) -> None:
    _, content = make(format=format, shape=shape, shards=shards)
    found = read.find("tiny", None, "resize")
    name, version, classes, splits = found.name, found.version, found.class_names, found.stores
    assert (name, version, classes) == ("tiny", "1.0.0", ("0", "1", "2"))
    for split, (x, y) in content.items():
        scattered = np.random.default_rng(1).permutation(len(x))
        read_x, read_y = splits[split].read(scattered)
        np.testing.assert_array_equal(read_x, x[scattered])
        np.testing.assert_array_equal(read_y, y[scattered])


def test_newest_version_or_the_one_asked_for(make: Callable) -> None:
    folder, _ = make()
    for version in ("1.10.0", "1.9.0"):
        other = folder.with_name(version)
        other.mkdir()
        for file in folder.iterdir():
            (other / file.name).write_bytes(file.read_bytes().replace(b"1.0.0", version.encode()))
    assert load(Data("tiny")).version == "1.10.0"
    assert load(Data("tiny:1.9.0")).version == "1.9.0"
    assert "unknown version of tiny" in refused("tiny:2.0.0")


def test_forms_of_a_set(make: Callable) -> None:
    make("emnist/letters")
    assert load(Data("emnist/letters")).name == "emnist/letters"
    assert refused("emnist").startswith("emnist has several configs; prepared in")
    assert "run `zoo data prepare emnist/digits`" in refused("emnist/digits")


def damage(folder: Path, harm: str) -> Path:
    path = sorted(folder.glob("tiny-train*"))[-1]
    content = bytearray(path.read_bytes())
    if harm == "flip":
        content[len(content) // 2 if "tfrecord" in path.name else 1500] ^= 4
    elif harm == "length":
        content[1] ^= 1  # in the first header: a length that does not match its checksum
    else:
        content = {"truncate": content[:-700], "cut": content[:1000], "empty": b""}[harm]
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("format", "harm"),
    [
        *(("array_record", harm) for harm in ("flip", "cut", "empty")),
        *(("tfrecord", harm) for harm in ("flip", "length", "truncate", "empty")),
    ],
)
def test_damaged_records_are_named(make: Callable, format: str, harm: str) -> None:
    folder, _ = make(format=format)
    path = damage(folder, harm)
    says = refused()
    assert says.startswith(f"{path} is damaged (")
    assert says.endswith(f"): delete {folder} and run `zoo data prepare tiny`")


def test_missing_pieces_are_named(make: Callable) -> None:
    folder, _ = make()
    for name in ("tiny-train.array_record-00001-of-00002", "features.json"):
        (folder / name).rename(folder / "aside")
        assert refused().startswith(f"{folder / name} is damaged (the file is missing)")
        (folder / "aside").rename(folder / name)
    for name in ("features.json", "dataset_info.json"):
        text = (folder / name).read_text()
        (folder / name).write_text(text[:-20])
        assert refused().startswith(f"{folder / name} is damaged (")
        (folder / name).write_text('{"strange": 1}')
        assert refused().startswith(f"{folder}/dataset_info.json is damaged (")
        (folder / name).write_text(text)
    assert len(load(Data("tiny")).train)


def test_other_counts_than_described(make: Callable) -> None:
    folder, content = make(shards=1)
    path = folder / "tiny-train.array_record-00000-of-00001"
    path.unlink()
    write_array_record(path, [example(png(x), 0) for x in content["train"][0][:7]])
    assert "is damaged (7 records where dataset_info.json says 40)" in refused()


def test_records_that_are_no_images_of_the_set(make: Callable) -> None:
    folder, content = make(splits={"train": 1, "test": 1}, shards=1)
    path = folder / "tiny-test.array_record-00000-of-00001"
    for record in (example(b"no image", 0), b"no example", example(png(content["test"][0][0][:3]), 0), b""):
        path.unlink()
        write_array_record(path, [record])
        assert refused().startswith(f"{path} is damaged (")


def test_sets_of_another_kind(make: Callable) -> None:
    make("wide", dtype="uint16")
    assert refused("wide") == "wide: its images are uint16 (5, 4, 3); only 8 bits and 1, 3 or 4 channels can be read"
    folder, _ = make("text", labelled="image2")
    features = json.loads((folder / "features.json").read_text())
    del features["featuresDict"]["features"]["image2"]
    (folder / "features.json").write_text(json.dumps(features))
    assert refused("text") == (
        "text is not an image classification data set: it has 1 images and 0 classes per example (image)"
    )
    folder, _ = make("other", format="tfrecord")
    info = folder / "dataset_info.json"
    info.write_text(info.read_text().replace("tfrecord", "riegeli"))
    assert refused("other") == f"{folder} is prepared as riegeli; only array_record and tfrecord can be read"


def test_images_of_several_sizes_need_one(make: Callable) -> None:
    folder, _ = make(splits={"train": 2, "test": 1}, shards=1)
    features = (folder / "features.json").read_text()
    (folder / "features.json").write_text(features.replace('"5"', '"-1"').replace('"4"', '"-1"'))
    path = folder / "tiny-train.array_record-00000-of-00001"
    path.unlink()
    images = [np.full((size, 7, 3), 9, np.uint8) for size in (3, 8)]
    write_array_record(path, [example(png(x), 0) for x in images])
    assert refused() == "tiny: its images differ in size; give data.image_size (pixels), such as 224"
    data = load(Data("tiny", image_size=8, fit="pad", validation=0))
    x = data.train.arrays()["x"]
    assert x.shape == (2, 8, 8, 3)
    assert x[:, :, :7].sum(axis=(1, 2, 3)).tolist() == [3 * 7 * 3 * 9, 8 * 7 * 3 * 9]
    assert (load(Data("tiny", image_size=8)).train.arrays()["x"] == 9).all()


def test_a_folder_that_may_not_be_read(make: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, _ = make()

    def denied(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(read, "_shard", denied)
    path = folder / "tiny-test.array_record-00000-of-00002"
    assert refused() == f"{path} cannot be read: Permission denied"


def test_read_only_folders_are_enough(make: Callable) -> None:
    folder, _ = make()
    for path in (*folder.iterdir(), folder):
        os.chmod(path, 0o555 if path.is_dir() else 0o444)
    assert len(load(Data("tiny")).test) == 10
    os.chmod(folder, 0o755)


def test_without_array_record_one_line_says_what_works(make: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on Windows, for which the package has no build. Files in TFRECORD are read without it."""
    make()
    make(name="mnist", format="tfrecord")
    monkeypatch.setitem(sys.modules, "array_record.python", None)
    assert len(load(Data("mnist")).train)
    assert refused().endswith("has no build for Windows; an embedded set or folder:PATH works there")


@pytest.mark.parametrize(
    ("template", "says"),
    [
        (
            "../../{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}",
            "a file name without a folder, not '../",
        ),
        ("/etc/{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}", "a file name without a folder, not "),
        (
            "sub/{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}",
            "a file name without a folder, not 'sub/",
        ),
        ("{DATASED}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}", "is damaged ("),
    ],
)
def test_a_template_of_file_names_leads_nowhere_else(make: Callable, template: str, says: str) -> None:
    folder, _ = make()
    file = folder / "dataset_info.json"
    file.write_text(file.read_text().replace("{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}", template))
    line = refused()
    assert line.startswith(f"{file}")
    assert says in line
    assert "delete /etc" not in line


@pytest.mark.parametrize("key", ["pythonClassName", "python_class_name", "type"])
def test_a_feature_that_is_no_part_of_tfds_is_not_imported(
    key: str, make: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, _ = make()
    (tmp_path / "evil_features.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    monkeypatch.syspath_prepend(tmp_path)
    file = folder / "features.json"
    ours = '"pythonClassName": "tensorflow_datasets.core.features.image_feature.Image"'
    file.write_text(file.read_text().replace(ours, f'"{key}": "evil_features.Image"'))
    assert refused() == f"{file} names 'evil_features.Image', which is no part of TFDS: its code is not run"
    assert not (tmp_path / "ran").exists()
