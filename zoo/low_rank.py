"""Networks whose matrices are products of two thin ones: truncated singular value decomposition, for every model.

A dense kernel W (in, out), or that of a 1x1 convolution, is U S V; kept are the r largest singular values, so that
W ~ u v with u (in, r), v (r, out), the nearest matrix of rank r there is (Eckart and Young 1936,
doi:10.1007/BF02288367). A convolution with a larger window is the matrix from all that its window sees to its features:
it becomes one of r features and a 1x1. Denton et al. 2014 (arXiv:1404.0736) made trained networks faster so.

    layers = low_rank.find(model, x, train=False)                       # what can be factorized; computes nothing
    small = low_rank.truncate(low_rank.decompose(variables["params"], layers), energy=0.9)
    logits = low_rank.apply(model, variables | {"params": small.params}, x, train=False)
    low_rank.save("small.safetensors", model, variables | {"params": small.params})
    model, variables = low_rank.load("small.safetensors")

Factors stand in the parameters as "u" and "v" where "kernel" was; no model knows of them. `run_factors` is what makes
its layers read them.
"""

import contextlib
import dataclasses
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from flax import linen as nn
from flax.traverse_util import flatten_dict, unflatten_dict
from jax import Array

import zoo
from zoo.errors import UserError
from zoo.layers import Conv, one_product, pads, pair, plain_convolution
from zoo.weights.files import open_safetensors
from zoo.weights.fit import card_of
from zoo.weights.save import write_safetensors

LAYOUT = "low rank"
Path_ = tuple[str, ...]


class Call(NamedTuple):
    """How a model was called, arrays as shapes, and which of its layers have a kernel that is one matrix."""

    layers: tuple[Path_, ...]  # in the order of their calls
    args: tuple
    kwargs: dict[str, Any]


class Spectrum(NamedTuple):
    """A kernel taken apart: u (in, n), s (n,) falling, v (n, out)."""

    u: np.ndarray
    s: np.ndarray
    v: np.ndarray
    inputs: tuple[int, ...]  # the axes of the kernel that are "in": (in,) of a dense layer, (kh, kw, in) of a window

    @property
    def size(self) -> int:
        return len(self.u) * self.v.shape[1]

    def rank(self, energy: float) -> int:
        """The fewest singular values that hold a share `energy` of the sum of all their squares."""
        held = np.cumsum(self.s**2)
        if not held[-1]:
            return 1
        return 1 + int(np.argmax(held >= energy * held[-1] * (1 - 1e-12)))

    def saves(self, rank: int) -> bool:
        """Whether two factors of this rank are fewer numbers than the kernel."""
        return rank * (len(self.u) + self.v.shape[1]) < self.size


@dataclasses.dataclass(frozen=True)
class Truncated:
    """Parameters with factors, and the rank that each factorized layer was given."""

    params: dict[str, Any]
    ranks: dict[str, int]  # "encoder/block0/up" -> r; layers that would not have become smaller are not here


def find(model: nn.Module, *args: Any, windows: bool = False, **kwargs: Any) -> Call:
    """The layers of `model` that can be factorized, when it is called with these arguments. Computes nothing.

    windows: convolutions with a window larger than 1x1 too.
    """
    key = jax.random.key(0)
    return find_in(lambda: model.init({"params": key, "dropout": key}, *args, **kwargs), windows=windows)


def find_in(call: Callable[[], Any], *, windows: bool = False) -> Call:
    """As `find`, of the one model that `call` calls."""
    layers: dict[Path_, None] = {}
    how: list[tuple[tuple, dict[str, Any]]] = []

    def note(next_call: Callable, args: tuple, kwargs: dict, context: nn.module.InterceptorContext) -> Any:
        if not how:
            how.append(jax.tree.map(_shape, (args, kwargs)))
        if _is_matrix(context.module, windows) and context.method_name == "__call__":
            layers[context.module.path] = None
        return next_call(*args, **kwargs)

    with nn.intercept_methods(note):
        jax.eval_shape(lambda: call())
    return Call(tuple(layers), *how[0])


def decompose(params: Mapping[str, Any], layers: Sequence[Path_]) -> dict[Path_, Spectrum]:
    """Every kernel of `layers` taken apart, in float64 on the host."""
    found = {}
    for path in layers:
        kernel = np.asarray(_at(params, path)["kernel"], np.float64)
        u, s, v = np.linalg.svd(kernel.reshape(-1, kernel.shape[-1]), full_matrices=False)
        found[path] = Spectrum(u, s, v, kernel.shape[:-1])
    return found


def truncate(
    params: Mapping[str, Any],
    spectra: Mapping[Path_, Spectrum],
    *,
    energy: float | None = None,
    rank: int | None = None,
) -> Truncated:
    """`params` with factors for every kernel that they make smaller: of the lowest rank that holds a share `energy` of
    its squared singular values (above 0 to 1), or of at most `rank`. Exactly one of the two is given.
    """
    if (energy is None) == (rank is None):
        raise UserError("truncate takes an energy or a rank, not both")
    if energy is not None and not 0 < energy <= 1:
        raise UserError(f"energy must be above 0 and at most 1, not {energy}")
    if rank is not None and rank < 1:
        raise UserError(f"rank must be at least 1, not {rank}")
    flat, ranks = dict(flatten_dict(params)), {}
    for path, spectrum in spectra.items():
        r = spectrum.rank(energy) if rank is None else min(rank, len(spectrum.s))
        if not spectrum.saves(r):
            continue
        dtype = flat.pop((*path, "kernel")).dtype
        root = np.sqrt(spectrum.s[:r])  # half of it on each side: both factors are of one scale
        flat[*path, "u"] = np.asarray(spectrum.u[:, :r] * root, dtype).reshape(*spectrum.inputs, r)
        flat[*path, "v"] = np.asarray(root[:, None] * spectrum.v[:r], dtype)
        ranks["/".join(path)] = r
    return Truncated(unflatten_dict(flat), ranks)


@contextlib.contextmanager
def run_factors() -> Iterator[None]:
    """Within it every layer whose parameters hold "u" and "v" computes x u v, wherever its model is called or traced;
    a function that was traced before with such parameters is not traced again.
    """
    with nn.intercept_methods(_read_factors):
        yield


def apply(model: nn.Module, variables: Mapping[str, Any], *args: Any, **kwargs: Any) -> Any:
    """`model.apply` for variables that may hold factors."""
    with run_factors():
        return model.apply(variables, *args, **kwargs)


def save(path: str | Path, model: nn.Module, variables: Mapping[str, Any]) -> Path:
    """Write a safetensors file of `variables`, factors and all, and what `load` must know of the model."""
    path = Path(path)
    about = {"name": card_of(model).name, "layout": LAYOUT, "fields": dataclasses.asdict(model.cfg)}
    arrays = {name: np.ascontiguousarray(leaf) for name, leaf in flatten_dict(variables, sep="/").items()}
    write_safetensors(path, arrays, {"zoo": json.dumps(about, default=dict)})
    return path


def load(path: str | Path) -> tuple[nn.Module, dict[str, Any]]:
    """(model, variables) that `save` wrote; call them by `apply`. UserError where the file is none of those."""
    tensors, metadata = open_safetensors(Path(path))
    try:
        about = json.loads(metadata["zoo"])
        name, fields = about["name"], about["fields"]
        if about["layout"] != LAYOUT:
            raise KeyError(LAYOUT)
    except (KeyError, ValueError, TypeError):
        raise UserError(f"{path} holds no factors: zoo compress writes such files") from None
    variables = unflatten_dict({tuple(each.split("/")): tensor.read() for each, tensor in tensors.items()})
    return zoo.create(name, **fields), variables


def _is_matrix(module: nn.Module, windows: bool) -> bool:
    if isinstance(module, nn.Dense):
        return True
    return isinstance(module, Conv) and module.groups == 1 and (windows or pair(module.kernel) == (1, 1))


def _read_factors(next_call: Callable, args: tuple, kwargs: dict, context: nn.module.InterceptorContext) -> Any:
    layer = context.module
    if context.method_name != "__call__" or not _is_matrix(layer, True) or not layer.has_variable("params", "u"):
        return next_call(*args, **kwargs)
    (x,) = args
    u, v = (layer.get_variable("params", name) for name in ("u", "v"))
    bias = layer.get_variable("params", "bias") if layer.has_variable("params", "bias") else None
    x, u, v, bias = nn.dtypes.promote_dtype(x, u, v, bias, dtype=getattr(layer, "dtype", None))
    y = one_product(_first(layer, x, u), v)
    return y if bias is None else y + bias.reshape((1,) * (y.ndim - 1) + (-1,))


def _first(layer: nn.Module, x: Array, u: Array) -> Array:
    """x times the first factor; a convolution's stride and padding act here."""
    if isinstance(layer, nn.Dense):
        return one_product(x, u)
    stride = pair(layer.stride)
    return plain_convolution(x, u, stride, pads(layer.padding, x.shape[1:3], u.shape[:2], stride))


def _at(tree: Mapping[str, Any], path: Path_) -> Any:
    for name in path:
        tree = tree[name]
    return tree


def _shape(leaf: Any) -> Any:
    return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype) if isinstance(leaf, jax.Array | np.ndarray) else leaf
