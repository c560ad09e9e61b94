"""Rematerialization: blocks computed again for the gradient change memory and time, and nothing that is learned."""

from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import slow_except
from jax.extend import core

import zoo
from zoo.cards import image, text, text_pair
from zoo.measure import bodies

WORDS = {"vocab": 7, "width": 16, "depth": 2, "heads": 2, "dropout": 0.3}
CASES = {  # id: name, fields, inputs as on a card, blocks
    "resnet": ("resnet20", {"depths": (1, 2), "widths": (8, 16), "drop_path": 0.5}, image(8, 8, 3), 3),
    "vit": ("vit_mini_patch4", {"width": 16, "depth": 2, "heads": 2, "dropout": 0.3}, image(8, 8, 3), 2),
    "simclr": ("simclr_resnet20", {"fields": {"depths": (1, 1), "widths": (8, 16)}}, image(8, 8, 3), 2),
    "gpt": ("gpt2", WORDS | {"context": 8}, text(8), 2),
    "gpt_post": ("gpt1", WORDS | {"context": 8}, text(8), 2),
    "bert": ("bert_mini", WORDS | {"context": 8, "head": "classify"}, text(8), 2),
    "transformer": ("transformer_base", WORDS | {"hidden": 8}, text_pair(6, 5), 4),
}
each = pytest.mark.parametrize("case", slow_except(("gpt",), CASES))
traced = pytest.mark.parametrize("case", slow_except(("resnet", "vit", "gpt", "bert"), CASES))
KEY = jax.random.key(0)


def made(case: str, remat: bool) -> tuple[Any, dict[str, jax.Array]]:
    """Model and a batch of four."""
    name, fields, inputs, _ = CASES[case]
    fields = fields | ({"fields": {**fields["fields"], "remat": remat}} if case == "simclr" else {"remat": remat})
    batch = {}
    for i, (argument, (shape, dtype)) in enumerate(inputs.items()):
        key = jax.random.key(1 + i)
        if dtype == jnp.bool_:
            batch[argument] = jnp.arange(shape[0])[None] < shape[0] - jnp.arange(4)[:, None]
        elif dtype == jnp.int32:
            batch[argument] = jax.random.randint(key, (4, *shape), 0, 7)
        else:
            batch[argument] = jax.random.normal(key, (4, *shape), dtype)
    return zoo.create(name, **fields), batch


def of_step(model: Any, params: Any, others: Any, batch: dict[str, jax.Array]) -> Any:
    """Return the loss of a step in training with dropout, its gradient, and the new statistics."""

    def loss_of(params: Any) -> tuple[jax.Array, Any]:
        variables = {"params": params, **others}
        out, new = model.apply(variables, **batch, train=True, rngs={"dropout": KEY}, mutable=list(others))
        return (out**2).mean() + out.mean(), new

    return jax.value_and_grad(loss_of, has_aux=True)(params)


def initial(model: Any, batch: dict[str, jax.Array]) -> dict[str, Any]:
    return dict(jax.jit(lambda key: model.init(key, **batch, train=False))(KEY))


@each
def test_gradients_statistics_and_dropout_are_those_without(case: str) -> None:
    results = []
    for remat in (False, True):
        model, batch = made(case, remat)
        variables = initial(made(case, False)[0], batch)
        # Noise, since some parameters start at zero, which would block the gradients of others.
        params = jax.tree.map(lambda leaf: leaf + 0.1 * jax.random.normal(KEY, leaf.shape), variables.pop("params"))
        results.append(jax.jit(of_step, static_argnums=0)(model, params, variables, batch))
    plain, again = (jax.tree_util.tree_flatten_with_path(result) for result in results)
    assert plain[1] == again[1]
    for (path, ours), (_, theirs) in zip(plain[0], again[0], strict=True):
        scale = np.abs(ours).max()
        np.testing.assert_allclose(theirs, ours, rtol=1e-6, atol=1e-6 * scale, err_msg=str(path))


@traced
def test_parameters_keep_their_names_and_shapes(case: str) -> None:
    shapes = []
    for remat in (False, True):
        model, batch = made(case, remat)
        shapes.append(jax.eval_shape(lambda model=model, batch=batch: model.init(KEY, **batch, train=False)))
    assert shapes[0] == shapes[1]


def primitives(jaxpr: core.Jaxpr) -> Iterator[str]:
    for eqn in jaxpr.eqns:
        yield eqn.primitive.name
        for body in bodies(eqn):
            yield from primitives(body)


@traced
def test_each_block_is_computed_again_in_training_only(case: str) -> None:
    counts = []
    for remat in (False, True):
        model, batch = made(case, remat)
        variables = jax.eval_shape(lambda model=model, batch=batch: model.init(KEY, **batch, train=False))
        for train in (False, True):

            def call(variables: Any, batch: Any, model: Any = model, train: bool = train) -> Any:
                mutable = [name for name in variables if name != "params"] if train else False
                return model.apply(variables, **batch, train=train, rngs={"dropout": KEY}, mutable=mutable)

            names = list(primitives(jax.make_jaxpr(call)(variables, batch).jaxpr))
            counts.append(names.count("custom_vjp_call"))
    assert counts == [0, 0, 0, CASES[case][3]]


def test_the_program_needs_less_memory() -> None:
    planned = []
    for remat in (False, True):
        model = zoo.create("vit_mini_patch4", width=32, depth=4, heads=4, remat=remat)
        batch = {"x": jax.ShapeDtypeStruct((16, 32, 32, 3), jnp.float32)}
        variables = jax.eval_shape(lambda x, model=model: model.init(KEY, x, train=False), batch["x"])
        program = jax.jit(of_step, static_argnums=0).lower(model, variables["params"], {}, batch).compile()
        plan = program.memory_analysis()
        assert plan is not None
        planned.append(plan.temp_size_in_bytes)
    assert planned[1] < 0.6 * planned[0]


def test_models_without_blocks_say_so_in_one_line() -> None:
    with pytest.raises(zoo.UserError, match=r"^lenet5: unknown field 'remat'"):
        zoo.create("lenet5", remat=True)
