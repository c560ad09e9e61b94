"""`datasets:NAME`, on sets that are made here: images and text, and one line for whatever the library raises."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from train.config import Data, Text
from train.data import hub
from train.data.images.catalog import load
from train.data.stream import batches
from train.data.text import catalog as text
from zoo.errors import UserError

X = np.random.default_rng(0).integers(0, 256, (40, 4, 4), np.uint8)
Y = [i % 4 for i in range(40)]
NAMES = ["ant", "bee", "cow", "dog"]
TEXTS = [f"number {i} is {'even' if i % 2 == 0 else 'odd'}" for i in range(40)]


@pytest.fixture
def datasets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The library, with its cache in the test's own folder and without the hub."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the libraries that it imports
        library = pytest.importorskip("datasets", reason="the extra `datasets` is not installed")
        import huggingface_hub
    library.disable_progress_bars()
    monkeypatch.setattr(library.config, "HF_DATASETS_CACHE", tmp_path / "hf")
    monkeypatch.setattr(library.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    return library


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "set"


def pictures(datasets: Any, labels: list | None = None, label: Any = None, **more: Any) -> Any:
    """A `datasets.Dataset` of X with its labels."""
    images = [Image.fromarray(x) for x in X]
    features = {"image": datasets.Image(), "label": label or datasets.ClassLabel(names=NAMES)}
    return datasets.Dataset.from_dict({"image": images, "label": labels or Y}, features=datasets.Features(features))


def refused(place: Path) -> str:
    with pytest.raises(UserError) as raised:
        load(Data(f"datasets:{place}"))
    assert "\n" not in str(raised.value)
    return str(raised.value).replace(str(place), "P")


def test_a_saved_set_without_splits_is_cut(datasets: Any, place: Path) -> None:
    pictures(datasets).save_to_disk(place)
    data = load(Data(f"datasets:{place}", image_size=8))
    assert data.class_names == tuple(NAMES)
    assert data.shape == (8, 8, 1)
    assert len(data.train) + len(data.validation) + len(data.test) == 40
    np.testing.assert_array_equal(load(Data(f"datasets:{place}")).train.store.x[..., 0], X)


def test_splits_are_those_of_the_set_and_are_streamed(datasets: Any, place: Path) -> None:
    whole = pictures(datasets)
    parts = {"train": range(24), "validation": range(24, 32), "test": range(32, 40), "unsupervised": range(40)}
    datasets.DatasetDict({split: whole.select(rows) for split, rows in parts.items()}).save_to_disk(place)
    data = load(Data(f"datasets:{place}", placement="stream"))
    for split, rows in (
        (data.train, parts["train"]),
        (data.validation, parts["validation"]),
        (data.test, parts["test"]),
    ):
        assert not split.in_memory
        np.testing.assert_array_equal(split.arrays()["x"][..., 0], X[list(rows)])
        np.testing.assert_array_equal(split.arrays()["y"], [Y[row] for row in rows])
    reader = batches(data.train, 8, seed=0, workers=0)
    held = load(Data(f"datasets:{place}"))
    np.testing.assert_array_equal(next(reader)["x"], next(batches(held.train, 8, seed=0, workers=0))["x"])
    reader.close()


@pytest.mark.parametrize("kind", ["parquet", "folder"])
def test_files_of_this_machine(kind: str, datasets: Any, place: Path) -> None:
    if kind == "parquet":
        place = place.with_suffix(".parquet")
        pictures(datasets).to_parquet(place)
    else:
        for number, (x, y) in enumerate(zip(X, Y, strict=True)):
            (place / NAMES[y]).mkdir(parents=True, exist_ok=True)
            Image.fromarray(x).save(place / NAMES[y] / f"{number:02}.png")
    data = load(Data(f"datasets:{place}"))
    assert data.class_names == tuple(NAMES)
    assert sorted(x.tobytes() for x in data.train.store.x) == sorted(x.tobytes() for x in X)


def test_another_content_is_decoded_again(datasets: Any, place: Path) -> None:
    for labels in (Y, Y[::-1]):
        place = place.with_suffix(".parquet")
        pictures(datasets, labels).to_parquet(place)
        assert load(Data(f"datasets:{place}")).train.store.y.tolist() == labels


def test_words_and_numbers_are_classes(datasets: Any, place: Path) -> None:
    pictures(datasets, [NAMES[3 - y] for y in Y], datasets.Value("string")).save_to_disk(place)
    data = load(Data(f"datasets:{place}"))
    assert data.class_names == tuple(NAMES)
    np.testing.assert_array_equal(data.train.store.y, [3 - y for y in Y])
    numbers = place.with_name("numbers")
    pictures(datasets, Y, datasets.Value("int8")).save_to_disk(numbers)
    assert load(Data(f"datasets:{numbers}")).class_names == ("0", "1", "2", "3")


def test_columns_that_cannot_be_are_one_line(datasets: Any, place: Path) -> None:
    whole = pictures(datasets)
    cases = [
        (whole.remove_columns("label"), "datasets:P has no column of classes, such as label; it has image (Image)"),
        (
            whole.remove_columns("image"),
            "datasets:P has 0 columns of images, one is needed: choose a config for text; ",
        ),
        (whole.add_column("coarse", Y).cast_column("coarse", datasets.ClassLabel(names=NAMES)), None),
        (
            whole.rename_column("label", "fine").add_column("coarse", Y).cast_column("coarse", datasets.ClassLabel(4)),
            "datas",
        ),
        (pictures(datasets, [None, *Y[1:]]), "datasets:P: example 0 of train has no label"),
        (
            pictures(datasets, Y, datasets.Value("float32")),
            "datasets:P: the column label is of the type float32: a class",
        ),
        (
            pictures(datasets, [-1, *Y[1:]], datasets.Value("int8")),
            "datasets:P: train has the label -1: classes are numb",
        ),
        (datasets.DatasetDict({"foo": whole}), "datasets:P has no split train, only foo"),
    ]
    for number, (made, said) in enumerate(cases):
        own = place.with_name(f"set{number}")
        made.save_to_disk(own)
        if said is None:  # of two columns of classes the one called label is meant
            assert load(Data(f"datasets:{own}")).classes == 4
        else:
            assert refused(own).replace(str(own), "P").startswith(said)


def test_images_that_are_missing_or_differ_in_size(datasets: Any, place: Path) -> None:
    images = [*(Image.fromarray(x) for x in X[:39]), None]
    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=NAMES)})
    datasets.Dataset.from_dict({"image": images, "label": Y}, features=features).save_to_disk(place)
    assert refused(place).startswith("datasets:P, train, example 39, cannot be read as an image (it has no image)")
    images[39] = Image.fromarray(X[39, :3])
    other = place.with_name("sizes")
    datasets.Dataset.from_dict({"image": images, "label": Y}, features=features).save_to_disk(other)
    assert "images differ in size (image 0 has 4x4, image 39 3x4): give data.image_size" in refused(other)


def test_what_the_library_raises_is_one_line(datasets: Any, place: Path, capfd: pytest.CaptureFixture) -> None:
    assert "the hub cannot be reached, and the set is not in the library's cache (" in refused(Path("owner/nosuch"))
    bad = place.with_suffix(".parquet")
    bad.write_bytes(b"no parquet")
    assert "cannot be opened (" in refused(bad)
    strange = place.with_suffix(".pkl")
    strange.write_bytes(b"")
    assert "a file must be one of .parquet, .arrow, .json, .jsonl, .csv, .tsv" in refused(strange)
    (place / "script").mkdir(parents=True)
    (place / "script" / "script.py").write_text("raise SystemExit('it was run')")
    assert "cannot be opened (" in refused(place / "script")
    assert capfd.readouterr().err == ""


def test_sentences_with_a_class(datasets: Any, place: Path) -> None:
    features = {"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["even", "odd"])}
    columns = {"text": TEXTS, "label": [i % 2 for i in range(40)]}
    train = datasets.Dataset.from_dict(columns, features=datasets.Features(features))
    secret = datasets.Dataset.from_dict({"text": TEXTS, "label": [-1] * 40}, features=datasets.Features(features))
    datasets.DatasetDict({"train": train, "test": secret}).save_to_disk(place)
    data = text.load(Text(f"datasets:{place}", tokenizer="char", length=40), "labelled")
    assert data.class_names == ("even", "odd")
    assert 0 < len(data.test) < 20  # cut from train: the labels of its test are secret
    assert ["odd" in sentence for sentence in data.train.texts] == (data.train.arrays["y"] == 1).tolist()


def test_pairs_translations_and_running_text(datasets: Any, place: Path) -> None:
    pair = datasets.Dataset.from_dict(
        {"hypothesis": TEXTS, "premise": TEXTS[::-1], "label": [i % 2 for i in range(40)]}
    )
    pair.save_to_disk(place)
    data = text.load(Text(f"datasets:{place}", tokenizer="char", length=60), "labelled")
    assert data.paired
    found = text.find(f"datasets:{place}", "labelled").splits["train"]
    assert (found.texts[0], found.seconds[0]) == (TEXTS[-1], TEXTS[0])  # the premise comes first
    two = place.with_name("two")
    languages = datasets.Features({"translation": datasets.Translation(languages=["de", "en"])})
    rows = [{"de": f"das {i}", "en": f"the {i}"} for i in range(40)]
    datasets.Dataset.from_dict({"translation": rows}, features=languages).save_to_disk(two)
    corpus = text.find(f"datasets:{two}", "pairs")
    assert (corpus.languages, corpus.splits["train"].texts[3], corpus.splits["train"].seconds[3]) == (
        *(("de", "en"), "das 3", "the 3"),
    )
    running = place.with_suffix(".jsonl")
    running.write_text("".join(f'{{"text": "{line * 9}"}}\n' for line in TEXTS))
    assert len(text.load(Text(f"datasets:{running}", tokenizer="char", length=16), "stream").train) > 1000
    with pytest.raises(UserError, match=r"does not contain sentences with a class, but text \(string\)$"):
        text.find(f"datasets:{running}", "labelled")
    holes = datasets.Dataset.from_dict({"text": ["a", None]})
    holes.save_to_disk(place.with_name("holes"))
    with pytest.raises(UserError, match=r"example 1 of train has no text$"):
        text.find(f"datasets:{place.with_name('holes')}", "stream")


def test_a_missing_library_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(name: str) -> None:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    monkeypatch.setattr(hub.importlib, "import_module", gone)
    said = "datasets:owner/name needs the library datasets, the extra `datasets`: pip install 'zoo-timeline[datasets]'"
    for read in (lambda: load(Data("datasets:owner/name")), lambda: text.find("datasets:owner/name", "stream")):
        with pytest.raises(UserError) as caught:
            read()
        assert str(caught.value) == said


@pytest.mark.parametrize("name", ["", "a b", "a/b/c/d", "é/x/y/z"])
def test_a_name_that_is_none(name: str) -> None:
    with pytest.raises(UserError, match=r"there is no such folder, and it is no name on the hub, such as owner/name"):
        load(Data(f"datasets:{name}"))


@pytest.mark.parametrize(
    ("name", "asked"),
    [
        ("mnist", [("mnist",)]),
        ("owner/mnist", [("owner/mnist",)]),
        ("owner/glue/sst2", [("owner/glue", "sst2")]),
        ("glue/sst2", [("glue/sst2",), ("glue", "sst2")]),  # a name without an owner
    ],
)
def test_names_on_the_hub(name: str, asked: list, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    class NotFoundError(Exception):
        pass

    class Library:
        exceptions = type("exceptions", (), {"DatasetNotFoundError": NotFoundError})

        @staticmethod
        def load_dataset(*arguments: str) -> str:
            calls.append(arguments)
            if arguments == ("glue/sst2",):
                raise NotFoundError
            return "it"

    assert hub._open(Library, name) == "it"
    assert calls == asked
