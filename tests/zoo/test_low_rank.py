"""Low rank: the nearest matrices, computed as such by layers that know nothing of it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from flax.traverse_util import flatten_dict

import zoo
from zoo import low_rank
from zoo.errors import UserError
from zoo.layers import Conv
from zoo.measure import count_flops

SMALL = {
    "mlp": {"widths": (24, 12)},
    "lenet5": {},
    "vit_mini_patch4": {"depth": 1},
    "gpt_char_mini": {"depth": 1},
    "lstm_char": {"width": 32},
}


def made(name: str, **fields):
    """(model, inputs, variables) of a card, on random inputs of two examples."""
    card = zoo.card(name)
    model = zoo.create(name, **fields)
    inputs = {
        key: jax.random.normal(jax.random.key(1), (2, *shape))
        if jnp.issubdtype(dtype, jnp.floating)
        else jnp.ones((2, *shape), dtype)
        for key, (shape, dtype) in card.inputs.items()
    }
    return model, inputs, jax.jit(lambda key: model.init(key, **inputs, train=False))(jax.random.key(0))


@pytest.mark.parametrize("name", SMALL)
def test_factors_of_full_rank_leave_a_model_as_it_was(name: str, monkeypatch) -> None:
    model, inputs, variables = made(name, **SMALL[name])
    layers = low_rank.find(model, **inputs, train=False, windows=True).layers
    kernels = [path for path in flatten_dict(variables["params"]) if path[-1] == "kernel"]
    assert sorted((*path, "kernel") for path in layers) == sorted(kernels)
    monkeypatch.setattr(low_rank.Spectrum, "saves", lambda self, rank: True)
    cut = low_rank.truncate(variables["params"], low_rank.decompose(variables["params"], layers), energy=1.0)
    assert len(cut.ranks) == len(layers)
    assert not [path for path in flatten_dict(cut.params) if path[-1] == "kernel"]
    before = model.apply(variables, **inputs, train=False)
    after = low_rank.apply(model, variables | {"params": cut.params}, **inputs, train=False)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=2e-4), before, after)


def test_energy_is_the_share_of_the_squared_singular_values() -> None:
    spectrum = low_rank.decompose({"kernel": np.diag([1.0, 3.0, 2.0])}, [()])[()]
    np.testing.assert_allclose(spectrum.s, [3, 2, 1])  # squares 9, 4, 1 of 14
    assert [spectrum.rank(energy) for energy in (0.64, 0.65, 13 / 14, 0.93, 1.0)] == [1, 2, 2, 3, 3]
    assert low_rank.decompose({"kernel": np.zeros((4, 4))}, [()])[()].rank(0.9) == 1


def test_no_matrix_of_that_rank_is_nearer() -> None:
    kernel = np.asarray(jax.random.normal(jax.random.key(0), (30, 20)))
    params = {"layer": {"kernel": kernel}}
    cut = low_rank.truncate(params, low_rank.decompose(params, [("layer",)]), rank=5).params["layer"]
    assert (cut["u"].shape, cut["v"].shape, cut["u"].dtype) == ((30, 5), (5, 20), np.float32)
    dropped = np.linalg.svd(kernel.astype(np.float64), compute_uv=False)[5:]
    assert np.linalg.norm(kernel - cut["u"] @ cut["v"]) == pytest.approx(np.linalg.norm(dropped), rel=1e-5)


def test_a_kernel_is_replaced_only_where_that_saves_parameters() -> None:
    model, inputs, variables = made("mlp", widths=(40, 30))  # kernels 784x40, 40x30, 30x10
    spectra = low_rank.decompose(variables["params"], low_rank.find(model, **inputs, train=False).layers)
    cut = low_rank.truncate(variables["params"], spectra, rank=17)  # 17*70 < 1200, and at most 10*40 > 300
    assert cut.ranks == {"hidden0": 17, "hidden1": 17}
    assert "kernel" in cut.params["head"]
    sizes = [sum(leaf.size for leaf in jax.tree.leaves(tree)) for tree in (variables["params"], cut.params)]
    assert sizes[0] - sizes[1] == (784 * 40 - 17 * 824) + (1200 - 17 * 70)
    flops = [
        count_flops(lambda v: low_rank.apply(model, v, **inputs, train=False), {"params": params})
        for params in (variables["params"], cut.params)
    ]
    assert flops[0] - flops[1] == 2 * 2 * (sizes[0] - sizes[1])  # two examples; a multiply-add is 2
    assert low_rank.truncate(variables["params"], spectra, rank=40).ranks == {}


@pytest.mark.parametrize(("kernel", "stride", "padding"), [(1, 2, 0), (3, 2, 1), (5, 1, "SAME")])
def test_convolutions_keep_their_stride_padding_and_bias(kernel: int, stride: int, padding) -> None:
    layer = Conv(12, kernel, stride, padding, bias_init=nn.initializers.normal())
    x = jax.random.normal(jax.random.key(0), (2, 9, 8, 16))
    params = dict(layer.init(jax.random.key(1), x)["params"])
    thin = jax.random.normal(jax.random.key(2), (kernel * kernel * 16, 3))
    params["kernel"] = (thin @ jax.random.normal(jax.random.key(3), (3, 12))).reshape(params["kernel"].shape)
    call = low_rank.find(layer, x, windows=kernel > 1)
    cut = low_rank.truncate(params, low_rank.decompose(params, call.layers), energy=1 - 1e-9)
    assert cut.ranks == {"": 3}
    before, after = layer.apply({"params": params}, x), low_rank.apply(layer, {"params": cut.params}, x)
    np.testing.assert_allclose(before, after, rtol=1e-3, atol=1e-3)


def test_larger_windows_are_left_alone_unless_asked_for() -> None:
    model, inputs, _ = made("lenet5")
    assert low_rank.find(model, **inputs, train=False).layers == (("c5",), ("f6",), ("head",))


def test_a_saved_network_comes_back_as_it_was(tmp_path) -> None:
    model, inputs, variables = made("vit_mini_patch4", depth=1)
    layers = low_rank.find(model, **inputs, train=False).layers
    cut = low_rank.truncate(variables["params"], low_rank.decompose(variables["params"], layers), energy=0.5)
    assert cut.ranks
    path = low_rank.save(tmp_path / "small.safetensors", model, {"params": cut.params})
    loaded, arrays = low_rank.load(path)
    assert loaded.cfg == model.cfg
    jax.tree.map(np.testing.assert_array_equal, arrays, {"params": cut.params})
    low_rank.apply(loaded, arrays, **inputs, train=False)


def test_what_cannot_be_is_one_line(tmp_path) -> None:
    params = {"layer": {"kernel": np.ones((8, 8))}}
    spectra = low_rank.decompose(params, [("layer",)])
    for how in ({"energy": 0.0}, {"energy": 1.1}, {"rank": 0}, {}, {"energy": 0.5, "rank": 2}):
        with pytest.raises(UserError):
            low_rank.truncate(params, spectra, **how)
    model, _, variables = made("mlp", widths=(4,))
    zoo.save_weights(tmp_path / "whole.safetensors", model, variables)
    with pytest.raises(UserError, match="contains no factors"):
        low_rank.load(tmp_path / "whole.safetensors")


def test_the_example_of_the_module_runs(tmp_path, monkeypatch) -> None:
    """The lines of its documentation, as they are."""
    lines = [line[4:] for line in low_rank.__doc__.splitlines() if line.startswith("    ")]
    assert any("low_rank.find" in line for line in lines)
    monkeypatch.chdir(tmp_path)
    model = zoo.create("mlp", widths=(24, 12))
    x = jnp.ones((2, 28, 28, 1))
    names = {"low_rank": low_rank, "model": model, "x": x, "variables": model.init(jax.random.key(0), x, train=False)}
    exec("\n".join(lines), names)
    assert names["logits"].shape == (2, 10)
    assert names["model"] == model


@pytest.mark.parametrize("name", ["gpt_char_mini", "transformer_mini"])
def test_a_network_of_factors_generates_with_a_cache(name: str) -> None:
    fields = {"vocab": 9, "width": 16, "depth": 1, "heads": 2}
    model = zoo.create(name, **fields)
    tokens = jnp.array([[1, 2, 3]])
    source = {"source": tokens, "source_mask": tokens > 0} if name == "transformer_mini" else {}
    inputs = {**source, "target" if source else "tokens": tokens}
    params = jax.jit(lambda key: model.init(key, **inputs, train=False))(jax.random.key(0))["params"]
    layers = low_rank.find(model, **inputs, train=False).layers
    cut = low_rank.truncate(params, low_rank.decompose(params, layers), rank=4)
    assert any(path.endswith("qkv") for path in cut.ranks)
    variables = {"params": cut.params}
    cache = low_rank.apply(model, variables, 1, 3, **source, method="begin")
    logits, _ = low_rank.apply(model, variables, tokens, cache, method="decode")
    whole = low_rank.apply(model, variables, **inputs, train=False)
    np.testing.assert_allclose(logits, whole, rtol=1e-4, atol=1e-5)
