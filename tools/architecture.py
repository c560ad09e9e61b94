"""Draw docs/architecture.svg: the rooms of the code and the imports between them, read from the source.

    python tools/architecture.py            write the picture
    python tools/architecture.py --check    exit with 1 if the picture on disk is out of date

The script parses the files and imports none of them. The same source gives the same bytes.
"""

import argparse
import ast
import re
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from xml.sax.saxutils import escape

ROOT = Path(__file__).parent.parent
PICTURE = Path("docs") / "architecture.svg"
LAYERS = (
    ("__main__",),
    ("cli",),
    ("commands",),
    ("history", "studies"),
    ("loop",),
    ("tasks",),
    ("pictures",),
    ("inference",),
    ("metrics",),
    ("data", "algorithms"),
    ("config", "core"),
    ("zoo",),
)
"""Top to bottom. A room may import rooms of lower layers only."""
BY_NAME = re.compile(r"(?:train|zoo)(?:\.\w+)+:\w+")
"""A module and a function as a string, such as the table of commands has them: imported when called."""

Imports = Counter[tuple[str, str]]  # (importing room, imported room) -> pairs of files


def modules(root: Path) -> dict[str, Path]:
    """Return every module of zoo/ and train/ by its dotted name; a package stands for its __init__.py."""
    found = {}
    for package in ("train", "zoo"):
        for path in sorted((root / package).rglob("*.py")):
            parts = path.relative_to(root).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imported(tree: ast.AST, package: str, known: dict[str, Path]) -> Iterator[str]:
    """Yield the known modules that a syntax tree imports, those inside functions and for types only included."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in known)
        elif isinstance(node, ast.ImportFrom):
            start = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*start, *([node.module] if node.module else [])])
            for alias in node.names:
                name = f"{base}.{alias.name}"
                if name in known or base in known:
                    yield name if name in known else base
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and BY_NAME.fullmatch(node.value):
            name = node.value.partition(":")[0]
            if name in known:
                yield name


def room(module: str) -> str:
    """Return the room of a module: "zoo", or the first name below train."""
    parts = module.split(".")
    return "zoo" if parts[0] == "zoo" else parts[1] if len(parts) > 1 else "train"


def read(root: Path) -> tuple[dict[str, int], Imports]:
    """Return the number of files of each room, and the imports between rooms."""
    known = modules(root)
    sizes: Counter[str] = Counter()
    pairs: set[tuple[str, str]] = set()
    for name, path in known.items():
        text = path.read_text(encoding="utf-8")
        package = name if path.name == "__init__.py" else name.rpartition(".")[0]
        if name != "train":  # the package itself is no room
            sizes[room(name)] += 1
        pairs |= {(name, other) for other in imported(ast.parse(text), package, known)}
    between = Counter((room(a), room(b)) for a, b in pairs if room(a) != room(b) and "train" not in (room(a), room(b)))
    return dict(sizes), between


def order(sizes: dict[str, int]) -> list[tuple[str, int | None]]:
    """Return (room, layer) from top to bottom; rooms that LAYERS does not know come first, without a layer."""
    known = [(name, i) for i, layer in enumerate(LAYERS) for name in layer if name in sizes]
    unknown = sorted(sizes.keys() - {name for name, _ in known})
    return [*((name, None) for name in unknown), *known]


def forbidden(importer: int | None, target: int | None) -> bool:
    """Return whether an import between rooms of these layers does not lead downward."""
    return importer is not None and target is not None and importer >= target


CELL, PITCH = 92, 46  # width of a column, height of a row
BOX_W, BOX_H = 88, 34
LEFT, TOP = 16, 66
COLORS = ("#0072b2", "#b35900", "#00795a", "#a0447d", "#5a5a5a", "#7a5c00")
GREY, RED = "#8a8a8a", "#c00000"
STYLE = (
    "text{font-family:Helvetica,Arial,sans-serif;fill:#1a1a1a}"
    ".room{font-size:13px;font-weight:bold;text-anchor:middle}"
    ".files{font-size:10px;text-anchor:middle;fill:#444}"
    ".count{font-size:11px;text-anchor:middle}"
    ".title{font-size:17px;font-weight:bold}.note{font-size:12px;fill:#333}"
)


def draw(root: Path) -> str:
    """Return the picture as SVG: rooms on a diagonal, each import right from its importer and down to its target."""
    sizes, between = read(root)
    rooms = order(sizes)
    at = {name: i for i, (name, _) in enumerate(rooms)}
    layer = dict(rooms)
    back = {pair for pair in between if forbidden(layer[pair[0]], layer[pair[1]])}
    width, height = 2 * LEFT + CELL * len(rooms), TOP + PITCH * len(rooms) + 50
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        'role="img" aria-labelledby="title desc">',
        '<title id="title">The rooms of the code and the imports between them</title>',
        f'<desc id="desc">{escape(_description(between, back))}</desc>',
        f"<style>{STYLE}</style>",
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
        f'<text x="{LEFT}" y="26" class="title">The rooms of the code and the imports between them</text>',
        f'<text x="{LEFT}" y="46" class="note">From a room go right, then down: that room is imported. A number counts '
        "imports from file to file. Each band of the background is a layer; imports lead downward only.</text>",
        *_bands(rooms, width),
    ]
    parts += [line for name, _ in rooms for line in _columns(at, name, between)]
    parts += [line for name, _ in rooms for line in _row(at, name, between)]
    parts += [_box(at[name], name, sizes[name]) for name, _ in rooms]
    parts += [_count(at[a], at[b], n, (a, b) in back) for (a, b), n in sorted(between.items())]
    parts.append(f'<text x="{LEFT}" y="{height - 18}" class="note">{escape(_summary(sizes, between, back))}</text>')
    return "\n".join([*parts, "</svg>", ""])


def _summary(sizes: dict[str, int], between: Imports, back: set[tuple[str, str]]) -> str:
    up = sum(between[pair] for pair in back)
    verdict = f"{up} of them lead up or sideways (red)" if up else "all of them lead downward"
    return (
        f"{sum(sizes.values())} files, {sum(between.values())} imports between {len(sizes)} rooms: {verdict}. "
        "Drawn from the source by tools/architecture.py."
    )


def _description(between: Imports, back: set[tuple[str, str]]) -> str:
    lines = (f"{a} imports {b} ({n})" for (a, b), n in sorted(between.items()))
    return f"{'; '.join(lines)}. Imports that do not lead downward: {len(back)}."


def _x(i: int) -> int:
    return LEFT + CELL * i + CELL // 2


def _y(i: int) -> int:
    return TOP + PITCH * i + PITCH // 2


def _bands(rooms: list[tuple[str, int | None]], width: int) -> Iterator[str]:
    """Shade every second layer, so that rooms of one layer are seen together."""
    for i, (_, layer) in enumerate(rooms):
        if layer is None or layer % 2:
            continue
        yield f'<rect x="0" y="{TOP + PITCH * i}" width="{width}" height="{PITCH}" fill="#f1f3f6"/>'


def _columns(at: dict[str, int], target: str, between: Imports) -> Iterator[str]:
    """Draw the arrows into a room: one from above, and a red one from below for imports that lead up."""
    x, importers = _x(at[target]), [a for a, b in between if b == target]
    above = [at[a] for a in importers if at[a] < at[target]]
    below = [at[a] for a in importers if at[a] > at[target]]
    for rows, side in ((above, 1), (below, -1)):
        if not rows:
            continue
        start, tip = _y(min(rows) if side > 0 else max(rows)), _y(at[target]) - side * BOX_H // 2
        paint = GREY if side > 0 else RED
        yield f'<path d="M{x} {start}V{tip - side * 6}" stroke="{paint}" stroke-width="1.3"/>'
        yield f'<path d="M{x - 4} {tip - side * 7}h8l-4 {side * 7}z" fill="{paint}"/>'


def _row(at: dict[str, int], importer: str, between: Imports) -> Iterator[str]:
    """Draw the line out of a room, to the right as far as its last target; a red one to the left for imports up."""
    i, columns = at[importer], [at[b] for a, b in between if a == importer]
    right, left = max([*columns, i]), min([*columns, i])
    paint = COLORS[i % len(COLORS)]
    if right > i:
        yield f'<path d="M{_x(i) + BOX_W // 2} {_y(i)}H{_x(right)}" stroke="{paint}" stroke-width="1.3"/>'
    if left < i:
        yield f'<path d="M{_x(i) - BOX_W // 2} {_y(i)}H{_x(left)}" stroke="{RED}" stroke-width="1.3"/>'


def _box(i: int, name: str, files: int) -> str:
    x, y = _x(i) - BOX_W // 2, _y(i) - BOX_H // 2
    return (
        f'<rect x="{x}" y="{y}" width="{BOX_W}" height="{BOX_H}" rx="5" fill="#ffffff" stroke="#1a1a1a"/>'
        f'<text x="{_x(i)}" y="{_y(i) - 1}" class="room">{escape(name)}</text>'
        f'<text x="{_x(i)}" y="{_y(i) + 12}" class="files">{files} file{"s" * (files != 1)}</text>'
    )


def _count(i: int, j: int, count: int, wrong: bool) -> str:
    """Write a count where the importer's line turns into the target's column."""
    x, y, half = _x(j), _y(i), 5 + 4 * len(str(count))
    paint = RED if wrong else COLORS[i % len(COLORS)]
    return (
        f'<rect x="{x - half}" y="{y - 9}" width="{2 * half}" height="18" rx="9" fill="#ffffff" stroke="{paint}"/>'
        f'<text x="{x}" y="{y + 4}" class="count">{count}</text>'
    )


def main(args: list[str] | None = None) -> int:
    """Write the picture, or with --check compare it; return the exit code."""
    parser = argparse.ArgumentParser(description="Draw docs/architecture.svg from the imports of train/ and zoo/.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 if the picture is out of date")
    parser.add_argument("--root", type=Path, default=ROOT, help="folder that holds train/ and zoo/")
    options = parser.parse_args(args)
    picture, drawn = options.root / PICTURE, draw(options.root)
    if options.check:
        if picture.is_file() and picture.read_text(encoding="utf-8") == drawn:
            return 0
        print(f"{PICTURE} is out of date: run python tools/architecture.py", file=sys.stderr)
        return 1
    picture.parent.mkdir(parents=True, exist_ok=True)
    picture.write_text(drawn, encoding="utf-8", newline="\n")
    print(picture)
    return 0


if __name__ == "__main__":
    sys.exit(main())
