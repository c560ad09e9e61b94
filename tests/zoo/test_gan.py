"""The pairs: sizes of each network, what each needs and reads, labels, the papers' distributions and initial values."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import zoo
from zoo import measure

KEY = jax.random.key(0)
LABELS = jnp.array([0, 1, 2, 1])
SIZES = {  # generator, discriminator: products of their layers, added up by hand
    "gan": (2_503_984, 1_231_441),
    "dcgan_28": (759_680, 138_624),
    "dcgan_32": (1_068_928, 663_296),
    "dcgan_64": (3_576_704, 2_765_568),  # pytorch/examples
    "dcgan": (18_855_040, 17_232_768),
}
SMALL = {
    "gan": {"shape": (8, 8, 1), "latent": 6, "widths": (16,), "units": (12, 8), "pieces": 3},
    "dcgan_28": {"widths": (8, 4), "base": 2, "latent": 6},
    "dcgan": {"widths": (12, 8, 4), "base": 2, "latent": 6},
}
each = pytest.mark.parametrize("name", SMALL)


@functools.cache
def made(name: str, classes: int = 0, **fields: Any) -> tuple[Any, dict, jax.Array, jax.Array | None]:
    """A small pair, variables, four z, and their labels if the pair is conditional."""
    model = zoo.create(name, **{**SMALL[name], "classes": classes, **fields})
    z, labels = model.prior(jax.random.key(1), 4), LABELS if classes else None
    return model, jax.jit(lambda key: model.init(key, z, labels, train=False))(KEY), z, labels


@functools.cache
def apply(model: Any, method: str, *, train: bool = False) -> Any:
    """(variables, x, labels, key) -> output and changed statistics of one network."""

    @jax.jit
    def run(variables: dict, x: jax.Array, labels: jax.Array | None = None, key: jax.Array = KEY) -> tuple:
        rngs = {"dropout": key}
        return model.apply(variables, x, labels, train=train, method=method, mutable=["batch_stats"], rngs=rngs)

    return run


def part(variables: dict, network: str) -> dict:
    return {collection: {network: tree[network]} for collection, tree in variables.items()}


@pytest.mark.parametrize("name", SIZES)
def test_each_network_has_its_size(name: str) -> None:
    _, variables = zoo.card(name).shapes()
    assert set(variables["params"]) == {"generator", "discriminator"}
    sizes = {key: sum(p.size for p in jax.tree.leaves(tree)) for key, tree in variables["params"].items()}
    assert (sizes["generator"], sizes["discriminator"]) == SIZES[name]


@each
@pytest.mark.parametrize("classes", [0, 3])
def test_each_network_needs_its_own_part_only(name: str, classes: int) -> None:
    model, variables, z, labels = made(name, classes)
    images, _ = apply(model, "generate")(part(variables, "generator"), z, labels)
    logits, _ = apply(model, "discriminate")(part(variables, "discriminator"), images, labels)
    both, _ = apply(model, "__call__")(variables, z, labels)
    assert images.shape == (4, *model.cfg.shape)
    assert logits.shape == (4,)
    jax.tree.map(functools.partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-6), (images, logits), both)


@each
def test_training_moves_the_statistics_of_the_network_that_runs(name: str) -> None:
    model, variables, z, _ = made(name)
    images, moved = apply(model, "generate", train=True)(part(variables, "generator"), z)
    _, other = apply(model, "discriminate", train=True)(part(variables, "discriminator"), images)
    if name == "gan":
        assert moved == other == {}
    else:
        assert [set(new["batch_stats"]) for new in (moved, other)] == [{"generator"}, {"discriminator"}]
        for network, new in (("generator", moved), ("discriminator", other)):
            before = jax.tree.leaves(variables["batch_stats"][network])
            after = jax.tree.leaves(new["batch_stats"][network])
            assert all((a != b).any() for a, b in zip(before, after, strict=True))


@each
@pytest.mark.parametrize("classes", [0, 3])
def test_every_parameter_gets_a_gradient(name: str, classes: int) -> None:
    model, variables, z, labels = made(name, classes)

    def loss(params: dict) -> jax.Array:
        given = {**variables, "params": params}
        options = {"train": True, "mutable": ["batch_stats"], "rngs": {"dropout": KEY}}
        (_, logits), _ = model.apply(given, z, labels, **options)
        return jax.nn.softplus(-logits).mean()  # the generator learns through the discriminator

    gradients = jax.jit(lambda p: jax.tree.map(lambda g: jnp.abs(g).max(), jax.grad(loss)(p)))(variables["params"])
    for path, size in jax.tree.leaves_with_path(gradients):
        assert 0 < size < np.inf, jax.tree_util.keystr(path)


@each
def test_pixels_fill_the_range_and_no_more(name: str) -> None:
    model, variables, z, _ = made(name)
    loud = {**variables, "params": jax.tree.map(lambda p: 100 * p, variables["params"])}
    images, _ = apply(model, "generate")(part(loud, "generator"), z)
    low, high = model.RANGE
    assert low <= images.min() < low + 0.01
    assert high - 0.01 < images.max() <= high


@each
def test_a_label_changes_what_both_networks_say(name: str) -> None:
    model, variables, z, _ = made(name, 3)
    generator, discriminator = part(variables, "generator"), part(variables, "discriminator")
    images = apply(model, "generate")(generator, z, LABELS)[0]
    other = apply(model, "generate")(generator, z, LABELS.at[2].set(0))[0]
    changed = (images != other).any(axis=(1, 2, 3))
    np.testing.assert_array_equal(changed, [False, False, True, False])
    logits, others = (apply(model, "discriminate")(discriminator, images, y)[0] for y in (LABELS, LABELS.at[2].set(0)))
    np.testing.assert_array_equal(logits != others, [False, False, True, False])


@pytest.mark.parametrize(("name", "low", "high", "variance"), [("gan", None, None, 1), ("dcgan_28", -1, 1, 1 / 3)])
def test_prior_is_the_authors(name: str, low: float | None, high: float | None, variance: float) -> None:
    z = zoo.create(name).prior(KEY, 1000)
    assert z.shape == (1000, 100)
    np.testing.assert_allclose(z.mean(), 0, atol=0.02)
    np.testing.assert_allclose(z.var(), variance, rtol=0.02)
    if low is not None:
        assert low <= z.min() < z.max() <= high


def test_a_maxout_unit_is_the_largest_of_its_pieces() -> None:
    model, variables, _, _ = made("gan")
    x = jax.random.uniform(KEY, (4, 8, 8, 1))
    params = variables["params"]["discriminator"]
    h = x.reshape(4, -1)
    for i, units in enumerate((12, 8)):
        h = h @ params[f"hidden{i}"]["kernel"] + params[f"hidden{i}"]["bias"][None]
        h = np.maximum.reduce([h[:, j::3] for j in range(3)])
        assert h.shape == (4, units)
    expected = h @ params["head"]["kernel"][:, 0] + params["head"]["bias"]
    np.testing.assert_allclose(apply(model, "discriminate")(variables, x)[0], expected, rtol=1e-4, atol=1e-6)


def test_one_piece_is_a_rectified_linear_unit() -> None:
    sizes = {pieces: zoo.param_count("gan", pieces=pieces) for pieces in (1, 5)}
    assert sizes[5] - sizes[1] == 4 * (240 * 785 + 240 * 241)
    model, variables, _, _ = made("gan", pieces=1)
    found = jax.jit(lambda v, x: zoo.features(model, v, x)[1])(variables, jax.random.normal(KEY, (4, 6)))
    read = jax.nn.relu(found["discriminator/hidden1"])
    head = variables["params"]["discriminator"]["head"]
    expected = read @ head["kernel"] + head["bias"][None]
    np.testing.assert_allclose(found["discriminator/head"], expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(("name", "drops"), [("gan", True), ("dcgan_28", False)])
def test_only_the_mlp_discriminator_drops(name: str, drops: bool) -> None:
    model, variables, z, _ = made(name)
    images, again = (apply(model, "generate", train=True)(variables, z, None, jax.random.key(i))[0] for i in (0, 1))
    np.testing.assert_array_equal(images, again)
    logits, other = (
        apply(model, "discriminate", train=True)(variables, images, None, jax.random.key(i))[0] for i in (0, 1)
    )
    assert np.array_equal(logits, other) != drops


def test_dcgan_starts_as_in_the_paper() -> None:
    card = zoo.card("dcgan_32")
    z = jnp.zeros((1, 100))
    params = jax.jit(lambda: card.make().init(KEY, z, train=False))()["params"]
    for path, p in jax.tree.leaves_with_path(params):
        kind = path[-1].key
        np.testing.assert_allclose(p.mean(), kind == "scale", atol=0.01)
        np.testing.assert_allclose(p.std(), 0 if kind == "bias" else 0.02, rtol=0.35)
    norms = {f"{network}/{layer}" for network, layers in params.items() for layer in layers if "norm" in layer}
    assert norms == {f"generator/norm{i}" for i in (0, 1, 2)} | {f"discriminator/norm{i}" for i in (1, 2)}


@each
def test_arithmetic_follows_inputs_and_parameters(name: str) -> None:
    model, variables, z, _ = made(name)
    half = {**variables, "params": jax.tree.map(lambda p: p.astype(jnp.bfloat16), variables["params"])}
    run = apply(model, "__call__", train=True)
    for v, x, dtype in ((half, z.astype(jnp.bfloat16), jnp.bfloat16), (half, z, jnp.float32), (variables, z, z.dtype)):
        output, moved = jax.eval_shape(run, v, x)
        assert {o.dtype for o in output} == {jnp.dtype(dtype)}
        assert all(s.dtype == jnp.float32 for s in jax.tree.leaves(moved))


def test_layer_table_shows_both_networks() -> None:
    card = zoo.card("dcgan_28")
    rows = {row.path: row for row in measure.layer_table(card.make(), card.inputs)}
    assert rows["generator"].output == (28, 28, 1)
    assert rows["generator/conv1"].output == (14, 14, 64)
    assert rows["generator/conv1"].flops == 2 * 7 * 7 * 16 * 128 * 64
    assert rows["discriminator"].flops + rows["generator"].flops == card.flops
    assert rows["discriminator"].params + rows["generator"].params == card.params


@pytest.mark.parametrize(
    ("method", "shape", "labels", "classes", "line"),
    [
        ("generate", (4, 7), None, 0, "gan: z must have shape (batch, 6), not (4, 7)"),
        ("discriminate", (4, 9, 8, 1), None, 0, "gan: images must have shape (batch, 8, 8, 1), not (4, 9, 8, 1)"),
        ("generate", (4, 6), LABELS, 0, "gan: classes is 0, so labels must be omitted"),
        ("discriminate", (4, 8, 8, 1), None, 3, "gan: classes is 3, so labels must be given"),
        ("generate", (4, 6), jnp.array([0, 1, 3, 2]), 3, "gan: labels must be from 0 to 2, not 3"),
        ("discriminate", (4, 8, 8, 1), jnp.array([0, -1, 2, 2]), 3, "gan: labels must be from 0 to 2, not -1"),
        (
            "generate",
            (4, 6),
            jnp.zeros(3, jnp.int32),
            3,
            "gan: labels must be (4,) whole numbers, not an array of shape (3,) and dtype int32",
        ),
        (
            "generate",
            (4, 6),
            jnp.zeros(4),
            3,
            "gan: labels must be (4,) whole numbers, not an array of shape (4,) and dtype float32",
        ),
    ],
)
def test_an_input_that_does_not_fit_is_one_line(
    method: str, shape: tuple, labels: jax.Array | None, classes: int, line: str
) -> None:
    model, variables, _, _ = made("gan", classes)
    with pytest.raises(zoo.UserError) as error:
        model.apply(variables, jnp.zeros(shape), labels, train=False, method=method)
    assert str(error.value) == line


@pytest.mark.parametrize(("value", "shown"), [(-1, "-1"), (False, "False"), (0.0, "0.0")])
def test_classes_may_be_none_but_not_less(value: object, shown: str) -> None:
    with pytest.raises(zoo.UserError, match=f"^gan: classes must be a positive integer or 0, not {shown}$"):
        zoo.create("gan", classes=value)


def test_with_layer_norm_the_discriminator_judges_each_image_by_itself() -> None:
    model, variables, _, _ = made("dcgan_28", norm="layer")
    assert set(variables["batch_stats"]) == {"generator"}
    x = jax.random.uniform(KEY, (4, 8, 8, 1), minval=-1)
    discriminate = apply(model, "discriminate", train=True)
    together, alone = discriminate(variables, x)[0], discriminate(variables, x[:1])[0]
    np.testing.assert_allclose(together[:1], alone, rtol=1e-4, atol=1e-6)
    model, variables, _, _ = made("dcgan_28")
    discriminate = apply(model, "discriminate", train=True)
    assert not np.allclose(discriminate(variables, x)[0][:1], discriminate(variables, x[:1])[0], rtol=1e-2)
