"""Sizes of a model without running it: parameters, floating-point operations, and a table of its layers."""

import collections
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import jax
from flax import linen as nn
from jax.extend import core

from zoo.convolution import plain_forms

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
    """Count the floating-point operations of one call of `fn` by tracing it; arguments may be ShapeDtypeStructs.

    Matrix multiplications and convolutions are counted exactly, a multiply-add as 2, and nothing else is. Padding
    counts; the zeros between the pixels of a transposed convolution do not. A scan counts every iteration, a while loop
    one iteration, a cond its most expensive branch.
    """
    with plain_forms():
        return sum(_flops_by_scope(jax.make_jaxpr(fn)(*args).jaxpr).values())


def param_count(model: nn.Module, inputs: Inputs) -> int:
    """Count the parameters of a model for inputs of these shapes, without allocating any array."""
    return _size(_variables(model, inputs)["params"])


def layer_table(model: nn.Module, inputs: Inputs) -> list[Layer]:
    """Return a row for the model and each submodule, in the order of their calls; flops of one example, forward.

    The output shown is that of the first call, and the first of several outputs.
    """
    return trace(model, inputs).layers


class Trace(NamedTuple):
    """A model's forward pass of one example as a program, in which every operation is marked with its module."""

    layers: list[Layer]
    jaxpr: core.Jaxpr
    inputs: tuple[str, ...]  # names of the program's last arguments; those before are the variables


def trace(model: nn.Module, inputs: Inputs) -> Trace:
    """Trace a model in evaluation mode, without allocating any array."""
    variables = _variables(model, inputs)
    called: dict[Path, tuple[str, tuple[int, ...]]] = {}  # modules by path -> type name, output shape of `__call__`
    other_methods: dict[Path, tuple[str, tuple[int, ...]]] = {}  # the same, for methods other than `__call__`

    def record(call: Callable, args: tuple, kwargs: dict, context: nn.module.InterceptorContext) -> Any:
        path, kind = context.module.path, type(context.module).__name__
        if context.method_name != "__call__":
            with jax.named_scope(SCOPE + "/".join(path)):
                output = call(*args, **kwargs)
            other_methods[path] = kind, _first_shape(output) or other_methods.get(path, ("", ()))[1]
            return output
        first = path not in called
        if first:  # insert it now, so that its row comes before those of its submodules
            called[path] = (kind, ())
        with jax.named_scope(SCOPE + "/".join(path)):
            output = call(*args, **kwargs)
        if first:
            called[path] = (kind, _first_shape(output))
        return output

    structs = _structs(inputs)
    with nn.intercept_methods(record), plain_forms():
        jaxpr = jax.make_jaxpr(lambda v, x: model.apply(v, **x, train=False))(variables, structs).jaxpr
    flops = _flops_by_scope(jaxpr)
    rows = []
    for path, (kind, output) in _with_parents(called, other_methods):
        params = variables.get("params", {})
        for key in path:
            params = params.get(key, {})
        inside = sum(n for scope, n in flops.items() if scope[: len(path)] == path)
        rows.append(Layer("/".join(path), kind, output, _size(params), inside))
    return Trace(rows, jaxpr, tuple(sorted(structs)))  # as JAX orders the leaves of a dict


def _with_parents(
    called: Mapping[Path, tuple[str, tuple[int, ...]]], other_methods: Mapping[Path, tuple[str, tuple[int, ...]]]
) -> Iterator[tuple[Path, tuple[str, tuple[int, ...]]]]:
    """Yield the modules `called`, each after its parents, even a parent of which only another method was called."""
    yielded: set[Path] = set()
    for path in called:
        for above in (path[:length] for length in range(len(path) + 1)):
            if above not in yielded and (above in called or above in other_methods):
                yielded.add(above)
                yield above, called.get(above) or other_methods[above]


def _first_shape(output: Any) -> tuple[int, ...]:
    leaves = jax.tree.leaves(output)
    return leaves[0].shape[1:] if leaves else ()


def scope_of(eqn: core.JaxprEqn, outside: Path) -> Path:
    """Return the path of the module that an operation of a Trace belongs to, or `outside` if it is not marked."""
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
    """Return the number of operations by module path; those without a mark belong to `outside`."""
    total: dict[Path, int] = collections.Counter()
    for eqn in jaxpr.eqns:
        scope = scope_of(eqn, outside)
        inner = [_flops_by_scope(body, scope) for body in bodies(eqn)]
        if eqn.primitive.name == "cond":
            inner = [max(inner, key=lambda flops: sum(flops.values()))]
        iterations = eqn.params["length"] if eqn.primitive.name == "scan" else 1
        for flops in inner:
            for path, n in flops.items():
                total[path] += iterations * n
        if eqn.primitive.name in ("dot_general", "conv_general_dilated"):
            total[scope] += _multiplications(eqn)
    return total


def bodies(eqn: core.JaxprEqn) -> Iterator[core.Jaxpr]:
    """Yield the programs inside an operation: those of jit, scan, cond, remat, custom gradients and so on."""
    for value in jax.tree.leaves(list(eqn.params.values())):
        if isinstance(value, core.ClosedJaxpr):
            yield value.jaxpr
        elif isinstance(value, core.Jaxpr):
            yield value


def shape_of(value: Any) -> tuple[int, ...]:
    """Return the shape of a variable or literal of a program; all of them are arrays."""
    return value.aval.shape


def _multiplications(eqn: core.JaxprEqn) -> int:
    """Count the operations of one matrix multiplication or convolution: 2 for each term of each output element."""
    left, right = map(shape_of, eqn.invars)
    out = math.prod(shape_of(eqn.outvars[0]))
    if eqn.primitive.name == "dot_general":
        (contracted, _), _ = eqn.params["dimension_numbers"]
        return 2 * out * math.prod(left[axis] for axis in contracted)
    # The kernel's input axis has the channels of one group. Zeros between pixels (lhs_dilation) do not count.
    kernel = eqn.params["dimension_numbers"].rhs_spec  # (features, channels, *window)
    terms = math.prod(right[axis] for axis in kernel[1:])
    return 2 * out * terms // math.prod(eqn.params["lhs_dilation"])
