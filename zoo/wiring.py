"""Which part of a model feeds which: the tree of its modules with the connections between them, from a traced program.

A sum of two values becomes a part of its own ("+"), so that a residual connection is visible as a wire. Activations,
pooling and similar functions become labels of the wires.
"""

import itertools
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from flax import linen as nn
from jax.extend import core

from zoo.measure import Inputs, Layer, Path, bodies, scope_of, shape_of, trace

IN, OUT = -1, -2  # ends of wires that are not parts: the input and the output of the module
SUM = "+"
SAYS = {
    **{"tanh": "tanh", "logistic": "sigmoid", "erfc": "GELU", "exp": "softmax", "concatenate": "concatenate"},
    **{"relu": "ReLU", "leaky_relu": "leaky ReLU", "elu": "ELU", "gelu": "GELU", "silu": "swish", "sigmoid": "sigmoid"},
    **{"softmax": "softmax", "log_softmax": "log softmax"},
}
"""Labels of wires, by JAX's name of the primitive or function."""
NO_CALLS = ("while", "cond")  # operations whose inner programs are not traced
CARRY = "carry"

Sources = dict[int, tuple[str, ...]]  # index of each part that a value comes from -> labels of what was applied since


class Wire(NamedTuple):
    """A connection between two parts, by their indices in `Part.parts` or IN or OUT, with labels of what is applied."""

    start: int
    end: int
    says: tuple[str, ...] = ()


class Part(NamedTuple):
    """A module of a model, or a sum, with its own parts and wires. Dropout, which does nothing here, is left out."""

    name: str  # the last element of its path; "" for the model
    module: str  # type name; SUM
    output: tuple[int, ...]  # without the batch
    params: int
    flops: int
    loops: bool = False  # called once per element of a sequence, with its own previous output
    parts: tuple["Part", ...] = ()
    wires: tuple[Wire, ...] = ()

    @property
    def kind(self) -> tuple[Any, ...]:
        """A key that is equal for parts of the same structure, regardless of their names and sizes."""
        return self.module, tuple((part.name, part.kind) for part in self.parts), self.wires


class _Value(NamedTuple):
    """A value of the program: a unique number, and its shape and dtype."""

    number: int
    aval: Any


class _Step(NamedTuple):
    """One operation of the program, after function calls have been inlined."""

    scope: Path
    name: str
    reads: tuple[_Value, ...]
    writes: tuple[_Value, ...]
    within: frozenset[Path] = frozenset()  # modules called inside the loop that this is or begins


def wire(model: nn.Module, inputs: Inputs) -> Part:
    """Return the tree of parts and wires of a model, with the sizes for one example. No arrays are allocated."""
    traced = trace(model, inputs)
    program = _Program()
    values = [program.new(v.aval) for v in traced.jaxpr.invars]
    env = dict(zip(traced.jaxpr.invars, values, strict=True))
    steps = list(program.steps(traced.jaxpr, (), env))
    results = [env[v] for v in traced.jaxpr.outvars if v in env]
    given = list(zip(values[-len(traced.inputs) :], traced.inputs, strict=True))
    children: dict[Path, list[Layer]] = {}
    for layer in traced.layers[1:]:
        children.setdefault(_path(layer)[:-1], []).append(layer)
    known: dict[Any, tuple[list[str], tuple[Wire, ...]]] = {}

    def build(layer: Layer) -> Part:
        path = _path(layer)
        inner = {part.name: part for part in map(build, children.get(path, ()))}
        kind = layer.module, tuple((name, part.kind) for name, part in inner.items())
        if inner and kind not in known:  # modules of the same structure have the same wires
            known[kind] = _Reach(path, given).through(steps, results)
        names, wires = known.get(kind, ([], ()))
        parts = tuple(inner.get(name) or Part(SUM, SUM, (), 0, 0) for name in names)
        loops = path in program.looped
        return Part(path[-1] if path else "", *layer[1:], loops, parts, wires)

    return build(traced.layers[0])


def _path(layer: Layer) -> Path:
    return tuple(filter(None, layer.path.split("/")))


class _Program:
    """Numbers the values of a program, and records which modules are called in a loop."""

    def __init__(self) -> None:
        self._numbers = itertools.count()
        self.looped: set[Path] = set()

    def new(self, aval: Any) -> _Value:
        return _Value(next(self._numbers), aval)

    def steps(self, jaxpr: core.Jaxpr, outside: Path, env: dict[Any, _Value]) -> Iterator[_Step]:
        """Yield the operations in order, a loop as one iteration. `env` maps variables to values and is filled here."""
        for eqn in jaxpr.eqns:
            scope = scope_of(eqn, outside)
            reads = [env.get(v) if not isinstance(v, core.Literal) else None for v in eqn.invars]
            body = self._opened(eqn)
            if body is None:
                written = [self.new(v.aval) for v in eqn.outvars]
                within = frozenset(_scopes(eqn, scope))
                yield _Step(scope, _name(eqn), tuple(filter(None, reads)), tuple(written), within)
            else:
                if eqn.primitive.name == "scan":
                    within = frozenset(_scopes(eqn, scope))
                    self.looped |= {path for path in (*within, scope) if path and len(path) >= len(scope)}
                    first, count = _carried(eqn, body)
                    reads[first : first + count] = carried = [self.new(v.aval) for v in body.invars[first:][:count]]
                    for before, now in zip(eqn.invars[first : first + count], carried, strict=True):
                        begun = (env[before],) if not isinstance(before, core.Literal) and before in env else ()
                        yield _Step(scope, CARRY, begun, (now,), within)
                inner = {v: read for v, read in zip(body.invars, reads, strict=True) if read is not None}
                yield from self.steps(body, scope, inner)
                written = [None if isinstance(v, core.Literal) else inner.get(v) for v in body.outvars]
            env.update({v: value for v, value in zip(eqn.outvars, written, strict=True) if value is not None})

    def _opened(self, eqn: core.JaxprEqn) -> core.Jaxpr | None:
        """Return the one program that an operation calls with the same variables, or None."""
        inner = list(bodies(eqn))
        if len(inner) != 1 or eqn.primitive.name in NO_CALLS or _name(eqn) in SAYS:
            return None
        fits = len(inner[0].invars) == len(eqn.invars) and len(inner[0].outvars) == len(eqn.outvars)
        return inner[0] if fits else None


def _carried(eqn: core.JaxprEqn, body: core.Jaxpr) -> tuple[int, int]:
    """Return the index of the first argument that a scan carries, and how many it carries.

    They are found by shape, since JAX's own parameters for this differ between versions: what is scanned over has one
    axis more outside the loop than inside.
    """
    count = sum(shape_of(out) == shape_of(inner) for out, inner in zip(eqn.outvars, body.outvars, strict=True))
    scanned = sum(shape_of(read) != shape_of(inner) for read, inner in zip(eqn.invars, body.invars, strict=True))
    return len(eqn.invars) - scanned - count, count


def _name(eqn: core.JaxprEqn) -> str:
    """Return the name of the called function, or of the primitive. A power of 3 only occurs in GELU's tanh form."""
    if eqn.primitive.name == "integer_pow" and eqn.params["y"] == 3:
        return "gelu"
    name = eqn.params.get("name")
    return name if isinstance(name, str) and name in SAYS else eqn.primitive.name


def _scopes(eqn: core.JaxprEqn, scope: Path) -> Iterator[Path]:
    for body in bodies(eqn):
        for inner in body.eqns:
            here = scope_of(inner, scope)
            yield from (here[:length] for length in range(len(here) + 1))
            yield from _scopes(inner, here)


class _Reach:
    """Follows the values of the program within one module: which of its parts each of them comes from."""

    def __init__(self, path: Path, given: Sequence[tuple[_Value, str]]) -> None:
        self.path = path
        self.names: list[str] = []
        self.sources: dict[int, Sources] = {}
        self.made: set[int] = set()  # values computed inside this module
        self.wires: dict[tuple[int, int], tuple[str, ...]] = {}
        several = sum(value.aval.dtype != np.bool_ for value, _ in given) > 1
        for value, name in given:
            self._note(value, {IN: (name,) if several and not path else ()})

    def through(self, steps: Sequence[_Step], results: Sequence[_Value]) -> tuple[list[str], tuple[Wire, ...]]:
        """Return the names of the parts, each after those that feed it, and the wires."""
        for step in steps:
            self._follow(step)
        for value in results:
            if not self.path or value.number in self.made:
                self._connect(self.sources.get(value.number, {}), OUT)
        return self._ordered()

    def _ordered(self) -> tuple[list[str], tuple[Wire, ...]]:
        """Sort the parts topologically; within a loop they keep the order in which they were found."""
        left, order = list(range(len(self.names))), []
        while left:
            fed = {end for start, end in self.wires if start in left and end in left}
            ready = next((place for place in left if place not in fed), left[0])
            left.remove(ready)
            order.append(ready)
        new = {IN: IN, OUT: OUT} | {place: i for i, place in enumerate(order)}
        wires = [Wire(new[start], new[end], says) for (start, end), says in self.wires.items()]
        wires.sort(key=lambda wire: (wire.start, len(order) if wire.end == OUT else wire.end))
        return [self.names[place] for place in order], tuple(wires)

    def _follow(self, step: _Step) -> None:
        depth = len(self.path)
        read = [self.sources[value.number] for value in step.reads if value.number in self.sources]
        if step.name == CARRY and self.path in step.within and depth > len(step.scope):
            read = [{IN: ()}]  # a value carried from the previous iteration enters the module from outside
        if step.scope[:depth] != self.path:
            for value in step.reads:
                if value.number in self.made:
                    self._connect(self.sources.get(value.number, {}), OUT)
            found: Sources = {IN: ()} if read else {}
        elif parts := self._parts(step):
            for name in parts:
                place = self._place(name)
                for sources in read:
                    self._connect(sources, place)
                read = [{place: ()}]
            found = read[0]
        else:
            found = self._join(step, read)
        for value in step.writes:
            self._note(value, found)
            if step.scope[:depth] == self.path:
                self.made.add(value.number)

    def _parts(self, step: _Step) -> list[str]:
        """Return the parts of this module that the step belongs to, or that it calls if it could not be inlined."""
        depth = len(self.path)
        if len(step.scope) > depth:
            return [step.scope[depth]]
        if step.name == CARRY:
            return []
        return sorted({path[depth] for path in step.within if len(path) > depth and path[:depth] == self.path})

    def _join(self, step: _Step, read: list[Sources]) -> Sources:
        """Return the sources of a value computed between the parts; a sum of two different ones becomes a part."""
        shapes = {value.aval.shape for value in (*step.reads, *step.writes)}
        if step.name in ("add", "add_any") and len(read) == 2 and read[0].keys() != read[1].keys() and len(shapes) == 1:
            self.names.append(SUM)
            for sources in read:
                self._connect(sources, len(self.names) - 1)
            return {len(self.names) - 1: ()}
        label = _pooling(step) or SAYS.get(step.name)
        joined: Sources = {}
        for sources in read:
            for part, labels in sources.items():
                repeats = label in labels[-1:] or (label == "tanh" and "GELU" in labels[-1:])
                if label is not None and not repeats:
                    labels = (*labels, label)
                joined[part] = max(joined.get(part, ()), labels, key=len)
        return joined

    def _place(self, name: str) -> int:
        if name not in self.names:
            self.names.append(name)
        return self.names.index(name)

    def _connect(self, sources: Sources, end: int) -> None:
        for start, says in sources.items():
            if start != end and (start, end) not in self.wires:
                self.wires[start, end] = says

    def _note(self, value: _Value, sources: Sources) -> None:
        if sources and value.aval.dtype != np.bool_:  # a mask selects data but carries none itself
            self.sources[value.number] = sources


def _pooling(step: _Step) -> str | None:
    """Return the label of a pooling step: a maximum of two image slices, or a sum over both image axes."""
    rank = len(step.writes[0].aval.shape)
    if step.name == "max" and len(step.reads) == 2 and rank == 4:
        return "max pooling"
    if step.name == "reduce_sum" and rank == 2 and len(step.reads[0].aval.shape) == 4:
        return "global average pooling"
    return None
