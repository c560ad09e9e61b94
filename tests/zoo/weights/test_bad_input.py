"""Whatever is wrong with weights is one line that names it, and nothing is loaded."""

import json
import pickle
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from tiny import network, variables_of

import zoo
from zoo import UserError
from zoo.weights import hub

CARD, LAYOUT, FIELDS, MODEL, VARIABLES = network("resnet18-torchvision")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return zoo.save_weights(tmp_path / "w.safetensors", MODEL, VARIABLES, layout=LAYOUT)


def refused(source: object, *, model: object = MODEL, **options: object) -> str:
    with pytest.raises(UserError) as caught:
        zoo.load_weights(model, source, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def header(content: bytes, change: Callable[[dict], None]) -> bytes:
    """A safetensors file with its header changed."""
    size = int.from_bytes(content[:8], "little")
    head = json.loads(content[8 : 8 + size])
    change(head)
    new = json.dumps(head).encode()
    return len(new).to_bytes(8, "little") + new + content[8 + size :]


def longer(head: dict) -> None:
    head["fc.bias"]["data_offsets"][1] += 4


def overlapping(head: dict) -> None:
    head["fc.bias"]["data_offsets"] = head["conv1.weight"]["data_offsets"]


def other_shape(head: dict) -> None:
    head["fc.bias"]["shape"] = [500_000]


DAMAGE: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "truncated": (lambda content: content[:-100], "is damaged or not a safetensors file: incomplete metadata"),
    "cut in its header": (lambda content: content[:50], "is damaged or not a safetensors file: invalid header length"),
    "empty": (lambda content: b"", "is not a safetensors file: it is empty"),
    "longer than it says": (lambda content: content + b"more", "is damaged or not a safetensors file"),
    "a header of a terabyte": (lambda content: (2**40).to_bytes(8, "little") + content[8:], "header too large"),
    "offsets behind its end": (lambda content: header(content, longer), "is damaged or not a safetensors file"),
    "offsets that overlap": (lambda content: header(content, overlapping), "is damaged or not a safetensors file"),
    "a shape that is not its size": (
        lambda content: header(content, other_shape),
        "is damaged or not a safetensors file",
    ),
    "a web page": (
        lambda content: b"\n<!DOCTYPE html>\n<html>404</html>",
        "a web page, probably the error of a failed",
    ),
    "a pointer": (lambda content: b"version https://git-lfs.github.com/spec/v1\noid 1", "a Git LFS pointer"),
    "JSON": (lambda content: b'{"error": "Repository not found"}', "it is JSON text"),
    "noise": (lambda content: np.random.default_rng(0).bytes(1000), "is damaged or not a safetensors file"),
    "a pickle": (lambda content: pickle.dumps({"a": list(range(9))}), "is a pickle, which can run any program"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damaged_file(damage: str, file: Path) -> None:
    change, message = DAMAGE[damage]
    file.write_bytes(change(file.read_bytes()))
    assert message in refused(file)
    assert str(file) in refused(file)


@pytest.mark.parametrize("name", ["model.pth", "pytorch_model.bin", "x.pt"])
def test_pickles_are_not_opened(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"PK\3\4 or anything")
    for source, target in ((tmp_path / name, f"{Path(name).stem}.safetensors"), (tmp_path, "model.safetensors")):
        message = refused(source)
        assert "is a pickle, which can run any program when it is opened" in message
        assert "weights_only=True" in message
        assert message.endswith(f"{tmp_path / name} {tmp_path / target}")  # where it is found then


def test_the_pickles_of_weights_are_named_and_not_those_beside_them(tmp_path: Path) -> None:
    folder = tmp_path / "my model"
    folder.mkdir()
    for name in ("optimizer.pt", "training_args.bin", "rng_state_0.pth", "tf_model.h5", "pytorch_model.bin"):
        (folder / name).write_bytes(b"PK")
    assert refused(folder).endswith(f"'{folder / 'pytorch_model.bin'}' '{folder / 'model.safetensors'}'")
    (folder / "pytorch_model.bin").unlink()
    shards = [folder / f"pytorch_model-0000{i}-of-00002.bin" for i in (1, 2)]
    for shard in shards:
        shard.write_bytes(b"PK")
    assert refused(folder).endswith(f"'{shards[0]}' '{shards[1]}' '{folder / 'model.safetensors'}'")


def test_the_command_that_converts_a_pickle_makes_what_is_found(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    arrays = zoo.weights.convert_arrays(MODEL, VARIABLES, LAYOUT)
    names = sorted(arrays)
    tensors = {name: torch.tensor(np.asarray(arrays[name])) for name in names}
    for i, wrap in enumerate((lambda d: {"state_dict": d, "epoch": 3}, lambda d: {"model": d}, lambda d: d)):
        part = {name: tensors[name] for name in names[i::3]}
        torch.save(wrap(part), tmp_path / f"pytorch_model-0000{i + 1}-of-00003.bin")
    command = refused(tmp_path).partition("convert it to safetensors: ")[2].replace("python", sys.executable, 1)
    subprocess.run(command, shell=True, check=True)
    found = zoo.load_weights(MODEL, tmp_path)
    np.testing.assert_array_equal(found["params"]["head"]["bias"], VARIABLES["params"]["head"]["bias"])


def test_npz_with_objects_or_damage(tmp_path: Path) -> None:
    path = tmp_path / "w.npz"
    np.savez(path, a=np.array([{}], object))
    assert "a.npy contains Python objects, that is a pickle" in refused(path)
    np.savez(path, **{"cls": np.zeros(1000)})
    path.write_bytes(path.read_bytes()[:-30])
    assert "is damaged" in refused(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.npy", b"no array")
    assert "is damaged" in refused(path)
    path.write_text("<html>")
    assert "is damaged: File is not a zip file" in refused(path)


def test_places(tmp_path: Path, file: Path) -> None:
    assert refused(tmp_path / "nowhere.safetensors") == f"no file or folder at {tmp_path / 'nowhere.safetensors'}"
    (tmp_path / "empty").mkdir()
    assert "contains no weights" in refused(tmp_path / "empty")
    (tmp_path / "second.safetensors").write_bytes(file.read_bytes())
    assert "has 2 weight files (second.safetensors, w.safetensors): name one of them" in refused(tmp_path)


def test_shards(tmp_path: Path, file: Path) -> None:
    arrays = load_file(file)
    names = sorted(arrays)
    index = {"weight_map": {}}
    for i in range(3):
        shard = f"model-0000{i + 1}-of-00003.safetensors"
        save_file({name: arrays[name] for name in names[i::3]}, tmp_path / shard)
        index["weight_map"] |= dict.fromkeys(names[i::3], shard)
    file.unlink()
    assert "the shards need their index" in refused(tmp_path)
    place = tmp_path / "model.safetensors.index.json"
    place.write_text(json.dumps(index))
    for source in (tmp_path, place):
        np.testing.assert_array_equal(
            zoo.load_weights(MODEL, source)["params"]["head"]["bias"], VARIABLES["params"]["head"]["bias"]
        )
    (tmp_path / "model-00002-of-00003.safetensors").unlink()
    assert refused(tmp_path).endswith("1 of 3 shards are missing: model-00002-of-00003.safetensors")
    index["weight_map"]["fc.bias"] = "../elsewhere.safetensors"
    place.write_text(json.dumps(index))
    assert "names files outside its folder: ../elsewhere.safetensors" in refused(tmp_path)
    place.write_text(json.dumps({"weight_map": {"no.such": "model-00001-of-00003.safetensors"}}))
    assert "1 arrays are not in the shards it names for them: no.such" in refused(tmp_path)
    place.write_text("{")
    assert "is not a JSON file" in refused(tmp_path)


def test_missing_unexpected_and_misshapen_arrays_are_named(file: Path) -> None:
    arrays = load_file(file)
    del arrays["layer1.0.conv1.weight"]
    arrays["fc.bias"] = np.zeros(6, np.float32)
    arrays |= {f"extra.{i:02}": np.zeros(1, np.float32) for i in range(13)}
    save_file(arrays, file)
    message = refused(file)
    assert (
        "1 missing: layer1.0.conv1.weight; 1 misshapen: fc.bias is (6,), not (5,); 13 unexpected: extra.00," in message
    )
    assert message.endswith("extra.09 and 3 more")
    assert "nothing is loaded" in message


def test_weights_of_another_network(file: Path) -> None:
    message = refused(file, model="vit_mini_patch4")
    assert "not weights of ViT in a known layout (torchvision, timm, huggingface, google-vit, zoo)" in message
    assert "look like ResNet (timm) or ResNet (torchvision)" in message
    assert "unknown layout of ResNet 'torchvison': did you mean torchvision" in refused(file, layout="torchvison")
    deeper = zoo.create("resnet18", **{**FIELDS, "depths": (2, 2)})
    assert refused(file, model=deeper).endswith("zoo.create('resnet18', depths=(1, 2))")  # as the file records
    save_file(load_file(file), file)  # without the record
    assert "missing: layer1.1.conv1.weight, layer1.1.bn1.weight" in refused(file, model=deeper)


def test_what_names_do_not_show_is_asked_of_the_model(tmp_path: Path) -> None:
    """The message is what to type."""
    *_, model, variables = network("vit-google")
    path = zoo.save_weights(tmp_path / "w.npz", model, variables, layout="google-vit")
    exact = model.clone(cfg=zoo.vit.Config(**{**network("vit-google")[2], "gelu": "exact", "norm_epsilon": 1e-12}))
    message = refused(path, model=exact)
    assert "layout google-vit, has norm_epsilon=1e-06 (here 1e-12), gelu='tanh' (here 'exact')" in message
    assert message.endswith("zoo.create('vit_mini_patch4', norm_epsilon=1e-06, gelu='tanh')")
    with pytest.raises(UserError, match="the google-vit network, layout google-vit, has norm_epsilon=1e-06"):
        zoo.save_weights(tmp_path / "x.npz", exact, variables, layout="google-vit")


@pytest.mark.parametrize(
    ("model", "layout", "reason"),
    [
        (zoo.create("plain18"), "torchvision", "a plain network has no shortcuts"),
        (zoo.create("resnet20"), "torchvision", "its shortcuts are projected"),
        (zoo.create("vit_mini_patch4", pool="mean"), "timm", "its head uses the class token, not the mean"),
        (zoo.create("gpt_char"), "huggingface", "its linear layers and norms have biases"),
        (zoo.create("bert_mini", causal=True), "huggingface", "with is_decoder it pools the first token"),
        (zoo.create("dcgan"), "pytorch", "its kernels are 4x4"),
        (zoo.create("dqn_nature", dueling=True), "cleanrl", "its head is not dueling"),
        (zoo.create("mlp"), "torchvision", "unknown layout of MLP 'torchvision': choose from zoo"),
    ],
)
def test_models_that_a_library_does_not_have(model: object, layout: str, reason: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=reason):
        zoo.save_weights(tmp_path / "w.safetensors", model, {}, layout=layout)
    assert not list(tmp_path.iterdir())


def test_nan_is_a_warning(file: Path) -> None:
    arrays = load_file(file)
    arrays["layer2.0.bn1.running_var"][1] = np.nan
    arrays["fc.weight"][0, 0] = np.inf
    save_file(arrays, file)
    with pytest.warns(UserWarning, match=r"NaN or infinity in .*layer2.0.bn1.running_var, fc.weight"):
        zoo.load_weights(MODEL, file)


def test_numbers_that_are_no_weights(file: Path) -> None:
    save_file(load_file(file) | {"fc.bias": np.zeros(5, np.int32)}, file)
    assert "fc.bias has dtype int32, not floating-point numbers" in refused(file)


def test_tied_arrays_that_differ(tmp_path: Path) -> None:
    *_, model, variables = network("gpt2")
    path = zoo.save_weights(tmp_path / "w.safetensors", model, variables, layout="huggingface")
    arrays = load_file(path)
    np.testing.assert_array_equal(arrays["lm_head.weight"], arrays["transformer.wte.weight"])
    save_file(arrays | {"lm_head.weight": arrays["lm_head.weight"] + 1}, path)
    assert "lm_head.weight differs from transformer.wte.weight, but this model has one array for both" in refused(
        path, model=model
    )


@pytest.mark.parametrize("name", ["hf://", "hf://gpt2", "hf://a/b/c", "hf://a/b@"])
def test_hub_names(name: str) -> None:
    assert "is not a hub name: write hf://owner/name, or hf://owner/name@revision" in refused(name)


def test_no_network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    library = pytest.importorskip("huggingface_hub")

    def fail(*args: object, **options: object) -> None:
        raise library.errors.LocalEntryNotFoundError("cannot find it") from ConnectionError("Name or service not known")

    monkeypatch.setattr(library, "snapshot_download", fail)
    message = refused("hf://owner/name@v1")
    assert message.startswith("hf://owner/name@v1: the hub cannot be reached and the files are not in the local cache")
    assert "Name or service not known" in message


def test_hub_pins_the_revision_and_fetches_no_pickle(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    library = pytest.importorskip("huggingface_hub")
    folder, asked = tmp_path / "0123abcd", {}
    zoo.save_weights(folder, MODEL, VARIABLES, layout=LAYOUT)

    def download(repository: str, **options: object) -> str:
        asked.update(options, repository=repository)
        return str(folder)

    monkeypatch.setattr(library, "snapshot_download", download)
    loaded = zoo.load_model(CARD, "hf://owner/name@v1", **FIELDS)
    assert loaded.source == "hf://owner/name@0123abcd"
    assert (asked["repository"], asked["revision"]) == ("owner/name", "v1")
    assert not {"*.bin", "*.pth", "*"} & set(hub.WANTED)


def test_saving_keeps_what_is_there(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    path.write_text("mine")
    with pytest.raises(UserError, match="these variables are not those of the model"):
        zoo.save_weights(path, MODEL, {"params": {}}, layout=LAYOUT)
    assert path.read_text() == "mine"
    with pytest.raises(UserError, match=r"weights are written to \.safetensors, .npz, or a folder"):
        zoo.save_weights(tmp_path / "w.pth", MODEL, VARIABLES)
    with pytest.raises(UserError, match="cannot write"):
        zoo.save_weights(tmp_path / "no" / "such" / "w.npz", MODEL, VARIABLES)
    assert variables_of(MODEL).keys() == VARIABLES.keys()


@pytest.mark.parametrize("several", [{"seeds": 2}, {"sweep": ["optim.lr=0.1,0.2"]}, {"folds": 2}])
def test_a_run_of_several_replicas_is_told_apart(several: dict, tmp_path: Path) -> None:
    """Its arrays, which have the replicas as their first axis, were called misshapen, one by one."""
    content = {"model": {"name": "mlp", "fields": {}}, "steps": 1, **several}
    (tmp_path / "config.json").write_text(json.dumps(content))
    with pytest.raises(UserError, match=r"holds several replicas: take one out with zoo extract .* NUMBER"):
        zoo.load_model("mlp", tmp_path)
    (spaced := tmp_path / "two words").mkdir()
    (spaced / "config.json").write_text(json.dumps(content))
    with pytest.raises(UserError, match=rf"zoo extract '{spaced}' NUMBER, from 0$"):
        zoo.load_model("mlp", spaced)
