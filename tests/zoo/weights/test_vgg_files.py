"""Files of VGG: the model is found by its arrays; what torchvision cannot build is refused. No array is allocated."""

import pytest

import zoo
from zoo import UserError
from zoo.weights import layouts
from zoo.weights.files import Opened, Tensor
from zoo.weights.fit import expected_shapes, fit, identify, inputs_for, rules_for


def file_of(name: str, layout_name: str, **fields: object) -> Opened:
    """A file with the arrays of a card in a layout, none of which can be read."""
    card, model = zoo.card(name), zoo.create(name, **fields)
    layout = layouts.named(type(model), layout_name)
    shapes = expected_shapes(model, inputs_for(card, model.cfg, layout, {}))
    tensors = {}
    for rule in rules_for(layout, model.cfg, shapes):
        tensors |= {
            key: Tensor(shape, pytest.fail) for key, shape in zip(rule.theirs, rule.shapes(shapes), strict=True)
        }
    return Opened(f"{name}.safetensors", tensors)


@pytest.mark.parametrize("layout", ["torchvision", "timm"])
@pytest.mark.parametrize(
    ("name", "batch_norm"), [("vgg11", False), ("vgg13", False), ("vgg16", False), ("vgg16", True), ("vgg19", False)]
)
def test_a_file_shows_which_vgg_it_is_of(name: str, layout: str, batch_norm: bool) -> None:
    opened = file_of(name, layout, batch_norm=batch_norm)
    assert identify(opened) == name
    fitted = fit(name, opened, "auto", False, {})
    assert (fitted.layout.name, fitted.module.cfg.batch_norm) == (layout, batch_norm)


def test_the_file_of_another_depth_names_the_depths() -> None:
    with pytest.raises(UserError, match=r"load it with zoo.load_model\('vgg16', …, depths=\(1, 1, 2, 2, 2\)\)"):
        fit("vgg16", file_of("vgg11", "timm"), "auto", False, {})


@pytest.mark.parametrize(
    ("fields", "why"), [({"kernel": 5}, "its kernels are 3x3"), ({"grid": 4}, "its last maps are averaged to 7x7")]
)
@pytest.mark.parametrize("layout", ["torchvision", "timm"])
def test_what_the_libraries_cannot_build_has_no_layout_of_theirs(fields: dict, why: str, layout: str) -> None:
    with pytest.raises(UserError, match=f"vgg16 has no layout {layout}: {why}"):
        fit(zoo.create("vgg16", **fields), file_of("vgg16", layout), layout, False, None)
