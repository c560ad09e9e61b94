import os
import shutil
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from train.config import Data
from train.data.images import folder
from train.data.images.catalog import load
from zoo.errors import UserError


def save(path: Path, value: int, size: tuple[int, int] = (6, 5), mode: str = "RGB", **options: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    colour = value if mode in ("L", "I;16") else (value,) * len(mode)
    Image.new(mode, size, colour).save(path, **options)


def fill(root: Path, classes: tuple[str, ...] = ("cat", "dog"), count: int = 10, **options: object) -> None:
    for number, name in enumerate(classes):
        for i in range(count):
            save(root / name / f"{i:02}.png", 100 * number + i, **options)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "images").mkdir()
    return tmp_path / "images"


def refused(root: Path, **fields: object) -> str:
    with pytest.raises(UserError) as raised:
        load(Data(f"folder:{root}", **fields))
    assert "\n" not in str(raised.value)
    return str(raised.value)


def test_one_folder_per_class_gets_a_fixed_test_split(root: Path) -> None:
    fill(root)
    data = load(Data(f"folder:{root}"))
    assert data.class_names == ("cat", "dog")
    assert data.shape == (5, 6, 3)
    assert len(data.train) + len(data.validation) + len(data.test) == 20
    for split in (data.train, data.validation, data.test):
        arrays = split.arrays()
        np.testing.assert_array_equal(arrays["x"][:, 0, 0, 0] // 100, arrays["y"])
        assert set(arrays["y"]) == {0, 1}
    again = load(Data(f"folder:{root}", validation=0))
    np.testing.assert_array_equal(again.test.arrays()["x"], data.test.arrays()["x"])
    before = load(Data(f"folder:{root}", split_by="position"))
    assert (len(before.train), len(before.validation), len(before.test)) == (15, 1, 4)
    assert np.bincount(before.test.arrays()["y"]).tolist() == [2, 2]


def test_folders_of_splits(root: Path) -> None:
    fill(root / "train", mode="L")
    fill(root / "val", count=3, mode="L")
    fill(root / "test", count=2, mode="L")
    data = load(Data(f"folder:{root}"))
    assert (len(data.train), len(data.validation), len(data.test)) == (20, 6, 4)
    assert data.shape == (5, 6, 1)


def test_grey_and_colour_become_colour_and_sizes_are_brought_together(root: Path) -> None:
    fill(root, mode="L")
    save(root / "cat" / "colour.jpg", 5)
    save(root / "dog" / "large.png", 5, size=(9, 9), mode="RGBA")
    (root / "dog" / "notes.txt").write_text("no image, no error")
    (root / "dog" / "README").write_text("no image, no error")
    says = refused(root)
    assert says.endswith("images differ in size (00.png has 5x6, large.png 9x9): give data.image_size")
    data = load(Data(f"folder:{root}", image_size=9, fit="pad"))
    assert data.shape == (9, 9, 3)
    left_out = "2 files in the class folders have no ending of an image and are left out (1 without an ending, 1 .txt)"
    assert data.remarks == (left_out,)
    assert "large.png: an image of 9x9 does not fit into data.image_size=8" in refused(root, image_size=8, fit="pad")


def test_a_changed_image_is_read_again(root: Path) -> None:
    fill(root / "train")
    fill(root / "test")
    assert load(Data(f"folder:{root}")).test.arrays()["x"][0, 0, 0, 0] == 0
    save(root / "test" / "cat" / "00.png", 77)
    os.utime(root / "test" / "cat" / "00.png", ns=(1, 1))
    assert load(Data(f"folder:{root}")).test.arrays()["x"][0, 0, 0, 0] == 77


def test_what_a_user_gets_wrong_is_named(root: Path) -> None:
    assert "there is no such folder" in refused(root / "nowhere")
    assert "contains no class folders" in refused(root)
    fill(root, classes=("cat",))
    assert "has only one class, 'cat'" in refused(root)
    (root / "dog").mkdir()
    assert f"{root / 'dog'} contains no images" in refused(root)
    fill(root)
    broken = root / "dog" / "03.png"
    broken.write_text("no image")
    assert refused(root).startswith(f"{broken} cannot be read as an image (")
    noise = np.random.default_rng(0).integers(0, 256, (5, 6, 3), np.uint8)
    Image.fromarray(noise).save(broken)
    broken.write_bytes(broken.read_bytes()[:-40])
    assert refused(root).startswith(f"{broken} cannot be read as an image (")
    Image.new("F", (6, 5)).save(broken.with_suffix(".tiff"))
    assert f"{broken.with_suffix('.tiff')} cannot be read as an image (its pixels are floating-point" in refused(root)


def test_classes_that_training_does_not_know(root: Path) -> None:
    fill(root / "train")
    fill(root / "test", classes=("cat", "mouse"))
    assert "test has the class 'mouse', and train does not" in refused(root)


def arrow(height: int = 5, width: int = 8) -> np.ndarray:
    """An RGB image (H, W, 3) that is another one however it is turned."""
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_an_image_is_turned_as_it_is_shown(root: Path, orientation: int) -> None:
    upright = Image.fromarray(arrow())
    back = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # orientation -> the Transpose that stores the image so
    stored = upright if orientation == 1 else upright.transpose(Image.Transpose(back[orientation]))
    exif = Image.Exif()
    exif[0x0112] = orientation
    fill(root, count=2, size=(8, 5))
    stored.save(root / "cat" / "99.png", exif=exif)
    data = load(Data(f"folder:{root}", validation=0))
    assert data.shape == (5, 8, 3)  # the size, too, is that of the image as it is shown
    every = np.concatenate([data.train.arrays()["x"], data.test.arrays()["x"]])
    assert (every == arrow()[None]).all(axis=(1, 2, 3)).any()


def test_gray_of_16_bits_keeps_its_upper_8(root: Path) -> None:
    fill(root, mode="L")
    values = np.arange(30, dtype=np.uint16).reshape(5, 6) * 2048
    Image.fromarray(values).save(root / "cat" / "99.png")
    data = load(Data(f"folder:{root}", validation=0))
    every = np.concatenate([data.train.arrays()["x"], data.test.arrays()["x"]])[..., 0]
    assert (every == (values // 256).astype(np.uint8)[None]).all(axis=(1, 2)).any()


def test_linked_folders_belong_to_the_class_and_hidden_ones_do_not(root: Path, tmp_path: Path) -> None:
    fill(root, count=4)
    save(tmp_path / "elsewhere" / "more.jfif", 9)
    save(root / "cat" / ".ipynb_checkpoints" / "00-checkpoint.png", 9)
    (root / "cat" / "linked").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    (root / "cat" / "up").symlink_to(root / "cat", target_is_directory=True)
    data = load(Data(f"folder:{root}", validation=0))
    assert len(data.train) + len(data.test) == 9


def test_an_image_of_too_many_pixels_is_one_line_that_names_it(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(root)
    save(root / "cat" / "large.png", 1, size=(64, 64))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    message = refused(root, image_size=8)
    assert f"{root}/cat/large.png cannot be read as an image" in message
    assert "decompression bomb" in message


def test_streaming_keeps_nothing_in_memory_and_changes_no_split(root: Path) -> None:
    noise = np.random.default_rng(0)
    for name, count in (("cat", 24), ("dog", 9)):
        (root / name).mkdir()
        for i in range(count):
            Image.fromarray(noise.integers(0, 256, (5, 6, 3), np.uint8)).save(root / name / f"{i:02}.png")
    held, streamed = (load(Data(f"folder:{root}", labels=0.5, placement=kind)) for kind in ("device", "stream"))
    for split in ("train", "validation", "test"):
        np.testing.assert_array_equal(getattr(streamed, split).indices, getattr(held, split).indices)
        assert not getattr(streamed, split).in_memory
    np.testing.assert_array_equal(streamed.mean, held.mean)
    np.testing.assert_array_equal(streamed.std, held.std)


@pytest.mark.parametrize(("train", "test"), [("Training", "Testing"), ("TRAIN", "TEST"), ("training", "Test")])
def test_split_folders_under_other_usual_names(root: Path, train: str, test: str) -> None:
    fill(root / train)
    fill(root / test, count=2)
    (root / "notes").mkdir()
    data = load(Data(f"folder:{root}"))
    assert data.class_names == ("cat", "dog")
    assert len(data.test) == 4
    assert "folders beside the splits are left out: notes" in data.remarks


def test_a_class_may_have_the_name_of_a_split(root: Path) -> None:
    fill(root)
    (root / "cat").rename(root / "train")
    assert load(Data(f"folder:{root}")).class_names == ("dog", "train")


def test_split_folders_that_contradict(root: Path) -> None:
    for name in ("train", "val", "valid"):
        fill(root / name)
    assert refused(root).endswith("has two folders for validation: val and valid")
    shutil.rmtree(root / "train")
    shutil.rmtree(root / "val")
    assert refused(root).endswith("has valid with class folders, but no train/CLASS/*: add it, or rename them")


def test_the_cache_knows_the_place(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two projects with a folder of the same name, and files of the same names, sizes and times."""
    pixels = {}
    for color in ("red", "blue"):
        place = root.parent / color
        fill(place / "data")
        for number, file in enumerate(sorted(place.rglob("*.png"))):
            Image.new("L", (6, 5), number + (100 if color == "red" else 0)).save(file)
            os.utime(file, (1, 1))
        monkeypatch.chdir(place)
        pixels[color] = load(Data("folder:data")).train.arrays()["x"]
    assert pixels["red"].min() >= 100 > pixels["blue"].max()


def test_headers_of_many_files_hold_no_content(root: Path) -> None:
    """The beginnings of all files were held at once, which for a million files is 80 GB."""
    for i in range(200):
        path = root / "cat" / f"{i}.bmp"
        path.parent.mkdir(exist_ok=True)
        Image.new("RGB", (160, 160), i).save(path)  # 77 kB, of which 64 kB are read
    paths = tuple(sorted((root / "cat").iterdir()))
    tracemalloc.start()
    try:
        found = folder._headers(paths)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(np.unique(found["keys"])) == 200
    assert peak < 4 << 20
