"""export, convert, predict: from a run to a file, from a file to an answer, and one line for whatever is wrong."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from flax.traverse_util import flatten_dict, unflatten_dict
from PIL import Image
from sklearn.datasets import load_digits

import train.loop.run
import zoo
from train import cli
from train.algorithms.averages import evaluation_params
from train.commands import predict
from train.commands.predict import read_text
from train.data import decode
from train.inference import text as write
from train.loop.restore import restore
from zoo.weights import layouts
from zoo.weights.fit import expected_shapes, inputs_for
from zoo.weights.preprocessing import Text


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A short run whose optimizer keeps an average of the weights."""
    workdir = tmp_path_factory.mktemp("runs")
    args = "train digits_mlp --steps 60 --eval-every-steps 60 --optim.warmup-steps 5 --optim.ema 0.5 --model.widths 32"
    assert cli.run([*args.split(), "--workdir", str(workdir)]) == 0
    return workdir / "digits_mlp"


@pytest.fixture
def digit(tmp_path: Path) -> tuple[Path, np.ndarray]:
    """An image file of a three, and what training made of it."""
    pixels = (load_digits().images[3] * 255 / 16).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "three.png")
    return tmp_path / "three.png", pixels


def drawn(model: Any, spread: float = 0.3) -> dict[str, Any]:
    card = zoo.weights.fit.card_of(model)
    shapes = expected_shapes(model, inputs_for(card, model.cfg, layouts.own(type(model)), {}))
    draw = np.random.default_rng(0)
    arrays = {path: spread * draw.normal(size=shape).astype(np.float32) for path, shape in shapes.items()}
    return unflatten_dict({path: abs(a) if path.endswith("var") else a for path, a in arrays.items()}, sep="/")


def answer(model: Any, variables: dict[str, Any], *inputs: Any) -> Any:
    """What the model makes of its inputs, by one compiled program."""
    return jax.jit(lambda variables, *inputs: model.apply(variables, *inputs, train=False))(variables, *inputs)


def said(capsys: pytest.CaptureFixture[str], *args: object) -> str:
    assert cli.run([str(arg) for arg in args]) == 0
    return capsys.readouterr().out


def refused(capsys: pytest.CaptureFixture[str], *args: object) -> str:
    assert cli.run([str(arg) for arg in args]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    return lines[0].removeprefix("zoo: ")


def test_a_run_is_read_as_it_evaluates(run: Path) -> None:
    """The average of its weights, without its data or its optimizer."""
    parts, state = restore(train.loop.run.load(run), "best")
    loaded = zoo.load_model("mlp", run)
    assert (loaded.model, loaded.layout) == (parts.model, "zoo")
    expected = flatten_dict(evaluation_params(state))
    assert not np.array_equal(expected["head", "kernel"], state.params["net"]["head"]["kernel"])
    found = flatten_dict(loaded.variables["params"])
    assert found.keys() == expected.keys()
    for path, array in expected.items():
        np.testing.assert_array_equal(found[path], array)
    with pytest.raises(zoo.UserError, match=r"zoo.create\('mlp', widths=\(32,\)\)"):
        zoo.load_weights("mlp", run)


def test_preparation_and_classes_travel_with_the_weights(
    run: Path, digit: tuple[Path, np.ndarray], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, pixels = digit
    file = tmp_path / "mlp.safetensors"
    assert "mlp from" in said(capsys, "export", run, file)
    loaded = zoo.load_model("mlp", file)
    dataset = restore(train.loop.run.load(run))[0].dataset
    prepared = (pixels[None, ..., None] / 255 - dataset.mean) / dataset.std
    np.testing.assert_allclose(loaded.preprocessing(Image.open(path))[None], prepared, rtol=1e-5, atol=1e-6)
    assert loaded.labels == tuple("0123456789")
    answers = {said(capsys, "predict", path, "--weights", source, "--top", 3) for source in (run, file)}
    (printed,) = answers
    assert printed.split()[0] == "3"
    assert len(printed.splitlines()) == 3


def test_a_published_folder_for_grey_images(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The file beside the weights, with one number for all channels, was a traceback; three were averaged."""
    model = zoo.create("vit_mini_patch4", width=8, depth=1, heads=2, classes=3, norm_epsilon=1e-12)
    variables = model.init(jax.random.key(0), np.zeros((1, 8, 8, 1), np.float32), train=False)
    folder, grey = tmp_path / "grey", tmp_path / "grey.png"
    zoo.save_weights(folder, model, variables, layout="huggingface")
    Image.fromarray(np.arange(81, dtype=np.uint8).reshape(9, 9)).save(grey)
    beside = folder / "preprocessor_config.json"
    beside.write_text(
        '{"image_processor_type": "ViTImageProcessor", "size": 8, "image_mean": 0.5, "image_std": [0.25]}'
    )
    again = tmp_path / "again"
    said(capsys, "convert", folder, again, "--layout", "huggingface")
    answers = {said(capsys, "predict", grey, "--weights", source) for source in (folder, again)}
    assert len(answers) == 1
    assert "LABEL_" in answers.pop()
    beside.write_text('{"do_resize": false, "image_mean": 0.5, "image_std": 0.25}')
    assert "read images of 8x8 pixels and resize none, and this one has 9x9" in refused(
        capsys, "predict", grey, "--weights", folder
    )
    beside.write_text('{"size": 8, "image_mean": [0.5, 0.4, 0.3], "image_std": [0.5, 0.5, 0.5]}')
    assert "image_mean and image_std are of 3 channels, and these weights read 1" in refused(
        capsys, "predict", grey, "--weights", folder
    )


def test_stablehlo_runs_without_the_project(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "mlp.stablehlo"
    assert "a program of x float32[batch, 8, 8, 1]" in said(capsys, "export", run, file)
    program = (
        "import sys, jax, numpy as np; from jax import export\n"
        f"f = export.deserialize(bytearray(open({str(file)!r}, 'rb').read()))\n"
        "for b in (1, 3): np.save(sys.argv[b], f.call(np.arange(b * 64, dtype=np.float32).reshape(b, 8, 8, 1) / 64))\n"
        "assert not {'zoo', 'train', 'flax'} & set(sys.modules)"
    )
    names = [str(tmp_path / f"{i}.npy") for i in range(4)]
    subprocess.run([sys.executable, "-I", "-c", program, *names[1:]], check=True, cwd=tmp_path)
    loaded = zoo.load_model("mlp", run)
    for b in (1, 3):
        x = np.arange(b * 64, dtype=np.float32).reshape(b, 8, 8, 1) / 64
        expected = answer(loaded.model, loaded.variables, x)
        np.testing.assert_allclose(np.load(names[b]), expected, rtol=1e-5, atol=1e-5)


SLOW = pytest.mark.slow
SMALL = {"width": 16, "depth": 1, "heads": 2}


@pytest.mark.parametrize(
    ("name", "fields", "program"),
    [
        pytest.param("resnet18", {"depths": (1, 1), "widths": (4, 8)}, "x float32[batch, 224, 224, 3]", marks=SLOW),
        pytest.param("vit_mini_patch8", SMALL, "x float32[batch, 32, 32, 3]", marks=SLOW),
        pytest.param("gpt2", SMALL | {"vocab": 11}, "tokens int32[batch, 6]", marks=SLOW),
        ("bert_mini", SMALL | {"vocab": 11}, "tokens int32[batch, 6], mask bool[batch, 6], segments int32[batch, 6]"),
        pytest.param("lstm_char", {"width": 8}, "tokens int32[batch, 6]", marks=SLOW),
    ],
)
def test_stablehlo_of_every_kind(
    name: str, fields: dict[str, Any], program: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = zoo.create(name, **fields)
    file = zoo.save_weights(tmp_path / "w.safetensors", model, drawn(model))
    made = said(capsys, "export", name, tmp_path / "m.stablehlo", "--weights", file, "--length", 6)
    assert made.endswith(f"a program of {program}\n")
    call = jax.export.deserialize(bytearray((tmp_path / "m.stablehlo").read_bytes())).call
    for batch in (1, 2):
        inputs = [np.ones((batch, *(int(n) for n in part.split(", ")[1:])), kind) for kind, part in _parts(program)]
        jax.tree.map(
            lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4),
            call(*inputs),
            answer(model, zoo.load_weights(model, file), *inputs),
        )


def _parts(program: str) -> list[tuple[str, str]]:
    return [tuple(part.split(" ", 1)[1].split("[")) for part in program.removesuffix("]").split("], ")]


def test_convert_finds_the_model_by_its_arrays(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = zoo.create("bert_tiny")
    path = zoo.save_weights(tmp_path / "w.npz", model, drawn(model), layout="huggingface")  # without metadata
    out = tmp_path / "folder"
    assert f"{out}: bert_tiny from {path}, layout huggingface to huggingface" in said(
        capsys, "convert", path, out, "--layout", "huggingface"
    )
    assert sorted(p.name for p in out.iterdir()) == ["config.json", "model.safetensors"]
    back = zoo.load_weights("bert_tiny", out)
    jax.tree.map(np.testing.assert_array_equal, back, drawn(model))


WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "cat", "sat", "##s"]


def bert_folder(tmp_path: Path, head: str, labels: list[str] | None = None) -> tuple[Path, Any, Any]:
    model = zoo.create("bert_mini", width=16, depth=1, heads=2, vocab=len(WORDS), context=8, head=head)
    variables = drawn(model)
    folder = zoo.save_weights(tmp_path / head, model, variables, layout="huggingface", labels=labels)
    (folder / "vocab.txt").write_text("\n".join(WORDS))
    return folder, model, variables


def test_masked_words_by_a_published_vocabulary(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, model, variables = bert_folder(tmp_path, "pretrain")
    ids = [WORDS.index(word) for word in ("[CLS]", "the", "[MASK]", "sat", "[SEP]")]
    logits, _ = answer(model, variables, np.array([ids]))
    best = WORDS[int(logits[0, 2].argmax())]
    printed = said(capsys, "predict", "The [MASK] sat", "--weights", folder, "--model", "bert_mini", "--top", 2)
    assert printed.splitlines()[0].split()[:2] == ["1", best]
    assert "write [MASK] where" in refused(capsys, "predict", "the cat", "--weights", folder, "--model", "bert_mini")


PAIR = ("[CLS]", "the", "[MASK]", "[SEP]", "cat", "sat", "[SEP]")
OF_PAIR = np.array([[0, 0, 0, 0, 1, 1, 1]])


def test_predict_and_fill_guess_the_same_words_of_a_pair(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, model, variables = bert_folder(tmp_path, "pretrain")
    ids = np.array([[WORDS.index(word) for word in PAIR]])
    logits, _ = answer(model, variables, ids, ids != 0, OF_PAIR)
    right = np.asarray(jax.nn.softmax(logits[0, 2]))
    text = "the [MASK] [SEP] cat sat"
    printed = said(capsys, "predict", text, "--weights", folder, "--model", "bert_mini", "--top", len(WORDS))
    shares = {line.split()[1]: float(line.split()[2]) for line in printed.splitlines()}
    np.testing.assert_allclose([shares[word] for word in WORDS], 100 * right, atol=0.051)
    marks = write.MaskTokens(*(WORDS.index(mark) for mark in ("[CLS]", "[SEP]", "[MASK]")))
    guesses = write.fill_row(model, variables, ids[0, 1:-1].tolist(), marks, len(WORDS))
    filled = {WORDS[token]: 100 * probability for token, probability in guesses[0]}
    np.testing.assert_allclose([filled[word] for word in WORDS], 100 * right, atol=1e-3)


def test_a_pair_is_classified_with_its_segments(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, model, variables = bert_folder(tmp_path, "classify", ["bad", "good"])
    ids = np.array([[WORDS.index(word) for word in ("[CLS]", "the", "cat", "[SEP]", "cat", "sat", "[SEP]")]])
    logits = answer(model, variables, ids, ids != 0, OF_PAIR)
    printed = said(capsys, "predict", "the cat [SEP] cat sat", "--weights", folder, "--model", "bert_mini")
    shares = {line.split()[0]: float(line.split()[1]) for line in printed.splitlines()}
    right = 100 * np.asarray(jax.nn.softmax(logits[0]))
    np.testing.assert_allclose([shares["bad"], shares["good"]], right, atol=0.051)
    # Weights of a run that was trained without segments are read without, and say so in their file.
    file = zoo.save_weights(tmp_path / "w.safetensors", model, variables, inputs=Text(lower=True, segments=False))
    (tmp_path / "vocab.txt").write_text("\n".join(WORDS))
    loaded = zoo.load_model("bert_mini", file)
    assert loaded.preprocessing == Text(lower=True, segments=False)
    found = {int(name[-1]): p for p, name in read_text(loaded, "the cat [SEP] cat sat", 2)}
    without = answer(model, variables, ids, ids != 0)
    np.testing.assert_allclose([found[0], found[1]], np.asarray(jax.nn.softmax(without[0])), atol=1e-4)
    assert np.abs(np.asarray(jax.nn.softmax(without[0])) - right / 100).max() > 1e-3


def test_classes_of_a_text(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, model, variables = bert_folder(tmp_path, "classify", ["bad", "good"])
    ids = [WORDS.index(word) for word in ("[CLS]", "cat", "##s", "[SEP]")]
    logits = answer(model, variables, np.array([ids]))
    printed = said(capsys, "predict", "CATS", "--weights", folder, "--model", "bert_mini")
    assert printed.split()[0] == ["bad", "good"][int(logits[0].argmax())]
    (folder / "vocab.txt").unlink()
    assert "has no vocabulary beside it" in refused(
        capsys, "predict", "cat", "--weights", folder, "--model", "bert_mini"
    )


BAD_INPUT = [
    ("export resnet50 out.npz", "resnet50 is a model without weights: add --weights, or give the folder of a run"),
    ("export nowhere out.npz", "no file or folder at nowhere"),
    ("export rsnet50 out.npz --weights {file}", "unknown model 'rsnet50': did you mean resnet50"),
    ("export {file} {file}", "is there already: choose another name, or remove it first"),
    ("export {file} out.npz --layout timm", "unknown layout of LeNet5 'timm': choose from pytorch, zoo"),
    ("export {file} out.npz --layout pytorch", ""),
    ("export {file} out.pth", "weights are written to .safetensors, .npz, or a folder"),
    ("export {file} out.stablehlo --length 0", "--length must be at least 1, not 0"),
    ("convert nowhere out.npz", "no file or folder at nowhere"),
    ("predict {file} --weights {file}", "is no image; a text is given as itself, not as a file"),
    ("predict no.png --weights {file}", "no image at no.png"),
    ("predict words --weights {file}", "lenet5 reads an image file, not a text"),
    ("predict words --weights {file} --top 0", "--top must be at least 1, not 0"),
    ("predict words --weights hf://x", "'hf://x' is not a hub name"),
]


@pytest.mark.parametrize(("command", "message"), BAD_INPUT, ids=[command for command, _ in BAD_INPUT])
def test_bad_input_is_one_line(
    command: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    model = zoo.create("lenet5")
    zoo.save_weights("w.safetensors", model, drawn(model))
    args = command.format(file="w.safetensors").split()
    if message:
        assert message in refused(capsys, *args)
        assert [path.name for path in tmp_path.iterdir()] == ["w.safetensors"]
    else:
        said(capsys, *args)


def test_images_without_a_preparation(
    tmp_path: Path, digit: tuple[Path, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    model = zoo.create("lenet5")
    file = zoo.save_weights(tmp_path / "w.safetensors", model, drawn(model))
    assert "does not say how images are prepared" in refused(capsys, "predict", digit[0], "--weights", file)


def test_a_file_is_prepared_for_prediction_as_it_is_for_training(tmp_path: Path) -> None:
    """One picture stored in three ways: upright, turned with its EXIF orientation, and in 16 bits."""
    pixels = np.random.default_rng(0).integers(0, 256, (9, 6), np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(pixels).save(tmp_path / "upright.png")
    Image.fromarray(np.rot90(pixels)).save(tmp_path / "turned.png", exif=exif)
    Image.fromarray(pixels.astype(np.uint16) * 256 + 7).save(tmp_path / "deep.png")
    for path in tmp_path.iterdir():
        found = predict.read_picture(str(path))
        assert found is not None
        np.testing.assert_array_equal(np.asarray(found), pixels)
        np.testing.assert_array_equal(decode.decode(path.read_bytes(), 1)[..., 0], pixels)


@pytest.mark.slow
def test_fine_tuning_from_published_weights(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Grey images and other classes: what depends on them begins anew, the rest comes along, a frozen part stays."""
    model = zoo.create("resnet20", classes=7, shortcut="B", depths=(1, 1), widths=(4, 8))
    variables = drawn(model)
    file = zoo.save_weights(tmp_path / "w.safetensors", model, variables, layout="torchvision")
    args = "train digits_resnet20 --steps 2 --eval-every-steps 2 --data.batch 8 --optim.warmup-steps 0"
    args = f"{args} --model.depths 1 1 --model.widths 4 8 --optim.freeze s0* --init-from {file}".split()
    args += ["--workdir", str(tmp_path / "runs")]
    assert "is of another network than this config's model: add --model.shortcut B" in refused(capsys, *args)
    said(capsys, *args, "--model.shortcut", "B")
    found = zoo.load_model("resnet20", tmp_path / "runs" / "digits_resnet20").variables
    jax.tree.map(np.testing.assert_array_equal, found["params"]["s0b0"], variables["params"]["s0b0"])
    began, ended = variables["params"]["s1b0"]["conv2"]["kernel"], found["params"]["s1b0"]["conv2"]["kernel"]
    assert 0 < np.abs(ended - began).max() < 0.1
    assert found["params"]["head"]["kernel"].shape == (8, 10)
    mean = variables["batch_stats"]["s0b0"]["norm2"]["mean"]  # two steps move it by less than a fifth of the way
    assert np.corrcoef(found["batch_stats"]["s0b0"]["norm2"]["mean"], mean)[0, 1] > 0.5
