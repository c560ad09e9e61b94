"""What makes each architecture itself."""

import functools
from collections.abc import Callable
from typing import Any

import flax
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import zoo
from zoo import alexnet, lecun1989, lenet, resnet, vit

KEY = jax.random.key(0)


@functools.cache
def made(name: str, shape: tuple[int, ...], **fields: Any) -> tuple[Any, dict]:
    """Model and variables for images of this shape."""
    model = zoo.create(name, **fields)
    return model, jax.jit(lambda key: model.init(key, jnp.zeros((1, *shape)), train=False))(KEY)


@functools.partial(jax.jit, static_argnums=0)
def features(model: Any, variables: dict, x: jax.Array) -> tuple[jax.Array, dict[str, jax.Array]]:
    return zoo.features(model, variables, x)


def noise(*shape: int, seed: int = 1) -> jax.Array:
    return jax.random.normal(jax.random.key(seed), shape)


def random_head(variables: dict) -> dict:
    """A ViT's head starts at zero, which would hide everything before it."""
    params = variables["params"]
    head = {**params["head"], "kernel": noise(*params["head"]["kernel"].shape)}
    return {**variables, "params": {**params, "head": head}}


def test_alexnet_towers_meet_first_in_convolution_3() -> None:
    model, variables = made("alexnet", (64, 64, 3), classes=5)
    kernel = variables["params"]["conv1"]["kernel"]
    other = {**variables["params"], "conv1": {**variables["params"]["conv1"], "kernel": kernel.at[..., 48:].add(1)}}
    x = noise(1, 64, 64, 3)
    before, after = (features(model, {"params": params}, x)[1] for params in (variables["params"], other))
    np.testing.assert_array_equal(before["conv2"][..., :128], after["conv2"][..., :128])
    assert not np.allclose(before["conv2"][..., 128:], after["conv2"][..., 128:])
    assert not np.allclose(before["conv3"][..., :192], after["conv3"][..., :192])


@pytest.mark.parametrize("size", [224, 227])
def test_alexnet_takes_both_sizes_of_the_paper(size: int) -> None:
    rows = zoo.measure.layer_table(zoo.create("alexnet"), {"x": ((size, size, 3), "float32")})
    rows = {row.path: row for row in rows}
    assert rows["conv1"].output == (55, 55, 96)
    assert rows["conv2"].output == (27, 27, 256)
    assert rows["conv5"].output == (13, 13, 256)
    assert rows[""].params == 60_965_224


def test_alexnet_drops_outputs_and_one_tower_inputs() -> None:
    order = [row.path for row in zoo.measure.layer_table(zoo.create("alexnet"), zoo.card("alexnet").inputs)]
    assert order[-5:] == ["fc6", "dropout6", "fc7", "dropout7", "head"]
    card = zoo.card("alexnet_one_tower")
    order = [row.path for row in zoo.measure.layer_table(card.make(), card.inputs)]
    assert order[-5:] == ["dropout6", "fc6", "dropout7", "fc7", "head"]


@pytest.mark.parametrize(("height", "width"), [(6, 6), (1, 1), (7, 13), (12, 5)])
def test_adaptive_pooling_averages_cells(height: int, width: int) -> None:
    x = noise(2, height, width, 3)
    y = jax.jit(lambda x: alexnet.adaptive_avg_pool(x, 6))(x)
    for i in range(6):
        for j in range(6):
            rows = slice(i * height // 6, -(-(i + 1) * height // 6))
            columns = slice(j * width // 6, -(-(j + 1) * width // 6))
            np.testing.assert_allclose(y[:, i, j], x[:, rows, columns].mean((1, 2)), rtol=1e-4, atol=1e-6)


def test_lenet_starts_as_in_the_paper() -> None:
    kernel = lenet.paper_init(KEY, (5, 5, 6, 16))
    assert 0.95 * 2.4 / 150 < jnp.abs(kernel).max() < 2.4 / 150


def test_lecun_1989_has_the_sizes_of_the_paper() -> None:
    """Section 3: 1,256 units, 64,660 connections, 9,760 parameters; 1,068, 2,592, 5,790 and 310 in its layers."""
    _, variables = made("lecun1989", (16, 16, 1))
    params = variables["params"]
    sizes = {name: sum(leaf.size for leaf in jax.tree.leaves(layer)) for name, layer in params.items()}
    assert sizes == {"h1": 1_068, "h2": 2_592, "h3": 5_790, "head": 310}
    units = {name: layer["bias"].size for name, layer in params.items()}  # each unit has a bias of its own
    assert 16 * 16 + sum(units.values()) == 1_256
    inputs = {name: params[name]["kernel"].size // params[name]["kernel"].shape[-1] for name in units}
    assert sum(count * (inputs[name] + 1) for name, count in units.items()) == 64_660


def test_unet_has_the_maps_of_figure_1() -> None:
    """572 pixels become 388; 568 and 64 features are the first skip, cropped to 392; the bottom has 28 and 1,024."""
    model = zoo.create("unet")
    x = jax.ShapeDtypeStruct((1, 572, 572, 1), jnp.float32)
    variables = jax.eval_shape(lambda x: model.init(KEY, x, train=False), x)
    _, inside = jax.eval_shape(lambda v, x: features(model, v, x), variables, x)
    shapes = {name: leaf.shape[1:] for name, leaf in inside.items()}
    assert shapes["down0_conv2"] == (568, 568, 64)
    assert shapes["bottom_conv2"] == (28, 28, 1024)
    assert shapes["up3_conv"] == (56, 56, 512)
    assert shapes["up0_conv"] == (392, 392, 64)
    assert shapes["head"] == (388, 388, 2)
    assert variables["params"]["up0_conv1"]["kernel"].shape == (3, 3, 128, 64)
    without = jax.eval_shape(lambda x: zoo.create("unet", skips=False).init(KEY, x, train=False), x)
    assert without["params"]["up0_conv1"]["kernel"].shape == (3, 3, 64, 64)


def test_lecun_1989_sees_paper_beyond_its_borders() -> None:
    model, variables = made("lecun1989", (16, 16, 1))
    params = dict(variables["params"])
    params["h1"] = {"kernel": jnp.ones_like(params["h1"]["kernel"]), "bias": jnp.zeros_like(params["h1"]["bias"])}
    _, inside = features(model, {"params": params}, -jnp.ones((1, 16, 16, 1)))
    np.testing.assert_allclose(inside["h1"], -25.0)  # a blank page: each of 25 inputs is -1, beyond the border too


def test_lecun_1989_leaves_each_plane_out_of_one_third_of_h2() -> None:
    _, variables = made("lecun1989", (16, 16, 1))
    kernel = variables["params"]["h2"]["kernel"]
    bias = variables["params"]["h2"]["bias"]
    planes = lecun1989.Planes(tuple(map(tuple, lecun1989.SEEN)))
    x = noise(1, 8, 8, 12)
    apply = jax.jit(lambda x: planes.apply({"params": {"kernel": kernel, "bias": bias}}, x))
    for unseen, own in ((slice(8, 12), slice(0, 4)), (slice(0, 4), slice(4, 8)), (slice(4, 8), slice(8, 12))):
        changed = np.abs(apply(x.at[..., unseen].add(1.0)) - apply(x)).max((0, 1, 2))
        np.testing.assert_array_equal(changed[own], 0)
        assert np.all(np.delete(changed, np.arange(12)[own]) > 0)


def test_option_a_has_no_parameters_and_plain_nets_no_shortcut() -> None:
    sizes = {option: zoo.param_count("resnet20", shortcut=option) for option in ("A", "B", "none")}
    assert sizes["A"] == sizes["none"] == sizes["B"] - 2_752


@pytest.mark.parametrize("shortcut", ["A", "B", "none"])
def test_a_block_of_zeros_leaves_only_its_shortcut(shortcut: str) -> None:
    cfg = resnet.Config((1,), (8,), shortcut=shortcut)
    block, x = resnet.Block(cfg, width=8, stride=2), jnp.abs(noise(2, 6, 6, 4))
    variables = jax.jit(lambda key: block.init(key, x, train=False))(KEY)
    params = flax.traverse_util.path_aware_map(
        lambda path, p: p if path[0].startswith("shortcut") else jnp.zeros_like(p), variables["params"]
    )
    y = jax.jit(lambda v, x: block.apply(v, x, train=False))({**variables, "params": params}, x)
    if shortcut == "A":
        np.testing.assert_array_equal(y[..., :4], x[:, ::2, ::2])
        np.testing.assert_array_equal(y[..., 4:], 0)
    elif shortcut == "B":
        projected = jnp.einsum("bhwc,cf->bhwf", x[:, ::2, ::2], params["shortcut_conv"]["kernel"][0, 0])
        np.testing.assert_allclose(y, jax.nn.relu(projected), rtol=1e-3, atol=1e-5)
    else:
        np.testing.assert_array_equal(y, 0)


def test_zero_init_makes_every_block_start_as_its_shortcut() -> None:
    model, variables = made("resnet20", (8, 8, 3), depths=(2,), widths=(8,), zero_init_last_scale=True)
    found = features(model, variables, noise(1, 8, 8, 3))[1]
    np.testing.assert_array_equal(found["s0b0"], found["stem"])
    np.testing.assert_array_equal(found["s0b1"], found["stem"])


@pytest.mark.parametrize(("field", "sizes"), [(False, (4, 4)), (True, (8, 4))])
def test_a_bottleneck_strides_where_it_says(field: bool, sizes: tuple[int, int]) -> None:
    model = zoo.create("resnet50", depths=(1, 1), widths=(4, 8), stride_in_3x3=field)
    rows = {row.path: row for row in zoo.measure.layer_table(model, {"x": ((32, 32, 3), "float32")})}
    assert tuple(rows[f"s1b0/conv{i}"].output[0] for i in (1, 2)) == sizes


def test_batch_statistics_move_by_a_tenth_in_training_only() -> None:
    model, variables = made("resnet20", (8, 8, 3), depths=(1,), widths=(8,))
    x = 3 * noise(16, 8, 8, 3)
    run = jax.jit(lambda v, x, train: model.apply(v, x, train=train, mutable=True), static_argnums=2)
    kept, moved = (run(variables, x, train)[1]["batch_stats"]["stem"]["norm"] for train in (False, True))
    jax.tree.map(np.testing.assert_array_equal, kept, variables["batch_stats"]["stem"]["norm"])
    convolved = features(model, variables, x)[1]["stem/conv"]
    np.testing.assert_allclose(moved["mean"], 0.1 * convolved.mean((0, 1, 2)), rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(moved["var"], 0.9 + 0.1 * convolved.var((0, 1, 2)), rtol=1e-3)


VIT = {"width": 16, "depth": 2, "heads": 2, "patch": 4}


def swap_patches(x: jax.Array) -> jax.Array:
    """The top left and the bottom right patch of 4 x 4 exchange places."""
    return x.at[:, :4, :4].set(x[:, -4:, -4:]).at[:, -4:, -4:].set(x[:, :4, :4])


@pytest.mark.parametrize(("positions", "moved"), [("learned", True), ("sine", True), ("none", False)])
def test_a_vit_sees_order_only_through_positions(positions: str, moved: bool) -> None:
    model, variables = made(
        "vit_mini_patch4", (8, 12, 3), **VIT, positions="sine" if positions == "sine" else "learned"
    )
    variables = random_head(variables)
    if positions == "none":
        table = jnp.zeros_like(variables["params"]["positions"])
        variables = {**variables, "params": {**variables["params"], "positions": table}}
    apply = jax.jit(lambda v, x: model.apply(v, x, train=False))
    x = noise(2, 8, 12, 3)
    change = jnp.abs(apply(variables, x) - apply(variables, swap_patches(x))).max()
    assert (change > 1e-3) == moved


def test_vit_patches_are_tiles_of_the_image() -> None:
    model, variables = made("vit_mini_patch4", (8, 12, 3), **VIT)
    x = noise(1, 8, 12, 3)
    tokens = features(model, variables, x)[1]["embed"]
    kernel = variables["params"]["embed"]["kernel"]
    expected = jnp.dot(x[0, 4:8, 8:12].reshape(-1), kernel)  # second row, third column: the last of six
    np.testing.assert_allclose(tokens[0, 5], expected, rtol=1e-3, atol=1e-4)


def test_vit_attention_weights_come_with_the_features() -> None:
    model, variables = made("vit_mini_patch4", (8, 12, 3), **VIT)
    weights = features(model, variables, noise(2, 8, 12, 3))[1]["block1/attention/weights"]
    assert weights.shape == (2, 2, 7, 7)
    np.testing.assert_allclose(weights.sum(-1), 1, rtol=1e-5)


def test_the_head_reads_what_pool_says() -> None:
    for pool in ("token", "mean"):
        model, variables = made("vit_mini_patch4", (8, 12, 3), **VIT, pool=pool)
        variables = random_head(variables)
        output, found = features(model, variables, noise(1, 8, 12, 3))
        read = found["norm"][:, 0] if pool == "token" else found["norm"].mean(1)
        assert found["norm"].shape[1] == (7 if pool == "token" else 6)
        np.testing.assert_allclose(output, read @ variables["params"]["head"]["kernel"], rtol=1e-3, atol=1e-4)


def test_sine_positions_differ_and_depend_on_row_and_column() -> None:
    table = vit.sine_positions((3, 5), 16)[0]
    assert table.shape == (15, 16)
    assert len(np.unique(np.round(table, 5), axis=0)) == 15
    np.testing.assert_array_equal(table[0, :8], table[5, :8])  # same column
    np.testing.assert_array_equal(table[0, 8:], table[1, 8:])  # same row


def test_resampling_to_the_same_grid_changes_nothing() -> None:
    _, variables = made("vit_mini_patch4", (8, 12, 3), **VIT)
    same = vit.resample_positions(variables, (2, 3), (2, 3))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), variables, same)


@pytest.mark.parametrize("pool", ["token", "mean"])
def test_resampling_fits_another_size_and_keeps_the_token(pool: str) -> None:
    model, variables = made("vit_mini_patch4", (8, 12, 3), **VIT, pool=pool)
    token = int(pool == "token")
    slope = jnp.arange(6.0).reshape(1, 6, 1) * jnp.ones((1, 6, 16))
    table = jnp.concatenate([jnp.full((1, token, 16), 9.0), slope], axis=1)
    variables = {**variables, "params": {**variables["params"], "positions": table}}
    larger = vit.resample_positions(variables, (2, 3), (4, 6))
    new = larger["params"]["positions"]
    assert new.shape == (1, 24 + token, 16)
    np.testing.assert_array_equal(new[:, :token], 9)
    np.testing.assert_allclose(new[:, token:].mean(), 2.5, atol=1e-4)
    assert (jnp.diff(new[0, token : token + 6, 0]) > 0).all()
    fits = jax.eval_shape(lambda v, x: model.apply(v, x, train=False), larger, noise(1, 16, 24, 3))
    assert fits.shape == (1, 10)


@pytest.mark.parametrize(
    ("positions", "grid", "line"),
    [("sine", (2, 3), "no position table"), ("learned", (3, 3), "7 positions does not fit a grid of 3x3")],
)
def test_resampling_what_cannot_be_is_one_line(positions: str, grid: tuple[int, int], line: str) -> None:
    _, variables = made("vit_mini_patch4", (8, 12, 3), **VIT, positions=positions)
    with pytest.raises(zoo.UserError, match=line):
        vit.resample_positions(variables, grid, (4, 4))


def test_a_table_for_another_size_is_not_taken() -> None:
    model, variables = made("vit_mini_patch4", (8, 12, 3), **VIT)
    with pytest.raises(zoo.UserError, match="resample_positions"):
        model.apply(variables, noise(1, 16, 24, 3), train=False)


def test_drop_path_rises_linearly_over_depth() -> None:
    model, variables = made("vit_mini_patch4", (8, 12, 3), **{**VIT, "depth": 3}, drop_path=0.4)
    rates = []

    def note(call: Callable, args: tuple, kwargs: dict, context: Any) -> Any:
        if isinstance(context.module, vit.Block) and context.method_name == "__call__":
            rates.append(context.module.drop_path)
        return call(*args, **kwargs)

    with flax.linen.intercept_methods(note):
        jax.eval_shape(lambda v, x: model.apply(v, x, train=False), variables, noise(1, 8, 12, 3))
    np.testing.assert_allclose(rates, [0, 0.2, 0.4])


def test_stochastic_depth_of_a_resnet_follows_the_linear_decay_of_its_paper() -> None:
    model, variables = made("resnet20", (8, 8, 1), widths=(4, 8), depths=(2, 2), drop_path=0.4)
    plain, same = made("resnet20", (8, 8, 1), widths=(4, 8), depths=(2, 2))
    assert jax.tree.structure(variables) == jax.tree.structure(same)
    rates = []

    def note(call: Callable, args: tuple, kwargs: dict, context: Any) -> Any:
        if isinstance(context.module, resnet.Block) and context.method_name == "__call__":
            rates.append(context.module.drop_path)
        return call(*args, **kwargs)

    x = noise(64, 8, 8, 1)
    with flax.linen.intercept_methods(note):
        jax.eval_shape(lambda v, x: model.apply(v, x, train=False), variables, x)
    np.testing.assert_allclose(rates, [0.1, 0.2, 0.3, 0.4])  # l / L times the rate of the last
    whole, other = (jax.jit(lambda v, x, m=m: m.apply(v, x, train=False))(variables, x) for m in (model, plain))
    np.testing.assert_array_equal(whole, other)


def test_a_dropped_block_of_a_resnet_is_its_shortcut() -> None:
    block = resnet.Block(resnet.Config((1,), widths=(4,)), width=4, stride=1, drop_path=0.25)
    x = jnp.abs(noise(400, 3, 3, 4))  # as after a rectifier
    variables = block.init(KEY, x, train=False)

    def run(rate: float) -> jax.Array:
        rngs = {"dropout": KEY}
        return block.copy(drop_path=rate).apply(variables, x, train=True, rngs=rngs, mutable=["batch_stats"])[0]

    y, never = run(0.25), run(0.0)
    dropped = np.array((y == x).all((1, 2, 3)))
    assert 0.17 < dropped.mean() < 0.33
    assert not (never == x).all((1, 2, 3)).any()
    branch = y[~dropped] - x[~dropped]  # where the sum was above zero, the branch over its chance to live
    kept = (y[~dropped] > 0) & (never[~dropped] > 0)
    np.testing.assert_allclose(0.75 * branch[kept], (never - x)[~dropped][kept], rtol=1e-4, atol=1e-5)


def test_batch_normalization_of_an_mlp_comes_before_the_activation_and_replaces_the_bias() -> None:
    model, variables = made("mlp", (4, 4, 1), widths=(5,), batch_norm=True)
    assert set(variables["params"]["hidden0"]) == {"kernel"}
    x = noise(50, 4, 4, 1)
    outputs = {}

    def note(call: Callable, args: tuple, kwargs: dict, context: Any) -> Any:
        outputs[context.module.name] = call(*args, **kwargs)
        return outputs[context.module.name]

    with flax.linen.intercept_methods(note):
        model.apply(variables, x, train=True, mutable=["batch_stats"])
    np.testing.assert_allclose(outputs["norm0"].mean(0), np.zeros(5), atol=1e-5)
    np.testing.assert_allclose(outputs["norm0"].std(0), np.ones(5), rtol=1e-2)


def test_a_model_crosses_the_bridge_to_nnx() -> None:
    x = noise(2, 8, 8, 1)
    model = nnx.bridge.ToNNX(zoo.create("mlp", widths=(8,)), rngs=nnx.Rngs(0))
    nnx.bridge.lazy_init(model, x, train=False)
    assert model(x, train=False).shape == (2, 10)
