"""Images with masks: composed scenes, the user's own folder, sets of TFDS; what is wrong is one line."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

import train.data
from train.config import Data, Scenes
from train.data.masks.catalog import load
from train.data.scenes import sets, source
from train.data.split import IGNORED
from zoo.errors import UserError

SEGMENT = "scenes/segment"


def write(root: Path, name: str, mask: np.ndarray, *, ending: str = "png") -> None:
    """Write an image whose red is 10 times the class of each pixel, and its mask."""
    for part in ("images", "masks"):
        (root / part).mkdir(parents=True, exist_ok=True)
    image = np.zeros((*mask.shape, 3), np.uint8)
    image[..., 0] = np.where(mask == IGNORED, 0, 10 * mask)
    Image.fromarray(image).save(root / "images" / f"{name}.{ending}")
    Image.fromarray(mask).save(root / "masks" / f"{name}.png")


def filled(root: Path, count: int = 12, shape: tuple[int, int] = (6, 8)) -> Path:
    for number in range(count):
        mask = np.random.default_rng(number).integers(0, 3, shape).astype(np.uint8)
        write(root, f"{number:02}", mask)
    return root


def refused(root: Path, **fields: object) -> str:
    with pytest.raises(UserError) as raised:
        load(Data(f"folder:{root}", **fields))
    assert "\n" not in str(raised.value)
    return str(raised.value)


def test_the_masks_of_scenes_are_where_the_whole_digit_has_ink() -> None:
    data = Scenes(SEGMENT, size=24, images=300)
    found = load(data)
    assert found.class_names == ("background", *"0123456789")
    assert [len(found.train), len(found.validation), len(found.test)] == list(sets.counts(data).values())
    scene = sets.composed(data, "test")
    held = found.test.arrays()
    np.testing.assert_array_equal(held["x"], scene.image)
    np.testing.assert_array_equal(held["y"], np.where(scene.mask, scene.label[:, None, None] + 1, 0))
    assert held["y"].dtype == np.uint8
    plain = train.data.load(Scenes(size=24, images=300)).test.arrays()
    np.testing.assert_array_equal(held["x"], plain["x"])  # another view of the same scenes
    np.testing.assert_array_equal(held["y"].max((1, 2)), plain["y"] + 1)
    assert found.test.nbytes == sum(part.nbytes for part in held.values())


def test_new_scenes_have_their_masks_too() -> None:
    data = Scenes(SEGMENT, size=20, images=None)
    number = jnp.arange(8, dtype=jnp.uint32)
    device, plain = (source.new_scenes(Scenes(name, size=20, images=None), 8, None) for name in (SEGMENT, "scenes"))
    batch = jax.jit(lambda number: device.feed({"number": number}, lambda batch: batch))(number)
    labels = jax.jit(lambda number: plain.feed({"number": number}, lambda batch: batch))(number)["y"]
    np.testing.assert_array_equal(batch["y"].max((1, 2)), labels + 1)
    assert load(data).new_examples is not None


def test_a_folder_of_images_and_masks(tmp_path: Path) -> None:
    found = load(Data(f"folder:{filled(tmp_path)}"))
    assert found.class_names == ("0", "1", "2")
    assert found.shape == (6, 8, 3)
    assert len(found.train) + len(found.validation) + len(found.test) == 12
    assert min(len(found.train), len(found.test)) > 0
    for split in (found.train, found.test):
        held = split.arrays()
        np.testing.assert_array_equal(held["x"][..., 0], 10 * held["y"])
    streamed = load(Data(f"folder:{tmp_path}", placement="stream"))
    np.testing.assert_array_equal(streamed.test.arrays()["y"], found.test.arrays()["y"])
    assert streamed.test.nbytes == found.test.nbytes
    (tmp_path / "classes.txt").write_text("sky\nsea\nship\n", encoding="utf-8")
    assert load(Data(f"folder:{tmp_path}")).class_names == ("sky", "sea", "ship")
    write(tmp_path, "new", np.ones((6, 8), np.uint8))
    again = load(Data(f"folder:{tmp_path}")).test.arrays()["x"]
    assert all(any(np.array_equal(x, other) for other in again) for x in found.test.arrays()["x"])  # nothing else moved


def test_splits_are_folders_of_their_own_and_masks_of_a_palette_are_numbers(tmp_path: Path) -> None:
    for split in ("train", "val", "test"):
        filled(tmp_path / split, 3)
    mask = Image.new("P", (3, 4))
    mask.putdata([0, 2, IGNORED] * 4)
    mask.putpalette([9, 9, 9, 200, 0, 0, 0, 200, 0] + 247 * [0, 0, 1] + 6 * [5])
    Image.new("RGB", (3, 4)).save(tmp_path / "test" / "images" / "palette.jpg")
    mask.save(tmp_path / "test" / "masks" / "palette.png")
    found = load(Data(f"folder:{tmp_path}", image_size=5))
    assert [len(part) for part in (found.train, found.validation, found.test)] == [3, 3, 4]
    last = found.test.arrays()["y"][-1]
    assert last[0].tolist() == [0, 0, 2, IGNORED, IGNORED]  # each pixel has the class of the nearest one


@pytest.mark.parametrize(
    ("fit", "row"),
    [("resize", [0, 0, 1, 1]), ("crop", [0, 0, 1, 1]), ("pad", [IGNORED, 0, 1, IGNORED])],
)
def test_masks_are_brought_to_a_size_as_their_images_are(tmp_path: Path, fit: str, row: list[int]) -> None:
    shape = (4, 2) if fit == "pad" else (8, 8)
    for number in range(4):
        mask = np.zeros(shape, np.uint8)
        mask[:, shape[1] // 2 :] = 1
        mask[0] = number % 2  # so that not all are equal
        write(tmp_path, str(number), mask)
    held = load(Data(f"folder:{tmp_path}", image_size=4, fit=fit, validation=0)).train.arrays()
    np.testing.assert_array_equal(held["y"][-1, 1:], [row] * 3)
    y, red = held["y"][-1, 1:], held["x"][-1, 1:, :, 0]
    np.testing.assert_array_equal(red > 4, (y > 0) & (y != IGNORED))


def test_what_is_wrong_with_a_folder_is_one_line(tmp_path: Path) -> None:
    root = filled(tmp_path / "sets", 4)
    masks = root / "masks"
    Image.new("L", (8, 7)).save(masks / "02.png")
    assert "02.png has 7x8 pixels, and its image 02.png has 6x8" in refused(root)
    Image.new("RGB", (8, 6)).save(masks / "02.png")
    assert "02.png is no mask: its pixels are of the mode RGB" in refused(root)
    (masks / "02.png").write_bytes(b"nothing")
    assert "cannot be read as an image" in refused(root)
    (masks / "02.png").unlink()
    assert "02.png: there is no file for it in" in refused(root)
    Image.new("L", (8, 6), 1).save(masks / "02.png")
    (root / "classes.txt").write_text("one\ntwo\n", encoding="utf-8")
    assert "has the class 2" in (said := refused(root))
    assert "names classes 0 to 1" in said
    (root / "classes.txt").write_text("one\none\n", encoding="utf-8")
    assert "names the class 'one' twice" in refused(root)
    Image.new("RGB", (8, 6)).save(root / "images" / "02.jpg")
    assert "another file there has the same name" in refused(root)
    (tmp_path / "other" / "images").mkdir(parents=True)
    assert "has no folder masks" in refused(tmp_path / "other")
    assert "there is no such folder" in refused(tmp_path / "nowhere")
    blank = tmp_path / "blank"
    for number in range(3):
        write(blank, str(number), np.full((4, 4), IGNORED, np.uint8))
    assert "every pixel of every mask is 255" in refused(blank)


@pytest.mark.parametrize("name", ["scenes", "mnist", "digits"])
def test_sets_without_masks_say_what_has_them(name: str) -> None:
    with pytest.raises(UserError, match="scenes/segment"):
        load(Data(name))
    with pytest.raises(UserError, match="would blur masks"):
        load(Scenes(SEGMENT, image_size=8))
    with pytest.raises(UserError, match="a class for each pixel"):
        train.data.load(Scenes(SEGMENT))
