"""Text sets as TFDS prepares them: written by hand, and by its own builders from archives in their download formats."""

import csv
import importlib.util
import io
import json
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow_datasets as tfds
from sets_by_hand import write_array_record
from tensorflow_datasets.core.download import resource
from tensorflow_datasets.proto import tf_example_pb2

from train.config import Data, Text
from train.data.images.catalog import load as load_images
from train.data.text import tokenizers
from train.data.text.catalog import load
from train.data.tfds.prepare import prepare
from train.data.tfds.read import registered
from zoo.errors import UserError

F = tfds.features
WORD = Text("words", tokenizer="wordpiece", vocab=200, length=16)


def example(row: dict[str, str | int | bytes]) -> bytes:
    message = tf_example_pb2.Example()
    for key, value in row.items():
        feature = message.features.feature[key]
        if isinstance(value, int):
            feature.int64_list.value.append(value)
        else:
            feature.bytes_list.value.append(value if isinstance(value, bytes) else value.encode())
    return message.SerializeToString()


@pytest.fixture
def put(tmp_path: Path) -> Callable[..., Path]:
    """Writes a set below $TFDS_DATA_DIR; returns its folder."""

    def write(name: str, features: Any, supervised: tuple = (), **splits: list[dict]) -> Path:
        folder = tmp_path / "tfds" / name / "1.0.0"
        folder.mkdir(parents=True)
        base, described = name.partition("/")[0], []
        for split, rows in splits.items():
            path = folder / f"{base}-{split}.array_record-00000-of-00001"
            write_array_record(path, [example(row) for row in rows])
            template = "{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}"
            shard = {"shardLengths": [str(len(rows))], "numBytes": "1", "filepathTemplate": template}
            described.append({"name": split, **shard})
        features.save_config(folder)
        info = {"name": base, "version": "1.0.0", "fileFormat": "array_record", "splits": described}
        if supervised:
            info["supervisedKeys"] = {"tuple": {"items": [{"featureKey": key} for key in supervised]}}
        (folder / "dataset_info.json").write_text(json.dumps(info))
        return folder

    return write


def refused(form: str, name: str = "words", **fields: object) -> str:
    with pytest.raises(UserError) as raised:
        load(Text(name, tokenizer="char", **fields), form)
    assert "\n" not in str(raised.value)
    return str(raised.value)


def test_running_text(put: Callable) -> None:
    put(
        "words",
        F.FeaturesDict({"text": F.Text()}),
        ("text", "text"),
        **{s: [{"text": f"set für {s}"}] for s in ("train", "test")},
    )
    data = load(Text("words", tokenizer="char", length=4, validation=0), "stream")
    assert tokenizers.decode(data.tokenizer, data.test.arrays["tokens"]) == "set für test"
    assert data.version == "1.0.0"
    assert refused("labelled") == "words does not contain sentences with a class, but text (Text)"
    with pytest.raises(UserError, match=r"^words contains text \(text\), not images: choose a config for text$"):
        load_images(Data("words"))


def test_translations_go_from_the_first_supervised_key_to_the_second(put: Callable) -> None:
    rows = [{"de": f"nummer {i}", "en": f"number {i}"} for i in range(9)]
    put(
        "words/de-en",
        F.Translation(languages=("de", "en")),
        ("de", "en"),
        train=rows,
        validation=rows[:2],
        test=rows[:3],
    )
    put("backwards", F.Translation(languages=("de", "en")), ("en", "de"), train=rows, test=rows[:3])
    data = load(Text("words/de-en", tokenizer="char", length=16), "pairs")
    assert data.test.texts == (["nummer 0", "nummer 1", "nummer 2"], ["number 0", "number 1", "number 2"])
    assert (len(data.train), len(data.validation)) == (9, 2)
    assert data.target_language == "en"
    assert load(Text("words/de-en", tokenizer="char", length=16, swap=True), "pairs").target_language == "de"
    assert load(Text("backwards", tokenizer="char"), "pairs").test.texts[0][0] == "number 0"
    assert (
        refused("stream", "backwards") == "backwards contains pairs of a sentence and its translation, not running text"
    )
    assert "prepared in" in refused("pairs", "words")


def test_a_contest_keeps_its_labels_so_validation_is_the_test(put: Callable) -> None:
    features = F.FeaturesDict({"sentence": F.Text(), "label": F.ClassLabel(names=["bad", "good"]), "idx": np.int32})
    rows = [{"sentence": f"sentence {i}", "label": i % 2, "idx": i} for i in range(20)]
    hidden = [row | {"label": -1} for row in rows]
    put("words", features, train=rows, validation_matched=rows[:6], test_matched=hidden)
    data = load(WORD, "labelled")
    assert data.class_names == ("bad", "good")
    assert (len(data.train), len(data.validation), len(data.test)) == (18, 2, 6)
    assert data.test.arrays["y"].tolist() == [0, 1] * 3
    assert data.test.texts[5] == "sentence 5"
    put("strange", features, train=hidden, test=rows)
    assert refused("labelled", "strange") == "strange: its train split has labels outside 0..1"


def test_two_sentences_are_joined_by_sep_and_supervised_keys_decide(put: Callable) -> None:
    features = F.FeaturesDict({"first": F.Text(), "second": F.Text(), "label": F.ClassLabel(num_classes=2)})
    rows = [{"first": "one two", "second": "three", "label": i % 2} for i in range(20)]
    put("words", features, train=rows, test=rows)
    put("headlines", features, ("second", "label"), train=rows, test=rows)
    data = load(WORD, "labelled")
    ids = [tokenizers.encode(data.tokenizer, text) for text in ("one two", "three")]
    row = [4, *ids[0], 5, *ids[1], 5]
    assert data.test.arrays["tokens"][0].tolist() == [*row, *[0] * (16 - len(row))]
    assert list(load(Text("headlines", tokenizer="char"), "labelled").test.texts) == ["three"] * 20
    documents = load(WORD, "passages")
    joined = np.concatenate([documents.test.arrays["a"][0], documents.test.arrays["b"][0]])
    assert tokenizers.decode(documents.tokenizer, joined[joined > 0]) == "one two three"


def test_sets_of_another_kind(put: Callable, make: Callable) -> None:
    make("pictures")
    assert refused("stream", "pictures") == "pictures contains images (image, label), not running text"
    put("numbers", F.FeaturesDict({"x": np.int32}), train=[{"x": 1}])
    assert refused("pairs", "numbers") == "numbers contains no text (x), not pairs of a sentence and its translation"
    score = F.FeaturesDict({"sentence": F.Text(), "label": np.float32})
    put("score", score, train=[{"sentence": "a"}])
    assert refused("labelled", "score").startswith("score does not contain sentences with a class, but ")
    assert "run `zoo data prepare lm1b`" in refused("stream", "lm1b")
    assert "did you mean" in refused("stream", "tiny_shakespear")


def test_damaged_text_is_named(put: Callable) -> None:
    folder = put("words", F.FeaturesDict({"text": F.Text()}), train=[{"text": b"\xff"}], test=[{"other": "x"}])
    path = folder / "words-train.array_record-00000-of-00001"
    says = refused("stream")
    assert says.startswith(f"{path} is damaged ('utf-8' codec can't decode byte 0xff")
    assert says.endswith(f"delete {folder} and run `zoo data prepare words`")


def place(root: Path, name: str, url: str, content: bytes) -> None:
    """Puts an archive where TFDS's download manager keeps what it has downloaded."""
    builder = tfds.builder(name, data_dir=root)
    manager = builder._make_download_manager(download_dir=None, download_config=tfds.download.DownloadConfig())
    path = manager._get_dl_path(resource.Resource(url=url), builder.url_infos[url].checksum)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    resource.get_info_path(path).write_text(json.dumps({"original_fname": builder.url_infos[url].filename}))


def tar(files: dict[str, str]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, text in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(text.encode())
            archive.addfile(member, io.BytesIO(text.encode()))
    return buffer.getvalue()


def zipped(files: dict[str, str]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return buffer.getvalue()


def rows_of_csv(count: int) -> str:
    buffer = io.StringIO()
    csv.writer(buffer).writerows([[i % 4 + 1, "title", f"news, {i}"] for i in range(count)])
    return buffer.getvalue()


LM1B = "1-billion-word-language-modeling-benchmark-r13output"
LINES = "".join(f"line {i} .\n" for i in range(30))
GLUE = "sentence\tlabel\n" + "".join(f"it is {i}\t{i % 2}\n" for i in range(30))
ARCHIVES = {
    "tiny_shakespeare": (
        "https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt",
        lambda: LINES.encode(),
    ),
    "lm1b": (
        f"http://www.statmt.org/lm-benchmark/{LM1B}.tar.gz",
        lambda: tar(
            {
                f"{LM1B}/training-monolingual.tokenized.shuffled/news.en-00001-of-00100": LINES,
                f"{LM1B}/heldout-monolingual.tokenized.shuffled/news.en.heldout-00000-of-00050": LINES,
            }
        ),
    ),
    "imdb_reviews": (
        "http://ai.stanford.edu/~amaas/data/sentiment/aclImdb_v1.tar.gz",
        lambda: tar(
            {
                f"aclImdb/{split}/{label}/{i}_7.txt": f"{label} film {i}"
                for split in ("train", "test")
                for label in ("pos", "neg", *(["unsup"] if split == "train" else []))
                for i in range(10)
            }
        ),
    ),
    "ag_news_subset": (
        "https://drive.google.com/uc?export=download&id=0Bz8a_Dbh9QhbUDNpeUdjb0wxRms",
        lambda: tar({f"ag_news_csv/{split}.csv": rows_of_csv(20) for split in ("train", "test")}),
    ),
    "glue/sst2": (
        "https://dl.fbaipublicfiles.com/glue/data/SST-2.zip",
        lambda: zipped(
            {"SST-2/train.tsv": GLUE, "SST-2/dev.tsv": GLUE, "SST-2/test.tsv": "index\tsentence\n0\tit is 7\n"}
        ),
    ),
    "ted_hrlr_translate/pt_to_en": (
        "http://www.phontron.com/data/qi18naacl-dataset.tar.gz",
        lambda: tar(
            {
                f"datasets/pt_to_en/{language}.{split}": LINES
                for language in ("pt", "en")
                for split in ("train", "dev", "test")
            }
        ),
    ),
}
FORMS = {"tiny_shakespeare": "stream", "lm1b": "stream", "ted_hrlr_translate/pt_to_en": "pairs"}


@pytest.mark.skipif(importlib.util.find_spec("tensorflow") is not None, reason="TensorFlow is installed")
@pytest.mark.parametrize("name", ARCHIVES)
def test_prepared_without_tensorflow(name: str, tmp_path: Path) -> None:
    url, archive = ARCHIVES[name]
    registered()
    place(tmp_path / "tfds", name, url, archive())
    prepare(name)
    form = FORMS.get(name, "labelled")
    data = load(Text(name, tokenizer="char", length=16), form)
    assert data.name == {"imdb_reviews": "imdb_reviews/plain_text"}.get(name, name)
    text = "".join(data.train.texts[0]) if form == "pairs" else "".join(data.train.texts)
    if form == "stream":
        text = tokenizers.decode(data.tokenizer, data.train.arrays["tokens"])
    assert {"stream": "line ", "pairs": "line ", "labelled": ""}[form] in text
    assert len(text) > 100


def test_glue_and_wmt_are_known_without_h5py() -> None:
    program = (
        "import sys; sys.modules['h5py'] = None; from train.data.tfds.read import registered; "
        "print({'glue', 'wmt14_translate', 'mnist', 'lm1b'} <= set(registered()))"
    )
    assert subprocess.check_output([sys.executable, "-c", program], text=True).strip() == "True"


def test_tiny_shakespeare_is_that_of_nanogpt(real_sets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TFDS_DATA_DIR", str(real_sets))
    if not (real_sets / "tiny_shakespeare").is_dir():
        pytest.skip("tiny_shakespeare is not prepared")
    data = load(Text("tiny_shakespeare", tokenizer="char", length=64), "stream")
    assert data.vocab == 65
    assert (len(data.train), len(data.validation), len(data.test)) == (1_003_854, 55_770, 55_770)
    assert data.train.arrays["tokens"][:5].tolist() == [18, 47, 56, 57, 58]  # "First", as nanoGPT numbers it
    assert data.validation.nbytes_utf8 == 55_770
