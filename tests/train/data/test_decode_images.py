import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sets_by_hand import example, png, write_array_record

from train.config import Data
from train.data import decode
from train.data.images import catalog
from train.data.images.catalog import load
from train.data.stream import batches
from zoo.errors import UserError

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
