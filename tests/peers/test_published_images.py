"""Image networks of torchvision, timm, Hugging Face, Google and common code: in, out, and equal to rounding.

Needs the extra `peers`; what of it is not installed is skipped.
"""

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

torch = pytest.importorskip("torch")

import reference_images as reference  # noqa: E402
from published import BOUND, error, errors, images, nchw, nhwc, ours, randomized, run, saved  # noqa: E402
from safetensors.numpy import load_file  # noqa: E402
from torch import nn  # noqa: E402

import zoo  # noqa: E402
from zoo.weights import layouts  # noqa: E402
from zoo.weights.fit import expected_shapes, inputs_for, rules_for  # noqa: E402


@dataclasses.dataclass(frozen=True)
class Case:
    """A network of another library, and the zoo's name and fields for it."""

    build: Callable[[], nn.Module]
    name: str
    layout: str
    fields: Mapping[str, Any]
    x: np.ndarray
    inside: Mapping[str, str]  # our path: their submodule
    faint: tuple[str, ...] = ()


def torchvision() -> Any:
    return pytest.importorskip("torchvision").models


def hugging_face() -> Any:
    transformers = pytest.importorskip("transformers")
    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    return transformers


def torchvision_resnet(block: str, depths: tuple[int, ...], classes: int = 10) -> nn.Module:
    resnet = torchvision().resnet
    return resnet.ResNet(getattr(resnet, block), depths, num_classes=classes)


def first_stride(model: nn.Module) -> nn.Module:
    """A torchvision net with the stride of its bottlenecks where the paper has it."""
    for part in model.modules():
        if type(part).__name__ == "Bottleneck":
            part.conv1.stride, part.conv2.stride = part.conv2.stride, (1, 1)
    return model


def hugging_face_resnet(kind: str, first: bool) -> nn.Module:
    transformers = hugging_face()
    config = transformers.ResNetConfig(
        embedding_size=8,
        hidden_sizes=[32, 64] if kind == "bottleneck" else [8, 16],
        depths=[1, 2],
        layer_type=kind,
        downsample_in_bottleneck=first,
        num_labels=10,
    )
    return transformers.ResNetForImageClassification(config)


def torchvision_vit() -> nn.Module:
    return torchvision().VisionTransformer(32, 8, 2, 2, 32, 128, num_classes=10)


def timm_vit() -> nn.Module:
    timm = pytest.importorskip("timm").models
    return timm.VisionTransformer(32, 8, num_classes=10, embed_dim=32, depth=2, num_heads=2)


def hugging_face_vit(act: str = "gelu") -> nn.Module:
    transformers = hugging_face()
    config = transformers.ViTConfig(
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=128,
        image_size=32,
        patch_size=8,
        num_labels=10,
        hidden_act=act,
    )
    return transformers.ViTForImageClassification(config)


def torchvision_vgg(batch_norm: bool) -> nn.Module:
    library = torchvision().vgg
    theirs = library.VGG(library.make_layers(VGG_STAGES, batch_norm), num_classes=10)
    theirs.classifier[0], theirs.classifier[3] = nn.Linear(16 * 7 * 7, 40), nn.Linear(40, 40)
    theirs.classifier[6] = nn.Linear(40, 10)
    return theirs


def timm_vgg(norm: Any = None) -> nn.Module:
    theirs = pytest.importorskip("timm").models.VGG(VGG_STAGES, num_classes=10, norm_layer=norm)
    theirs.pre_logits.fc1, theirs.pre_logits.fc2 = nn.Conv2d(16, 40, 7), nn.Conv2d(40, 40, 1)
    theirs.head.fc = nn.Linear(40, 10)
    return theirs


VGG_STAGES = [8, "M", 16, "M", 16, 16, "M"]
SMALL_VGG = {"depths": (1, 1, 2), "widths": (8, 16, 16)}
SHALLOW = {"depths": (1, 2, 1, 1)}
SMALL_VIT = {"width": 32, "depth": 2, "heads": 2}
STAGES = {"stem/conv": "conv1", "s0b0": "layer1.0", "s3b0": "layer4.0"}
HF_STAGES = {"s0b0": "resnet.encoder.stages.0.layers.0", "s1b1": "resnet.encoder.stages.1.layers.1"}
X64, X32 = images(64), images(32)
FAINT = ("*pos_embed*", "*conv_proj*", "*patch_embed*", "*out_proj*", "*.proj.*", "*mlp.3*", "*fc2*", "*token*")
HF_FAINT = ("*embeddings*", "*o_proj*", "*fc2*", "*output.dense*")


def resnet_case(block: str, name: str, first: bool = False) -> Case:
    build = (lambda: first_stride(torchvision_resnet(block, (1, 2, 1, 1)))) if first else None
    build = build or (lambda: torchvision_resnet(block, (1, 2, 1, 1)))
    return Case(build, name, "torchvision-v1" if first else "torchvision", SHALLOW, X64, STAGES)


CASES = {
    "resnet18-torchvision": resnet_case("BasicBlock", "resnet18"),
    "resnet50-torchvision": resnet_case("Bottleneck", "resnet50"),
    "resnet50-torchvision-v1": resnet_case("Bottleneck", "resnet50", first=True),
    "resnet18-timm": Case(
        lambda: pytest.importorskip("timm").create_model("resnet18", num_classes=10),
        "resnet18",
        "timm",
        {},
        X64,
        {"s0b0": "layer1.0", "s3b1": "layer4.1"},
    ),
    "resnet18-huggingface": Case(
        lambda: hugging_face_resnet("basic", first=False),
        "resnet18",
        "huggingface",
        {"depths": (1, 2), "widths": (8, 16)},
        X64,
        HF_STAGES,
    ),
    "resnet50-huggingface": Case(
        lambda: hugging_face_resnet("bottleneck", first=False),
        "resnet50",
        "huggingface",
        {"depths": (1, 2), "widths": (8, 16)},
        X64,
        HF_STAGES,
    ),
    "resnet50-huggingface-v1": Case(
        lambda: hugging_face_resnet("bottleneck", first=True),
        "resnet50",
        "huggingface",
        {"depths": (1, 2), "widths": (8, 16)},
        X64,
        HF_STAGES,
    ),
    "resnet20-pytorch-cifar": Case(
        lambda: reference.CifarResNet(3), "resnet20", "pytorch-cifar", {}, X32, {"s0b0": "layer1.0"}
    ),
    "vit-torchvision": Case(
        torchvision_vit,
        "vit_mini_patch8",
        "torchvision",
        SMALL_VIT,
        X32,
        {"block0": "encoder.layers.encoder_layer_0", "norm": "encoder.ln"},
        FAINT,
    ),
    "vit-timm": Case(
        timm_vit, "vit_mini_patch8", "timm", SMALL_VIT, X32, {"block0": "blocks.0", "norm": "norm"}, FAINT
    ),
    "vit-huggingface": Case(
        hugging_face_vit, "vit_mini_patch8", "huggingface", SMALL_VIT, X32, {"norm": "vit.layernorm"}, HF_FAINT
    ),
    "vit-huggingface-tanh": Case(
        lambda: hugging_face_vit("gelu_new"),
        "vit_mini_patch8",
        "huggingface",
        SMALL_VIT,
        X32,
        {"norm": "vit.layernorm"},
    ),
    "alexnet-torchvision": Case(
        lambda: torchvision().AlexNet(num_classes=10),
        "alexnet_one_tower",
        "torchvision",
        {},
        images(96),
        {"conv1": "features.0", "fc7": "classifier.4"},
    ),
    "vgg-torchvision": Case(
        lambda: torchvision_vgg(batch_norm=False),
        "vgg11",
        "torchvision",
        SMALL_VGG,
        images(96),
        {"trunk/conv1_1": "features.0", "trunk": "features", "fc7": "classifier.3"},
    ),
    "vgg-torchvision-norm": Case(
        lambda: torchvision_vgg(batch_norm=True),
        "vgg11",
        "torchvision",
        SMALL_VGG,
        images(96),
        {"trunk/norm3_2": "features.12", "trunk": "features"},
    ),
    "vgg-timm": Case(
        timm_vgg,
        "vgg11",
        "timm",
        SMALL_VGG,
        images(56),  # maps of 7 x 7, after which timm's network and torchvision's are one
        {"trunk/conv3_2": "features.8", "trunk": "features"},
    ),
    "vgg-timm-norm": Case(
        lambda: timm_vgg(nn.BatchNorm2d), "vgg11", "timm", SMALL_VGG, images(56), {"trunk": "features"}
    ),
    "lenet5-pytorch": Case(reference.LeNet, "lenet5", "pytorch", {}, images(32, 1), {"c1": "conv1", "f6": "fc2"}),
    "dqn-cleanrl": Case(
        lambda: reference.CleanRL(6), "dqn_nature", "cleanrl", {}, images(84, 4), {"head/hidden0": "network.7"}
    ),
    "dqn-stable-baselines3": Case(
        lambda: reference.Baselines(6),
        "dqn_nature",
        "stable-baselines3",
        {},
        images(84, 4),
        {"head/hidden0": "q_net.features_extractor.linear.0"},
    ),
}


def built(case: Case) -> nn.Module:
    return randomized(case.build(), faint=case.faint)


def source(case: Case, model: nn.Module, folder: Path) -> Path:
    """Saved as its library saves it."""
    if case.layout == "huggingface":
        model.save_pretrained(folder / "saved")
        return folder / "saved"
    return saved(model, folder / "saved.safetensors")


def loaded_from(case: Case, path: Path) -> Any:
    layout = case.layout if case.layout in ("timm", "torchvision-v1") and "resnet" in case.name else "auto"
    return zoo.load_model(case.name, path, layout=layout, **case.fields)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_weights_go_in_and_out(case: Case, tmp_path: Path) -> None:
    """Outputs and what is inside agree; the file written from here loads there strictly and is the same network."""
    theirs = built(case)
    loaded = loaded_from(case, source(case, theirs, tmp_path))
    assert loaded.layout == case.layout
    found = errors(ours(loaded, case.x), run(theirs, nchw(case.x), inside=case.inside))
    print(found)
    assert max(found.values()) <= BOUND

    again = case.build().eval()
    if case.layout == "huggingface":
        folder = zoo.save_weights(tmp_path / "out", loaded.model, loaded.variables, layout=case.layout)
        again, said = type(again).from_pretrained(folder, output_loading_info=True)
        assert not any(said[kind] for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"))
        again = again.eval()
    else:
        path = zoo.save_weights(tmp_path / "out.safetensors", loaded.model, loaded.variables, layout=case.layout)
        arrays = {name: torch.tensor(array) for name, array in load_file(path).items()}
        if case.layout == "stable-baselines3":  # the target network is a copy, which inference has no use for
            arrays |= {name.replace("q_net.", "q_net_target.", 1): array for name, array in arrays.items()}
        again.load_state_dict(arrays, strict=True)
    with torch.no_grad():
        output = again(nchw(case.x).float())
    output = getattr(output, "logits", output)
    assert error(output, run(theirs, nchw(case.x))["output"]) <= BOUND


def test_google_vit_goes_in_and_out(tmp_path: Path) -> None:
    arrays = reference.google_vit_arrays(8, 32, 2, 2, 32, 10, seed=0)
    np.savez(tmp_path / "google.npz", **{name: array.numpy() for name, array in arrays.items()})
    loaded = zoo.load_model("vit_mini_patch8", tmp_path / "google.npz", **SMALL_VIT)
    assert (loaded.layout, loaded.model.cfg.gelu) == ("google-vit", "tanh")
    theirs = reference.google_vit(arrays, torch.tensor(X32, dtype=torch.float64), depth=2)
    found = errors(ours(loaded, X32), {name: array.numpy() for name, array in theirs.items()})
    print(found)
    assert max(found.values()) <= BOUND
    path = zoo.save_weights(tmp_path / "out.npz", loaded.model, loaded.variables, layout="google-vit")
    with np.load(path) as out:
        assert out.keys() == arrays.keys()
        for name, array in arrays.items():
            np.testing.assert_array_equal(out[name], array.numpy())


def test_dcgan_goes_in_and_out(tmp_path: Path) -> None:
    generator = randomized(reference.Generator(100, (64, 32, 16, 8)), seed=1)
    discriminator = randomized(reference.Discriminator((8, 16, 32, 64)), seed=2)
    files = {"netG": saved(generator, tmp_path / "g"), "netD": saved(discriminator, tmp_path / "d")}
    loaded = zoo.load_model("dcgan_64", files, widths=(64, 32, 16, 8))
    z = np.random.default_rng(0).normal(size=(3, 100)).astype(np.float32)
    made = run(generator, torch.tensor(z).double())["output"]
    told = run(discriminator, torch.tensor(made))["output"]
    images, logits = loaded.model.apply(loaded.variables, z, train=False)
    found = {"images": error(images, nhwc(torch.tensor(made))), "logits": error(logits, told)}
    print(found)
    assert max(found.values()) <= BOUND

    path = zoo.save_weights(tmp_path / "out.safetensors", loaded.model, loaded.variables, layout="pytorch")
    parts = {"netG": (generator.float(), reference.Generator(100, (64, 32, 16, 8))),
             "netD": (discriminator.float(), reference.Discriminator((8, 16, 32, 64)))}  # fmt: skip
    for lead, (old, new) in parts.items():
        arrays = {name.removeprefix(f"{lead}."): torch.tensor(array) for name, array in load_file(path).items()
                  if name.startswith(lead)}  # fmt: skip
        new.load_state_dict(arrays, strict=True)
        for name, array in old.state_dict().items():
            if not name.endswith("num_batches_tracked"):
                assert torch.equal(new.state_dict()[name], array)


SIZES = {
    **{f"resnet{n}": (lambda n=n: getattr(torchvision(), f"resnet{n}")()) for n in (18, 34, 50, 101, 152)},
    "alexnet_one_tower": lambda: torchvision().AlexNet(),
    **{f"vgg{n}": (lambda n=n: getattr(torchvision(), f"vgg{n}")()) for n in (11, 13, 16, 19)},
    "vit_base_patch16": lambda: torchvision().vit_b_16(),
    "vit_large_patch16": lambda: torchvision().vit_l_16(),
    "vit_huge_patch14": lambda: torchvision().vit_h_14(image_size=224),
    **{f"vit_{size}_patch16": (lambda size=size: pytest.importorskip("timm").create_model(f"vit_{size}_patch16_224"))
       for size in ("tiny", "small")},
}  # fmt: skip


@pytest.mark.parametrize("name", SIZES)
def test_full_size_has_the_names_and_shapes_of_its_library(name: str) -> None:
    """Without memory for either: the tables against the published architecture."""
    with torch.device("meta"):
        theirs = {key: tuple(array.shape) for key, array in SIZES[name]().state_dict().items()}
    card = zoo.card(name)
    kind = "timm" if name in ("vit_tiny_patch16", "vit_small_patch16") else "torchvision"
    layout = layouts.named(card.module, kind)
    model = zoo.create(name, **layout.facts(card.config))
    shapes = expected_shapes(model, inputs_for(card, model.cfg, layout, theirs))
    found = {}
    for rule in rules_for(layout, model.cfg, shapes):
        found |= dict(zip(rule.theirs, rule.shapes(shapes), strict=True))
    assert found == {key: shape for key, shape in theirs.items() if not layout.is_buffer(key)}


def changed(loaded: Any, **fields: Any) -> Any:
    """The same weights in a network with other fields."""
    model = loaded.model.clone(cfg=dataclasses.replace(loaded.model.cfg, **fields))
    return dataclasses.replace(loaded, model=model)


def turned(loaded: Any, path: str) -> Any:
    """One square kernel with its first two axes exchanged."""
    *way, last = path.split("/")
    variables = jax.tree.map(lambda leaf: leaf, loaded.variables)
    inner = variables
    for key in way:
        inner = inner[key]
    inner[last] = inner[last].swapaxes(0, 1)
    return dataclasses.replace(loaded, variables=variables)


def swapped_qkv(loaded: Any) -> Any:
    """Keys and values exchanged."""
    variables = jax.tree.map(lambda leaf: leaf, loaded.variables)
    qkv = variables["params"]["block0"]["attention"]["qkv"]
    q, k, v = np.split(np.asarray(qkv["kernel"]), 3, axis=-1)
    qkv["kernel"] = np.concatenate([q, v, k], axis=-1)
    return dataclasses.replace(loaded, variables=variables)


def flattened_as_here(loaded: Any) -> Any:
    """The first linear layer read as if the maps were flattened place by place there too."""
    variables = jax.tree.map(lambda leaf: leaf, loaded.variables)
    c5 = variables["params"]["c5"]
    kernel = np.asarray(c5["kernel"]).reshape(5, 5, 16, 120)
    c5["kernel"] = kernel.transpose(2, 0, 1, 3).reshape(400, 120)
    return dataclasses.replace(loaded, variables=variables)


MISTAKES = {
    "epsilon 1e-6 for 1e-12": ("vit-huggingface", lambda loaded: changed(loaded, norm_epsilon=1e-6)),
    "epsilon 1e-5 for 1e-6": ("vit-torchvision", lambda loaded: changed(loaded, norm_epsilon=1e-5)),
    "tanh for exact GELU": ("vit-timm", lambda loaded: changed(loaded, gelu="tanh")),
    "exact for tanh GELU": ("vit-huggingface-tanh", lambda loaded: changed(loaded, gelu="exact")),
    "stride on the 1x1": ("resnet50-torchvision", lambda loaded: changed(loaded, stride_in_3x3=False)),
    "stride on the 3x3": ("resnet50-huggingface-v1", lambda loaded: changed(loaded, stride_in_3x3=True)),
    "kernel turned": ("resnet18-torchvision", lambda loaded: turned(loaded, "params/s0b0/conv1/kernel")),
    "matrix transposed": ("vit-timm", lambda loaded: turned(loaded, "params/block0/attention/out/kernel")),
    "keys and values exchanged": ("vit-torchvision", swapped_qkv),
    "maps flattened in the other order": ("lenet5-pytorch", flattened_as_here),
    "average for maximum pooling": ("lenet5-pytorch", lambda loaded: changed(loaded, pooling="average")),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_seen(mistake: str, tmp_path: Path) -> None:
    name, make = MISTAKES[mistake]
    case = CASES[name]
    theirs = built(case)
    loaded = loaded_from(case, source(case, theirs, tmp_path))
    wrong = ours(make(loaded), case.x)["output"]
    found = error(wrong, run(theirs, nchw(case.x))["output"])
    print(f"{mistake}: {found:.1e}")
    assert found > 3 * BOUND


def test_same_padding_of_a_strided_convolution_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    case = CASES["resnet18-torchvision"]
    theirs = built(case)
    loaded = loaded_from(case, source(case, theirs, tmp_path))
    monkeypatch.setattr(zoo.layers, "pads", same)  # of convolutions and of the pooling
    found = error(ours(loaded, case.x)["output"], run(theirs, nchw(case.x))["output"])
    print(f"SAME padding for stride 2: {found:.1e}")
    assert found > 3 * BOUND


def same(padding: Any, size: Any, window: Any, stride: Any) -> tuple:
    """What "SAME" gives whatever was asked: equal to symmetric padding but for a stride above 1."""
    return tuple(jax.lax.padtype_to_pads(size, window, stride, "SAME"))
