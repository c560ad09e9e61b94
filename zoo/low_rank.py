"""Low-rank compression by truncated singular value decomposition, for every model.

The kernel W (in, out) of a dense layer or a 1x1 convolution is U S V. Keeping the r largest singular values gives
W ~ u v with u (in, r) and v (r, out), the nearest matrix of rank r (Eckart and Young 1936, doi:10.1007/BF02288367). A
convolution with a larger window is a matrix from all values in the window to the features; it becomes a convolution
with r features, followed by a 1x1 convolution. Denton et al. 2014 (arXiv:1404.0736) accelerated trained networks so.

    layers = low_rank.find(model, x, train=False).layers                # what can be factorized; computes nothing
    params = variables["params"]
    small = low_rank.truncate(params, low_rank.decompose(params, layers), energy=0.9)
    logits = low_rank.apply(model, variables | {"params": small.params}, x, train=False)
    low_rank.save("small.safetensors", model, variables | {"params": small.params})
    model, variables = low_rank.load("small.safetensors")

In the parameters "u" and "v" replace "kernel". The models themselves know nothing of factors: `run_factors` makes their
layers use them.
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
from flax.linen.dtypes import promote_dtype
from flax.traverse_util import flatten_dict, unflatten_dict
from jax import Array

import zoo
from zoo.convolution import pads, pair, plain_convolution
from zoo.errors import UserError
from zoo.files import parse_json
from zoo.layers import Conv, single_matmul
from zoo.weights.files import open_safetensors
from zoo.weights.fit import card_of
from zoo.weights.save import write_safetensors

LAYOUT = "low rank"
Path_ = tuple[str, ...]


class Call(NamedTuple):
    """The arguments of a call of a model, arrays as shapes, and its layers whose kernel is one matrix."""

    layers: tuple[Path_, ...]  # in call order
    args: tuple
    kwargs: dict[str, Any]


class Spectrum(NamedTuple):
    """The singular value decomposition of a kernel: u (in, n), s (n,) descending, v (n, out)."""

    u: np.ndarray
    s: np.ndarray
    v: np.ndarray
    inputs: tuple[int, ...]  # the axes of the kernel that are "in": (in,) of a dense layer, (kh, kw, in) of a window

    @property
    def size(self) -> int:
        return len(self.u) * self.v.shape[1]

    def rank(self, energy: float) -> int:
        """Return the smallest rank whose squared singular values sum to a fraction `energy` of the total."""
        held = np.cumsum(self.s**2)
        if not held[-1]:
            return 1
        return 1 + int(np.argmax(held >= energy * held[-1] * (1 - 1e-12)))

    def saves(self, rank: int) -> bool:
        """Return whether two factors of this rank have fewer elements than the kernel."""
        return rank * (len(self.u) + self.v.shape[1]) < self.size


@dataclasses.dataclass(frozen=True)
class Truncated:
    """Parameters with factors, and the rank of each factorized layer."""

    params: dict[str, Any]
    ranks: dict[str, int]  # "encoder/block0/up" -> r; layers that factors would not make smaller are missing


def find(model: nn.Module, *args: Any, windows: bool = False, **kwargs: Any) -> Call:
    """Find the layers of `model` that can be factorized when it is called with these arguments. Nothing is computed.

    windows: include convolutions with a window larger than 1x1.
    """
    key = jax.random.key(0)
    return find_in(lambda: model.init({"params": key, "dropout": key}, *args, **kwargs), windows=windows)


def find_in(call: Callable[[], Any], *, windows: bool = False) -> Call:
    """Do the same as `find` for the one model that `call` calls."""
    layers: dict[Path_, None] = {}
    how: list[tuple[tuple, dict[str, Any]]] = []

    def note(next_call: Callable, args: tuple, kwargs: dict, context: nn.module.InterceptorContext) -> Any:
        if not how and context.method_name != "setup":
            how.append(jax.tree.map(_shape, (args, kwargs)))
        if _is_matrix(context.module, windows) and context.method_name == "__call__":
            layers[context.module.path] = None
        return next_call(*args, **kwargs)

    with nn.intercept_methods(note):
        jax.eval_shape(lambda: call())
    return Call(tuple(layers), *how[0])


def decompose(params: Mapping[str, Any], layers: Sequence[Path_]) -> dict[Path_, Spectrum]:
    """Compute the singular value decomposition of every kernel of `layers`, in float64 on the host."""
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
    """Return `params` with factors in place of every kernel that they make smaller.

    Exactly one of two criteria is given: `energy`, above 0 and at most 1, keeps the smallest rank with that fraction of
    the squared singular values; `rank` is the largest rank to keep.
    """
    if (energy is None) == (rank is None):
        raise UserError("truncate takes an energy or a rank, not both")
    if energy is not None and not 0 < energy <= 1:
        raise UserError(f"energy must be above 0 and at most 1, not {energy}")
    if rank is not None and rank < 1:
        raise UserError(f"rank must be at least 1, not {rank}")
    flat: dict[Path_, Any] = dict(flatten_dict(params))
    ranks: dict[str, int] = {}
    for path, spectrum in spectra.items():
        r = len(spectrum.s)
        if rank is not None:
            r = min(rank, r)
        elif energy is not None:
            r = spectrum.rank(energy)
        if not spectrum.saves(r):
            continue
        dtype = flat.pop((*path, "kernel")).dtype
        root = np.sqrt(spectrum.s[:r])  # each factor gets the square root, so that both have the same scale
        flat[*path, "u"] = np.asarray(spectrum.u[:, :r] * root, dtype).reshape(*spectrum.inputs, r)
        flat[*path, "v"] = np.asarray(root[:, None] * spectrum.v[:r], dtype)
        ranks["/".join(path)] = r
    return Truncated(unflatten_dict(flat), ranks)


@contextlib.contextmanager
def run_factors() -> Iterator[None]:
    """Within this context, every layer whose parameters contain "u" and "v" computes x u v when called or traced.

    A function that was already traced with such parameters is not traced again.
    """
    with nn.intercept_methods(_read_factors):
        yield


def apply(model: nn.Module, variables: Mapping[str, Any], *args: Any, **kwargs: Any) -> Any:
    """Call `model.apply` with variables that may contain factors."""
    with run_factors():
        return model.apply(variables, *args, **kwargs)


def save(path: str | Path, model: nn.Module, variables: Mapping[str, Any]) -> Path:
    """Write `variables`, including factors, and the model's name and fields to a safetensors file."""
    path = Path(path)
    about = {"name": card_of(model).name, "layout": LAYOUT, "fields": dataclasses.asdict(model.cfg)}
    arrays = {name: np.ascontiguousarray(leaf) for name, leaf in flatten_dict(variables, sep="/").items()}
    write_safetensors(path, arrays, {"zoo": json.dumps(about, default=dict)})
    return path


def load(path: str | Path) -> tuple[nn.Module, dict[str, Any]]:
    """Return (model, variables) from a file that `save` wrote; run them with `apply`. UserError for any other file."""
    tensors, metadata = open_safetensors(Path(path))
    try:
        about = parse_json(metadata["zoo"])
        name, fields = about["name"], about["fields"]
        if about["layout"] != LAYOUT:
            raise KeyError(LAYOUT)
    except (KeyError, ValueError, TypeError):
        raise UserError(f"{path} contains no factors; zoo compress writes such files") from None
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
    x, u, v, bias = promote_dtype(x, u, v, bias, dtype=getattr(layer, "dtype", None))
    y = single_matmul(_first(layer, x, u), v)
    return y if bias is None else y + bias.reshape((1,) * (y.ndim - 1) + (-1,))


def _first(layer: nn.Module, x: Array, u: Array) -> Array:
    """Multiply x by the first factor; this is where a convolution's stride and padding apply."""
    if isinstance(layer, nn.Dense):
        return single_matmul(x, u)
    stride = pair(layer.stride)
    return plain_convolution(x, u, stride, pads(layer.padding, x.shape[1:3], u.shape[:2], stride))


def _at(tree: Mapping[str, Any], path: Path_) -> Any:
    for name in path:
        tree = tree[name]
    return tree


def _shape(leaf: Any) -> Any:
    return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype) if isinstance(leaf, jax.Array | np.ndarray) else leaf
