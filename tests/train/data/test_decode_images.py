import dataclasses
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from sets_by_hand import example, png, write_array_record

from train.commands.predict import open_picture
from train.commands.published import image_inputs
from train.config import Data, files
from train.data import decode
from train.data.images import catalog
from train.data.images.catalog import load
from train.data.record import of_images
from train.data.stream import batches
from train.tasks.check import check
from zoo.errors import UserError
from zoo.weights.preprocessing import from_json, to_json

SIZES = ((9, 20), (20, 9), (12, 12), (30, 31))


def picture(height: int, width: int) -> np.ndarray:
    """(H, W, 3): left of the middle red, right of it blue, green rising downwards."""
    x = np.zeros((height, width, 3), np.uint8)
    x[:, : width // 2, 0] = x[:, width // 2 :, 2] = 255
    x[..., 1] = np.linspace(0, 255, height)[:, None]
    return x


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("fit", decode.FITS)
def test_every_fit_gives_the_shape(fit: str, channels: int) -> None:
    for shape in SIZES:
        x = np.full((*shape, channels), 7, np.uint8)
        fitted = decode.bring(x, (32, 32, channels), fit)
        assert (fitted.shape, fitted.dtype) == ((32, 32, channels), np.uint8)
        assert fitted.max() == 7


@pytest.mark.parametrize(("height", "width"), [(40, 60), (61, 40), (40, 40)])
def test_crop_is_the_centre_of_the_image_with_its_shorter_side_resized(height: int, width: int) -> None:
    x = picture(height, width)
    scale = 20 / min(height, width)
    whole = Image.fromarray(x).resize((round(width * scale), round(height * scale)), Image.BILINEAR)
    left, top = (whole.width - 20) // 2, (whole.height - 20) // 2
    expected = np.asarray(whole)[top : top + 20, left : left + 20].astype(int)
    ours = decode.crop(x, 20).astype(int)
    assert np.abs(ours - expected)[:, [*range(8), *range(12, 20)]].max() <= 10  # the edge of colours may move a little
    np.testing.assert_array_equal(decode.crop(x[5:25, :20], 20), x[5:25, :20])


def test_a_set_of_many_sizes_streams(make: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, _ = make(splits={"train": 8, "test": 2}, shards=1)
    described = (folder / "features.json").read_text()
    (folder / "features.json").write_text(described.replace('"5"', '"-1"').replace('"4"', '"-1"'))
    for split, count in (("train", 8), ("test", 2)):
        path = folder / f"tiny-{split}.array_record-00000-of-00001"
        path.unlink()
        write_array_record(path, [example(png(picture(*SIZES[i % 4])), i % 3) for i in range(count)])
    monkeypatch.setattr(catalog, "IN_MEMORY", 0)
    with pytest.raises(UserError, match=r"tiny: its images differ in size; give data\.image_size"):
        load(Data("tiny"))
    data = load(Data("tiny", image_size=10, fit="crop", validation=0.25))
    assert not data.train.in_memory
    assert data.shape == (10, 10, 3)
    batch = next(batches(data.train, 6, seed=0, workers=0))
    assert batch["x"].shape == (6, 10, 10, 3)
    assert (batch["x"][:, :, 0, 0] == 255).all()
    assert (batch["x"][:, :, -1, 2] == 255).all()


def test_a_folder_of_many_sizes_streams(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for label in ("cat", "dog"):
        (tmp_path / "images" / label).mkdir(parents=True)
        for i in range(8):
            Image.fromarray(picture(*SIZES[i % 4])).save(tmp_path / "images" / label / f"{i}.png")
    monkeypatch.setattr(catalog, "IN_MEMORY", 0)
    name = f"folder:{tmp_path / 'images'}"
    with pytest.raises(UserError, match=r"images differ in size .*: give data\.image_size"):
        load(Data(name))
    data = load(Data(name, image_size=8, fit="crop"))
    assert not data.train.in_memory
    assert next(batches(data.train, 4, seed=0, workers=0))["x"].shape == (4, 8, 8, 3)


def test_decoding_brings_any_mode_to_the_channels_asked_for() -> None:
    for mode, colour in (("L", 90), ("CMYK", (0, 0, 0, 165)), ("RGBA", (90, 90, 90, 255))):
        buffer = io.BytesIO()
        Image.new(mode, (4, 3), colour).save(buffer, format="TIFF")
        assert (decode.decode(buffer.getvalue(), 3) == 90).all()
        assert decode.decode(buffer.getvalue(), 1).shape == (3, 4, 1)


def jpeg(height: int, width: int, **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(picture(height, width)).save(buffer, format="JPEG", quality=95, **options)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("least", "shape"),
    [
        (None, (96, 200)),
        (97, (96, 200)),
        (49, (96, 200)),
        (48, (48, 100)),
        (25, (48, 100)),
        (24, (24, 50)),
        (3, (12, 25)),
    ],
)
def test_a_jpeg_is_decoded_at_the_smallest_scale_that_is_large_enough(least: int | None, shape: tuple) -> None:
    assert decode.decode(jpeg(96, 200), 3, least).shape == (*shape, 3)
    assert decode.decode(jpeg(96, 200), 1, least).shape == (*shape, 1)
    assert decode.decode(png(picture(96, 200)), 3, least).shape == (96, 200, 3)


def test_a_jpeg_that_stands_on_its_side_is_decoded_at_a_smaller_scale_too() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees
    assert decode.decode(jpeg(96, 200, exif=exif), 3, 24).shape == (50, 24, 3)


def jpegs(root: Path) -> str:
    """A set of JPEG files, 96 pixels high and up to 107 wide."""
    for label in ("cat", "dog"):
        (root / label).mkdir(parents=True)
        for i in range(6):
            (root / label / f"{i}.jpg").write_bytes(jpeg(96, 102 + i))
    return f"folder:{root}"


@pytest.mark.parametrize("fit", decode.SHRINKING)
@pytest.mark.parametrize("placement", ["device", "stream"])
def test_scaled_decoding_is_obeyed_in_memory_and_while_reading_and_changes_little(
    fit: str, placement: str, tmp_path: Path
) -> None:
    data = Data(jpegs(tmp_path / "images"), image_size=20, fit=fit, placement=placement)
    full, scaled = (load(dataclasses.replace(data, decode=how)) for how in ("full", "scaled"))
    for split in ("train", "validation", "test"):
        whole, reduced = (getattr(each, split).arrays() for each in (full, scaled))
        np.testing.assert_array_equal(whole["y"], reduced["y"])
        apart = np.abs(whole["x"].astype(int) - reduced["x"])
        assert 0 < apart.mean() < 3
    path = full.train.store.paths[0] if placement == "stream" else None
    if path is not None:
        expected = decode.bring(decode.decode(path.read_bytes(), 3, 20), (20, 20, 3), fit)
        np.testing.assert_array_equal(scaled.train.store.read(np.array([0]))[0][0], expected)


def test_prediction_decodes_as_the_run_did(tmp_path: Path) -> None:
    data = Data(jpegs(tmp_path / "images"), image_size=20, decode="scaled", placement="stream")
    dataset = load(data)
    weights: Any = Weights({"x": ((20, 20, 3), "float32")})
    prepare = image_inputs(weights, data, of_images(dataset)).preprocessing
    assert prepare == from_json(to_json(prepare))  # as `zoo export` keeps it
    for number, path in enumerate(dataset.train.store.paths):
        x, _ = dataset.train.store.read(np.array([number]))
        expected = (x[0] / np.float32(255) - dataset.mean[None, None]) / dataset.std[None, None]
        np.testing.assert_allclose(prepare(open_picture(path, prepare.least)), expected, rtol=1e-5, atol=1e-5)
        np.testing.assert_array_equal(prepare(Image.open(path)), prepare(open_picture(path, prepare.least)))


@dataclasses.dataclass(frozen=True)
class Weights:
    """The fields of opened weights that are needed here."""

    inputs: dict[str, Any]
    preprocessing: Any = None
    labels: tuple[str, ...] = ()


@pytest.mark.parametrize("fields", [{}, {"image_size": 20, "fit": "pad"}])
def test_scaled_decoding_of_images_that_are_not_made_smaller_is_refused(fields: dict[str, Any]) -> None:
    experiment = files.load("digits_mlp")
    data = dataclasses.replace(experiment.data, decode="scaled", **fields)
    with pytest.raises(UserError, match=r"^data\.decode=scaled needs data\.image_size, with data\.fit resize or crop$"):
        check(dataclasses.replace(experiment, data=data))
