"""How deep models call their blocks: plainly, or with the inside computed again for the gradient."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax.core import lift
from flax.linen.transforms import lift_transform
from jax import Array
from jax.extend import core


def call_block(block: nn.Module, *inputs: Array, remat: bool, train: bool, **given: Any) -> Array:
    """Return block(*inputs, train=train, **given).

    remat: in training keep only the inputs for the gradient, which then computes the inside of the block once more
        (Chen et al. 2016, arXiv:1604.06174). The memory of its inside is free until then.
    """

    def call(block: nn.Module, inputs: tuple[Array, ...], given: dict[str, Any]) -> Array:
        return block(*inputs, train=train, **given)

    # Only in training: whoever records what is inside a block does so in evaluation, and could not do it in here.
    return lift_transform(_lifted, call)(block, inputs, given) if remat and train else call(block, inputs, given)


def _lifted(fn: Callable[..., Any]) -> Callable[..., Any]:
    """Apply `recomputed` to a function of a Flax scope. As in `nn.remat` variables and keys become arguments."""

    def inner(scope_fn: Any, repack_fn: Any, variables: Any, keys: Any, inputs: Any, given: Any) -> Any:
        def pure(inputs: Any, variables: Any, keys: Any, given: Any) -> Any:
            scope = scope_fn(variables, keys)
            return fn(scope, inputs, given), repack_fn(scope)

        return recomputed(pure, inputs, variables, keys, given)

    return lift.pack(inner, (True,), (True,), (True,), name="remat")


def recomputed(fn: Callable[..., Any], *arguments: Any) -> Any:
    """Return fn(*arguments), with a gradient for which the results inside are computed again from the arguments.

    This is `jax.checkpoint`, but for how XLA is kept from finding that both computations are the same. JAX puts a
    barrier before the second one, which XLA removes on a CPU: nothing is saved there. Here the first argument comes to
    it by way of the gradient of the output, so that it can only begin once that is there.
    """
    given, tree = jax.tree.flatten(arguments)
    # Traced once: a second call of `fn` could draw other random keys.
    program, shapes = jax.make_jaxpr(lambda *leaves: fn(*jax.tree.unflatten(tree, leaves)), return_shape=True)(*given)
    outputs = jax.tree.structure(shapes)
    learns = [jnp.issubdtype(leaf.dtype, jnp.inexact) for leaf in given]

    def plain(*leaves: Array) -> Any:
        return jax.tree.unflatten(outputs, core.jaxpr_as_fun(program)(*leaves))

    def backward(leaves: Sequence[Array], gradient: Any) -> tuple[Any, ...]:
        first, *others = jax.tree.unflatten(tree, leaves)
        later = jax.tree.leaves((_after(gradient, first), *others))

        def of_floats(*floats: Array) -> Any:
            found = iter(floats)
            return plain(*(next(found) if own else leaf for own, leaf in zip(learns, later, strict=True)))

        _, pull_back = jax.vjp(of_floats, *(leaf for own, leaf in zip(learns, later, strict=True) if own))
        gradients = iter(pull_back(gradient))
        return tuple(next(gradients) if own else None for own in learns)

    run = jax.custom_vjp(plain)
    run.defvjp(lambda *leaves: (plain(*leaves), leaves), backward)
    return run(*given)


def _after(first: Any, tree: Any) -> Any:
    """Return `tree` unchanged, bit by bit, as a value that depends on `first`."""
    number = next(leaf for leaf in jax.tree.leaves(first) if jnp.issubdtype(leaf.dtype, jnp.inexact)).ravel()[0]
    always = (number >= -jnp.inf) | jnp.isnan(number)  # which XLA does not see
    return jax.tree.map(lambda leaf: jnp.where(always, leaf, jnp.zeros_like(leaf)), tree)
