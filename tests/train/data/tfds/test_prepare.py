"""TFDS's own builders, fed archives in their download formats, without TensorFlow and without a network."""

import gzip
import importlib.util
import io
import tarfile
from pathlib import Path
from urllib.error import URLError
from urllib.request import Request

import numpy as np
import pytest
import tensorflow_datasets as tfds
from tensorflow_datasets.core.download import resource
from tensorflow_datasets.core.utils import lazy_imports_utils

from train.config import Data
from train.data.images.catalog import load
from train.data.tfds import prepare as preparing
from train.data.tfds import without_tensorflow
from train.data.tfds.prepare import prepare
from zoo.errors import UserError

pytestmark = pytest.mark.skipif(importlib.util.find_spec("tensorflow") is not None, reason="TensorFlow is installed")


def place(root: Path, name: str, archives: dict[str, bytes]) -> None:
    """Puts archives where TFDS's download manager keeps what it has downloaded."""
    builder = tfds.builder(name, data_dir=root)
    manager = builder._make_download_manager(download_dir=None, download_config=tfds.download.DownloadConfig())
    for url, content in archives.items():
        path = manager._get_dl_path(resource.Resource(url=url), builder.url_infos[url].checksum)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        resource.get_info_path(path).write_text("{}")


def drawn(count: int, shape: tuple) -> tuple[np.ndarray, np.ndarray]:
    return np.random.default_rng(count).integers(0, 256, (count, *shape), np.uint8), np.arange(
        count, dtype=np.uint8
    ) % 10


def same_examples(split: object, x: np.ndarray, y: np.ndarray) -> bool:
    """TFDS shuffles while writing, so examples are compared as a set."""
    read = split.arrays()
    return {a.tobytes() + bytes([b]) for a, b in zip(read["x"], read["y"], strict=True)} == {
        a.tobytes() + bytes([b]) for a, b in zip(x, y, strict=True)
    }


def test_mnist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tensorflow_datasets.image_classification import mnist

    root, archives, content = tmp_path / "tfds", {}, {}
    for split, prefix, constant, count in (
        ("train", "train", "_TRAIN_EXAMPLES", 60),
        ("test", "t10k", "_TEST_EXAMPLES", 20),
    ):
        monkeypatch.setattr(mnist, constant, count)
        x, y = content[split] = drawn(count, (28, 28, 1))
        archives[f"{mnist._MNIST_URL}{prefix}-images-idx3-ubyte.gz"] = gzip.compress(bytes(16) + x.tobytes())
        archives[f"{mnist._MNIST_URL}{prefix}-labels-idx1-ubyte.gz"] = gzip.compress(bytes(8) + y.tobytes())
    place(root, "mnist", archives)
    assert prepare("mnist") == root / "mnist" / "3.0.1"
    data = load(Data("mnist", validation=0))
    assert same_examples(data.train, *content["train"])
    assert same_examples(data.test, *content["test"])
    assert data.train.arrays()["y"].tolist() != content["train"][1].tolist()
    monkeypatch.setattr(tfds.core.DatasetBuilder, "download_and_prepare", None)  # not asked a second time
    assert prepare("mnist", root) == root / "mnist" / "3.0.1"
    assert "_module" not in vars(lazy_imports_utils.tensorflow)


def test_cifar10(tmp_path: Path) -> None:
    names = b"airplane automobile bird cat deer dog frog horse ship truck".split()
    content, buffer = {"train": drawn(50, (32, 32, 3)), "test": drawn(20, (32, 32, 3))}, io.BytesIO()

    def binary(x: np.ndarray, y: np.ndarray) -> bytes:
        return np.concatenate([y[:, None], x.transpose(0, 3, 1, 2).reshape(len(x), -1)], axis=1).tobytes()

    x, y = content["train"]
    files = {f"data_batch_{i + 1}.bin": binary(x[i * 10 : i * 10 + 10], y[i * 10 : i * 10 + 10]) for i in range(5)}
    files |= {"test_batch.bin": binary(*content["test"]), "batches.meta.txt": b"\n".join(names)}
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, data in files.items():
            member = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    place(tmp_path / "tfds", "cifar10", {"https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz": buffer.getvalue()})
    prepare("cifar10")
    data = load(Data("cifar10", validation=0))
    assert data.class_names == tuple(name.decode() for name in names)
    assert same_examples(data.train, *content["train"])
    assert same_examples(data.test, *content["test"])


def refused(name: str) -> str:
    with pytest.raises(UserError) as raised:
        prepare(name)
    assert "\n" not in str(raised.value)
    return str(raised.value)


def test_without_a_network_one_line_at_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def away(request: Request, timeout: float) -> None:
        assert timeout <= 5
        raise URLError("Name or service not known")

    monkeypatch.setattr(preparing, "urlopen", away)
    assert refused("cifar10") == "cifar10 could not be prepared: no answer from www.cs.toronto.edu; is there a network?"
    assert not (tmp_path / "tfds" / "cifar10" / "3.0.2").exists()


def test_names(monkeypatch: pytest.MonkeyPatch) -> None:
    assert refused("mnsit").startswith("unknown TFDS data set 'mnsit': did you mean mnist")
    assert refused("emnist/letter").startswith("unknown config of emnist 'letter': did you mean letters")
    assert refused("mnist/letters") == "mnist has no configs"
    assert "mnist" in refused("mnist:9.9.9")


def test_sets_that_cannot_be_downloaded(tmp_path: Path) -> None:
    assert refused("imagenet2012") == (
        "imagenet2012 cannot be downloaded automatically: download its files from https://image-net.org/ and put them "
        "into "
        f"{tmp_path}/tfds/downloads/manual"
    )


def test_it_steps_aside_where_more_is_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    assert refused("coco/2017").startswith("coco/2017 cannot be prepared without TensorFlow (tf.int64): `pip install")
    monkeypatch.setattr(without_tensorflow, "TESTED", ("1.0",))
    assert "cannot be prepared without TensorFlow (tensorflow-datasets 4." in refused("mnist")


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "tfds").write_text("a file in the way")
    assert refused("mnist").startswith("mnist could not be prepared: ")


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_encoded_images_read_back_equal(channels: int) -> None:
    x, _ = drawn(1, (9, 7, channels))
    feature = tfds.features.Image(shape=(9, 7, channels))
    with without_tensorflow.stand_in():
        encoded = feature.encode_example(x[0])
    np.testing.assert_array_equal(feature.decode_example_np(encoded), x[0])


def test_jpeg_has_the_quality_of_tensorflow() -> None:
    x = np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)
    from PIL import Image

    image = Image.open(io.BytesIO(without_tensorflow.encode_jpeg(x).numpy()))
    assert image.format == "JPEG"
    assert image.quantization[0][0] == 2  # 16 at quality 50, a tenth of it at 95
