"""The design of a claim and its hash: what is decided before the run, so that nobody can tune it until it holds.

The design is what the file of a claim comes to, not its text: arms with their experiments and sweeps, metric, effects
with their margins, seeds, and what counts as failed. A field that has its default is left out, so that a new field of
Experiment changes no design. Functions are compared by the syntax tree of their own source, with the functions and
constants of the same file that they name. Texts for readers are no part of it.
"""

import ast
import dataclasses
import functools
import hashlib
import inspect
import json
import math
from collections.abc import Mapping, Set
from pathlib import Path, PurePath
from types import CodeType, FunctionType
from typing import Any

import numpy as np

from train.history.claims.claim import Claim

TEXTS = ("says", "smoke", "differs")  # fields that no result depends on
CARD_TEXTS = ("differences", "idea", "initial_values", "paper")  # arguments of a model's card, likewise
TYPES = ("annotation", "returns", "type_params")  # parts of a syntax tree that no result depends on, either
PACKAGES = ("train", "zoo", "jax", "jaxlib", "numpy", "scipy", "flax", "optax", "operator", "math")
"""Packages whose functions are known by their names. The module of a claim's file is named after the file."""
DIGITS = 16  # of the hash


def digest(claim: Claim) -> str:
    """Return the hash of a claim's design at the setting that it has."""
    return _hash(design(claim))


def digest_of(parts: Mapping[str, Any]) -> str:
    """Return the hash of anything that is made of experiments, numbers, texts and functions."""
    return _hash({name: _plain(part, ()) for name, part in parts.items()})


def _hash(parts: Mapping[str, Any]) -> str:
    text = json.dumps(parts, sort_keys=True, ensure_ascii=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:DIGITS]


def design(claim: Claim) -> dict[str, Any]:
    """Return the design of a claim as JSON."""
    parts = {
        "arms": claim.arms,
        "starts": claim.starts,
        "metric": claim.measured,
        "effects": claim.effects,
        "seeds": claim.seeds,
        "fails": claim.fails,
    }
    if claim.saturated is not None:
        parts["saturated"] = claim.saturated
    if claim.sabotage:
        parts["sabotage"] = claim.sabotage
    if claim.starts and "pre-training" in claim.varying:
        parts["starts"] = {"for each seed": claim.starts}
    return {name: _plain(part, ()) for name, part in parts.items()}


def _plain(value: Any, above: tuple[CodeType, ...]) -> Any:
    """Return a value as JSON. above: the functions that are being described, which may name each other in a circle."""
    match value:
        case None | bool() | int() | str():
            return value
        case float():
            return value if math.isfinite(value) else str(value)
        case functools.partial():
            return ["partial", _plain(value.func, above), _plain(value.args, above), _plain(value.keywords, above)]
        case Mapping():
            return {str(key): _plain(inner, above) for key, inner in value.items()}
        case list() | tuple():
            return [_plain(inner, above) for inner in value]
        case Set():
            return sorted(json.dumps(_plain(inner, above), sort_keys=True) for inner in value)
        case np.ndarray():
            return ["array", str(value.dtype), list(value.shape), hashlib.sha256(value.tobytes()).hexdigest()]
        case np.generic():
            return _plain(value.item(), above)
        case PurePath():
            return str(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return _fields(value, above)
    plain = inspect.unwrap(value) if callable(value) else value
    if isinstance(plain, FunctionType):
        return _function(plain, above)
    return f"{getattr(plain, '__module__', '')}.{getattr(plain, '__qualname__', type(plain).__qualname__)}"


def _fields(value: Any, above: tuple[CodeType, ...]) -> dict[str, Any]:
    """Return the fields of a dataclass that differ from their defaults, with the name of its type."""
    found: dict[str, Any] = {"type": type(value).__name__}
    for field in dataclasses.fields(value):
        own = getattr(value, field.name)
        default = field.default if field.default_factory is dataclasses.MISSING else field.default_factory()
        same = default is not dataclasses.MISSING and type(own) is type(default) and own == default
        if field.name not in TEXTS and not same:
            found[field.name] = _plain(own, above)
    return found


def _function(function: FunctionType, above: tuple[CodeType, ...]) -> Any:
    """Return a function of a claim's file by its syntax tree; one of a library, or of this project, by its name."""
    code = function.__code__
    package = function.__module__.partition(".")[0]
    name = f"{function.__module__ if package in PACKAGES else ''}.{function.__qualname__}"
    tree = None if code in above or package in PACKAGES else _tree_of(code)
    if tree is None:
        return name
    above = (*above, code)
    cells = zip(code.co_freevars, function.__closure__ or (), strict=True)
    return {
        "body": _tree(tree),
        "closure": {name: _plain(cell.cell_contents, above) for name, cell in cells},
        "defaults": _plain([function.__defaults__, function.__kwdefaults__], above),
        "names": {name: _plain(function.__globals__[name], above) for name in _names(code, function)},
    }


def _names(code: CodeType, function: FunctionType) -> list[str]:
    """Return the names of the same file that a function uses, also in functions inside it. Modules are left out."""
    inner = [constant for constant in code.co_consts if isinstance(constant, CodeType)]
    found = {name for name in code.co_names if _is_own(function.__globals__.get(name), function)}
    return sorted(found.union(*(_names(one, function) for one in inner)))


def _is_own(value: Any, function: FunctionType) -> bool:
    """Whether a value is a function from the folder of this function's file, or a plain constant."""
    while isinstance(value, functools.partial):
        value = value.func
    code = getattr(inspect.unwrap(value), "__code__", None) if callable(value) else None
    if code is not None:
        return Path(code.co_filename).parent == Path(function.__code__.co_filename).parent
    return isinstance(value, bool | int | float | str | tuple | list | dict | np.ndarray) or (
        dataclasses.is_dataclass(value) and not isinstance(value, type)
    )


def _tree_of(code: CodeType) -> ast.AST | None:
    """Return the definition of a function in its file; None where there is no such file, or it has changed since."""
    try:
        tree = _parsed(code.co_filename, Path(code.co_filename).stat().st_mtime_ns)
    except (OSError, SyntaxError, ValueError):
        return None
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
    for node in ast.walk(tree):
        if isinstance(node, kinds) and _first_line(node) == code.co_firstlineno and _is_of(node, code):
            return node
    return None


@functools.lru_cache(maxsize=32)
def _parsed(path: str, changed: int) -> ast.Module:
    """Return the syntax tree of a file. changed: when the file was, so that another content is read again."""
    return ast.parse(Path(path).read_text(encoding="utf-8"))


def _first_line(node: Any) -> int:
    return min([node.lineno, *(one.lineno for one in getattr(node, "decorator_list", []))])


def _is_of(node: Any, code: CodeType) -> bool:
    """Whether a node is the source of a code object. Of several lambdas in one line, their names and constants tell."""
    if not isinstance(node, ast.Lambda):
        return node.name == code.co_name
    arguments = [argument.arg for argument in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)]
    if code.co_name != "<lambda>" or arguments != list(code.co_varnames[: len(arguments)]):
        return False
    compiled = compile(ast.fix_missing_locations(ast.Expression(node)), code.co_filename, "eval")
    (own,) = (constant for constant in compiled.co_consts if isinstance(constant, CodeType))
    known = {*code.co_names, *code.co_varnames, *code.co_freevars}
    return {*own.co_names, *own.co_varnames} <= known and _constants(own) == _constants(code)


def _constants(code: CodeType) -> list[Any]:
    return [constant for constant in code.co_consts if not isinstance(constant, CodeType)]


def tree_of_module(module: ast.Module) -> Any:
    """Return a module as JSON, without texts for readers: docstrings, and the texts of cards."""
    return _tree(module)


def _tree(node: Any) -> Any:
    """Return a syntax tree as JSON, without places, docstrings, types and fields that only some Pythons have."""
    match node:
        case ast.AnnAssign(target=target, value=ast.expr() as value):
            return _tree(ast.Assign(targets=[target], value=value))
        case ast.AST():
            fields = {name: value for name, value in ast.iter_fields(node) if value is not None and value != []}
            fields = {name: value for name, value in fields.items() if name not in TYPES}
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Module):
                fields["body"] = [one for one in node.body if not _is_text(one)]
            if isinstance(node, ast.Call):
                fields["keywords"] = [one for one in node.keywords if one.arg not in CARD_TEXTS]
            return {"node": type(node).__name__} | {name: _tree(value) for name, value in fields.items()}
        case list():
            return [_tree(inner) for inner in node]
        case str() | int() | float() | bool():
            return node
    return repr(node)


def _is_text(node: ast.stmt) -> bool:
    """Whether a statement is only a text: a docstring, or one below an attribute."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
