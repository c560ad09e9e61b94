"""Folders of each test's own, and tiny sets laid out as TFDS lays them out."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from sets_by_hand import WRITERS, example, png


@pytest.fixture(autouse=True)
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads or writes the user's cache or sets."""
    monkeypatch.setenv("ZOO_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "tfds"))


@pytest.fixture(scope="session")
def real_sets() -> Path:
    """The folder in which TFDS sets were prepared before the tests began."""
    folder = os.environ.get("TFDS_DATA_DIR")
    if not folder or not Path(folder, "mnist").is_dir():
        pytest.skip("TFDS_DATA_DIR does not name a folder with a prepared mnist")
    return Path(folder)


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., tuple[Path, dict]]:
    """Writes a set of random images below $TFDS_DATA_DIR; returns its folder and {split: (x, y)}."""

    def write(
        name: str = "tiny",
        splits: dict[str, int] | None = None,
        format: str = "array_record",
        shards: int = 2,
        shape: tuple = (5, 4, 3),
        classes: int = 3,
        dtype: str = "uint8",
        labelled: str = "label",
        unlabelled: tuple[str, ...] = (),
    ) -> tuple[Path, dict]:
        folder = tmp_path / "tfds" / name / "1.0.0"
        folder.mkdir(parents=True)
        rng, content, info = np.random.default_rng(0), {}, []
        base = name.split("/")[0]
        for split, count in (splits or {"train": 40, "test": 10}).items():
            x = rng.integers(0, 256, (count, *shape), np.uint8)
            y = np.full(count, -1) if split in unlabelled else np.arange(count) % classes
            content[split] = x, y.astype(np.int32)
            cuts = np.array_split(np.arange(count), shards)
            for shard, cut in enumerate(cuts):
                path = folder / f"{base}-{split}.{format}-{shard:05}-of-{shards:05}"
                WRITERS[format](path, [example(png(x[i]), int(y[i])) for i in cut])
            template = "{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}"
            lengths = [str(len(cut)) for cut in cuts]
            info.append({"name": split, "shardLengths": lengths, "numBytes": "1", "filepathTemplate": template})
        kinds = "tensorflow_datasets.core.features."
        image = {
            "image": {"dtype": dtype, "shape": {"dimensions": [str(side) for side in shape]}},
            "pythonClassName": f"{kinds}image_feature.Image",
        }
        label = {
            "classLabel": {"numClasses": str(classes)},
            "pythonClassName": f"{kinds}class_label_feature.ClassLabel",
        }
        features = {
            "pythonClassName": f"{kinds}features_dict.FeaturesDict",
            "featuresDict": {"features": {"image": image, labelled: label}},
        }
        described = {"name": base, "version": "1.0.0", "fileFormat": format, "splits": info}
        (folder / "dataset_info.json").write_text(json.dumps(described))
        (folder / "features.json").write_text(json.dumps(features))
        return folder, content

    return write
