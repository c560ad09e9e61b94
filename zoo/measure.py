"""Sizes of a model without running it: parameters, floating-point operations, and a table of its layers."""

import collections
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import jax
from flax import linen as nn
from jax.extend import core

Inputs = Mapping[str, tuple[tuple[int, ...], Any]]  # as Card.inputs: argument -> (shape without batch, dtype)
Path = tuple[str, ...]
SCOPE = "layer:"  # marks the scopes that layer_table puts around modules


class Layer(NamedTuple):
    """One module of a model. Shapes leave out the batch axis; params and flops include its submodules."""

    path: str  # "s0b1/conv1"; "" for the model itself
    module: str  # type name
    output: tuple[int, ...]
    params: int
    flops: int


def count_flops(fn: Callable, *args: Any) -> int:
    """Operations of one call of `fn` on arguments of these shapes (arrays or ShapeDtypeStructs), by tracing.

    Exact for products and convolutions, nothing else counted; a multiply-add is 2. Border zeros count as
    operations, the zeros between the pixels of a transposed convolution do not. A scan counts every turn,
    a while loop one turn, a cond its dearest branch.
    """
    return sum(_flops_by_scope(jax.make_jaxpr(fn)(*args).jaxpr).values())


def param_count(model: nn.Module, inputs: Inputs) -> int:
    """Trained numbers of a model for inputs of these shapes. Allocates no arrays."""
    return _size(_variables(model, inputs)["params"])


def layer_table(model: nn.Module, inputs: Inputs) -> list[Layer]:
    """A row for the model and for each submodule in the order of their calls; flops of one example, forward.

    Of a module called several times the output is its first; of several outputs, the first of them.
    """
    return trace(model, inputs).layers


class Trace(NamedTuple):
    """A model's forward pass of one example as a program, each operation of it marked with its module."""

    layers: list[Layer]
    jaxpr: core.Jaxpr
    inputs: tuple[str, ...]  # of each of the program's last arguments, the name; those before are the variables


def trace(model: nn.Module, inputs: Inputs) -> Trace:
    """Trace a model in evaluation mode. Allocates no arrays."""
    variables = _variables(model, inputs)
    seen: dict[Path, tuple[str, tuple[int, ...]]] = {}
    asked: dict[Path, tuple[str, tuple[int, ...]]] = {}  # for something else than a call

    def note(call: Callable, args: tuple, kwargs: dict, context: nn.module.InterceptorContext) -> Any:
        path, kind = context.module.path, type(context.module).__name__
        if context.method_name != "__call__":
            with jax.named_scope(SCOPE + "/".join(path)):
                output = call(*args, **kwargs)
            asked[path] = kind, _first_shape(output) or asked.get(path, ("", ()))[1]
            return output
        first = path not in seen
        if first:  # its row stands above those of the modules it calls
            seen[path] = (kind, ())
        with jax.named_scope(SCOPE + "/".join(path)):
            output = call(*args, **kwargs)
        if first:
            seen[path] = (kind, _first_shape(output))
        return output

    structs = _structs(inputs)
    with nn.intercept_methods(note):
        jaxpr = jax.make_jaxpr(lambda v, x: model.apply(v, **x, train=False))(variables, structs).jaxpr
    flops = _flops_by_scope(jaxpr)
    rows = []
    for path, (kind, output) in _with_parents(seen, asked):
        params = variables.get("params", {})
        for key in path:
            params = params.get(key, {})
        inside = sum(n for scope, n in flops.items() if scope[: len(path)] == path)
        rows.append(Layer("/".join(path), kind, output, _size(params), inside))
    return Trace(rows, jaxpr, tuple(sorted(structs)))  # as JAX orders the leaves of a dict


def _with_parents(
    seen: Mapping[Path, tuple[str, tuple[int, ...]]], asked: Mapping[Path, tuple[str, tuple[int, ...]]]
) -> Iterator[tuple[Path, tuple[str, tuple[int, ...]]]]:
    """The modules `seen`, each after the ones it stands in, also those of which only another method was called."""
    given: set[Path] = set()
    for path in seen:
        for above in (path[:length] for length in range(len(path) + 1)):
            if above not in given and (above in seen or above in asked):
                given.add(above)
                yield above, seen.get(above) or asked[above]


def _first_shape(output: Any) -> tuple[int, ...]:
    leaves = jax.tree.leaves(output)
    return leaves[0].shape[1:] if leaves else ()


def scope_of(eqn: core.JaxprEqn, outside: Path) -> Path:
    """The path of the module that an operation of a Trace belongs to; `outside` where it says none."""
    names = [part.name for part in eqn.source_info.name_stack.stack if part.name.startswith(SCOPE)]
    return tuple(filter(None, names[-1].removeprefix(SCOPE).split("/"))) if names else outside


def _structs(inputs: Inputs) -> dict[str, jax.ShapeDtypeStruct]:
    return {name: jax.ShapeDtypeStruct((1, *shape), dtype) for name, (shape, dtype) in inputs.items()}


def _variables(model: nn.Module, inputs: Inputs) -> Any:
    key = jax.eval_shape(jax.random.key, 0)
    return jax.eval_shape(lambda key, x: model.init(key, **x, train=False), key, _structs(inputs))


def _size(tree: Any) -> int:
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(tree))


def _flops_by_scope(jaxpr: core.Jaxpr, outside: Path = ()) -> dict[Path, int]:
    """Operations by the innermost scope of `layer_table` they stand in, `outside` where they stand in none."""
    total: dict[Path, int] = collections.Counter()
    for eqn in jaxpr.eqns:
        scope = scope_of(eqn, outside)
        inner = [_flops_by_scope(body, scope) for body in bodies(eqn)]
        if eqn.primitive.name == "cond":
            inner = [max(inner, key=lambda flops: sum(flops.values()))]
        turns = eqn.params["length"] if eqn.primitive.name == "scan" else 1
        for flops in inner:
            for path, n in flops.items():
                total[path] += turns * n
        if eqn.primitive.name in ("dot_general", "conv_general_dilated"):
            total[scope] += _products(eqn)
    return total


def bodies(eqn: core.JaxprEqn) -> Iterator[core.Jaxpr]:
    """The programs inside an operation: of jit, scan, cond, remat, custom gradients, ..."""
    for value in jax.tree.leaves(list(eqn.params.values())):
        if isinstance(value, core.ClosedJaxpr):
            yield value.jaxpr
        elif isinstance(value, core.Jaxpr):
            yield value


def _products(eqn: core.JaxprEqn) -> int:
    """Operations of one matrix product or convolution: output elements times twice the terms in each."""
    left, right = (v.aval.shape for v in eqn.invars)
    out = math.prod(eqn.outvars[0].aval.shape)
    if eqn.primitive.name == "dot_general":
        (contracted, _), _ = eqn.params["dimension_numbers"]
        return 2 * out * math.prod(left[axis] for axis in contracted)
    # A kernel's input axis holds the channels of one group; the zeros that dilate an input meet no pixel.
    kernel = eqn.params["dimension_numbers"].rhs_spec  # (features, channels, *window)
    terms = math.prod(right[axis] for axis in kernel[1:])
    return 2 * out * terms // math.prod(eqn.params["lhs_dilation"])
