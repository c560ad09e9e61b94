"""Exhibits: what the museum keeps of a finished run, small enough to be committed: figures, curves, pictures, texts.

An exhibit on disk is results/exhibits/NAME.json and the pictures that it names, NAME.growth.webp and the like.
"""

import dataclasses
import io
import json
import os
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from train.algorithms.cards import ALGORITHMS
from train.config import files as configs
from train.history.claims import results
from train.history.timeline.lenient_json import finite, mapping, number, read_json, sequence, text, whole
from train.loop.run import read_metrics
from train.loop.summary import Summary, spread
from zoo.errors import UserError
from zoo.files import write_atomically

FOLDER = results.EXHIBITS
POINTS = 60  # of a curve at most
PICTURES = ("growth", "samples", "nearest", "episode", "alignment", "attention", "filters", "views", "features")
"""The files of a run's samples/ that are shown, PICTURE.png, in this order."""
SIDE, HEAVY = 1400, 90_000  # pixels and bytes of a picture at most; a heavier one is made smaller
LINES, PAGE = 8, 600  # of a translated set, and characters of a text, that are kept
MORE = ("log_likelihood", "frechet_distance", "precision", "recall", "entropy")


@dataclasses.dataclass(frozen=True)
class Curve:
    """A metric on the validation split against steps; `low` and `high` are the 95 % interval of the mean over seeds."""

    steps: tuple[int, ...]
    mean: tuple[float | None, ...]
    low: tuple[float | None, ...] = ()
    high: tuple[float | None, ...] = ()


@dataclasses.dataclass(frozen=True)
class Picture:
    """An image file, whole. `kind` is one of PICTURES."""

    kind: str
    data: bytes
    width: int
    height: int

    @property
    def suffix(self) -> str:
        return "webp" if self.data[8:12] == b"WEBP" else "png"


@dataclasses.dataclass(frozen=True)
class Exhibit:
    """One run. Figures that are missing or not finite are None or left out."""

    name: str  # of the config
    model: str  # name on the card
    fields: Mapping[str, Any]  # of its Config that differ from the card
    task: str
    dataset: str
    params: int | None
    flops: int | None
    steps: int | None
    examples: int | None
    seed: int | None
    seeds: int
    recipe: str
    test: Mapping[str, float]
    spread: Mapping[str, Mapping[str, float]]  # metric -> deviation, low, high over the seeds
    more: Mapping[str, Mapping[str, float]]  # measured afterwards (zoo judge, zoo probe): metric -> value, error
    count: int | None  # test examples
    notes: Mapping[str, str]
    seconds: float | None
    compile_seconds: float | None
    device: str
    date: str
    versions: Mapping[str, str]
    curves: Mapping[str, Curve]
    pictures: tuple[Picture, ...] = ()
    translations: tuple[tuple[str, str, str], ...] = ()  # source, reference, translation
    writing: str = ""  # of a language model
    changes: str = ""  # options that make the config this run: "--optim.lr 0.01"
    recorded: bool = False  # came with the project, and was not trained here

    @property
    def command(self) -> str:
        return " ".join(filter(None, ("zoo train", self.name, self.changes)))


def of_run(run: Path) -> Exhibit:
    """The exhibit of a finished run. UserError for a folder that is none."""
    config, content = read_json(run / "config.json"), read_json(run / "summary.json")
    if not content:
        raise UserError(f"{run}: not a finished run: it has no summary.json")
    summary = Summary.from_json(content)
    model, optim = mapping(config, "model"), mapping(config, "optim")
    test = _figures(summary.test)
    return Exhibit(
        name=summary.name or run.parent.name,
        model=summary.model,
        fields=dict(mapping(model, "fields")),
        dataset=_placeless(summary.dataset),
        task=summary.task,
        device=summary.device,
        date=summary.date,
        params=summary.params or None,
        flops=summary.flops or None,
        steps=summary.steps or None,
        examples=summary.examples or None,
        seed=summary.seed,
        seeds=max(1, len(summary.best_setting.seeds)),
        recipe=" ".join(str(optim[key]) for key in ("name", "lr") if key in optim),
        test={name: value for name, value in test.items() if name != "count"},
        spread={name: _figures(own._asdict()) for name, own in summary.best_setting.test_spread.items()},
        more=_measured_later(run),
        count=whole(test.get("count")),
        notes=summary.notes,
        seconds=summary.seconds or None,
        compile_seconds=summary.compile_seconds or None,
        versions=summary.versions,
        curves=_curves(read_metrics(run)),
        pictures=tuple(_pictures(run / "samples")),
        translations=_translations(run / "samples" / "test.tsv"),
        writing=_writing(run / "samples" / "samples.txt"),
        changes=" ".join(_changes(summary.name or run.parent.name, config)),
    )


def write(exhibit: Exhibit, folder: Path) -> list[Path]:
    """The files of an exhibit: its pictures, then its JSON."""
    files = []
    named = []
    for picture in exhibit.pictures:
        name = f"{exhibit.name}.{picture.kind}.{picture.suffix}"
        named.append({"kind": picture.kind, "file": name})
        files.append(write_atomically(folder / name, picture.data, make_folder=True))
    facts = {field.name: getattr(exhibit, field.name) for field in dataclasses.fields(exhibit)}
    facts |= {"pictures": named, "curves": {name: dataclasses.asdict(c) for name, c in exhibit.curves.items()}}
    del facts["recorded"]
    said = json.dumps(facts, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    return [*files, write_atomically(folder / f"{exhibit.name}.json", said, make_folder=True)]


def read(file: Path) -> Exhibit:
    """What `write` wrote. UserError for a file that is none, or that names a picture outside its own folder."""
    facts = read_json(file)
    shared = ("name", "model", "task", "dataset", "recipe", "device", "date", "writing", "changes")
    counts = ("params", "flops", "steps", "examples", "seed", "count")
    if not text(facts, "name") or not text(facts, "model"):
        raise UserError(f"{file}: not an exhibit: it names no run and model")
    return Exhibit(
        **{key: text(facts, key) for key in shared},
        **{key: whole(facts.get(key)) for key in counts},
        fields=dict(mapping(facts, "fields")),
        seeds=whole(facts.get("seeds")) or 1,
        test=_figures(mapping(facts, "test")),
        spread={name: _figures(value) for name, value in mapping(facts, "spread").items()},
        more={name: _figures(value) for name, value in mapping(facts, "more").items()},
        notes={str(name): str(note) for name, note in mapping(facts, "notes").items()},
        seconds=number(facts.get("seconds")),
        compile_seconds=number(facts.get("compile_seconds")),
        versions={str(name): str(version) for name, version in mapping(facts, "versions").items()},
        curves={name: _curve(curve) for name, curve in mapping(facts, "curves").items()},
        pictures=tuple(_named(file, sequence(facts, "pictures"))),
        translations=tuple(tuple(map(str, row)) for row in sequence(facts, "translations") if len(row) == 3),
        recorded=True,
    )


def read_all(folder: Path) -> list[Exhibit]:
    """Every exhibit in `folder`, by name; none where there is no such folder."""
    return [read(file) for file in sorted(folder.glob("*.json"))]


def _changes(name: str, config: Mapping[str, Any]) -> Iterator[str]:
    """The options of `zoo train` by which a run differs from the config of its name; none for a config of one's own."""
    if name not in configs.names():
        return
    usual = _flat(json.loads(json.dumps(dataclasses.asdict(configs.load(name)))))
    rule = ALGORITHMS.get(text(mapping(config, "optim"), "name"))
    for constant, value in (rule.constants if rule else {}).items():  # None stands for what is on the card
        usual[f"optim.{constant}"] = value if usual[f"optim.{constant}"] is None else usual[f"optim.{constant}"]
    usual = {field: _placeless(value) for field, value in usual.items()}
    for field, value in ((field, _placeless(value)) for field, value in _flat(config).items()):
        if value != usual.get(field) and not field.startswith(("smoke", "model.name")) and value is not None:
            option = field.replace("model.fields.", "model.")
            if isinstance(value, bool):
                place, _, last = option.rpartition(".")
                yield f"--{place}{'.' * bool(place)}{'' if value else 'no-'}{last.replace('_', '-')}"
            else:
                values = value if isinstance(value, list) else [value]
                yield " ".join([f"--{option.replace('_', '-')}", *(shlex.quote(str(one)) for one in values)])


def _placeless(value: Any) -> Any:
    """A path, or "tsv:PATH" and the like, by its last two parts: whose machine it lay on is nobody's business."""
    kind, colon, path = value.rpartition(":") if isinstance(value, str) else ("", "", "")
    if "://" in str(value) or not (colon or path.startswith("/")):
        return value
    return kind + colon + "/".join(Path(path).parts[-2:])


def _flat(facts: Mapping[str, Any], place: str = "") -> dict[str, Any]:
    """{"optim": {"lr": 0.1}} -> {"optim.lr": 0.1}."""
    found: dict[str, Any] = {}
    for name, value in facts.items():
        found |= _flat(value, f"{place}{name}.") if isinstance(value, Mapping) else {f"{place}{name}": value}
    return found


def _figures(facts: Any) -> dict[str, float]:
    pairs = facts.items() if isinstance(facts, Mapping) else ()
    return {str(name): float(value) for name, value in pairs if finite(value) is not None}


def _curves(lines: Sequence[Mapping[str, Any]]) -> dict[str, Curve]:
    """Every metric of the validation split; a later line for the same step wins."""
    by_step: dict[int, Mapping[str, Any]] = {}
    for line in lines:
        if isinstance(line, dict) and line.get("split") == "validation" and whole(line.get("step")) is not None:
            by_step[int(line["step"])] = line
    steps = sorted(by_step)
    stride = max(1, -(-len(steps) // POINTS))
    kept = [step for i, step in enumerate(steps) if i % stride == 0 or step == steps[-1]]
    names = dict.fromkeys(name for step in kept for name in by_step[step])
    curves = {}
    for name in names:
        means = [finite(by_step[step].get(name)) for step in kept]
        if name in ("step", "split", "seconds", "replicas") or not any(mean is not None for mean in means):
            continue
        bands = [_band(name, mapping(by_step[step], "replicas").get(name)) for step in kept]
        low, high = (tuple(map(_rounded, ends)) for ends in zip(*bands, strict=True))
        known = any(end is not None for end in low)
        curves[name] = Curve(tuple(kept), tuple(map(_rounded, means)), low if known else (), high if known else ())
    return curves


def _band(name: str, values: Any) -> tuple[float | None, float | None]:
    """The 95 % interval of the mean over seeds."""
    found = [finite(value) for value in values] if isinstance(values, list) else []
    over = spread([{name: value} for value in found if value is not None]).get(name)
    return (over.low, over.high) if over else (None, None)


def _rounded(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.6g}")


def _curve(facts: Any) -> Curve:
    facts = facts if isinstance(facts, Mapping) else {}
    steps = tuple(whole(step) or 0 for step in sequence(facts, "steps"))
    ends = [tuple(map(finite, sequence(facts, key))) for key in ("mean", "low", "high")]
    if any(len(each) not in (0, len(steps)) for each in ends) or len(ends[0]) != len(steps):
        raise UserError("an exhibit's curve has as many values as steps")
    return Curve(steps, *ends)


def _measured_later(run: Path) -> dict[str, dict[str, float]]:
    """Figures of zoo judge and zoo probe, of the newest file of each."""
    found: dict[str, dict[str, float]] = {}
    for file in sorted(run.glob("judge/*.json"), key=os.path.getmtime):
        facts = read_json(file)
        made = mapping(mapping(facts, "features"), "made")
        found |= {name: {"value": value} for name, value in _figures(made).items() if name in MORE}
        parzen = _figures(mapping(facts, "parzen"))
        if "log_likelihood" in parzen:
            found["log_likelihood"] = {"value": parzen["log_likelihood"], "error": parzen.get("standard_error", 0.0)}
    for which in ("untrained", "trained"):
        for file in sorted(run.glob(f"probe_{which}_*.json"), key=os.path.getmtime):
            facts = read_json(file)
            for kind in ("linear", "knn"):
                test = _figures(mapping(facts, kind)).get("test")
                found |= {} if test is None else {f"{which}_{kind}_accuracy": {"value": test}}
    return found


def _pictures(folder: Path) -> Iterator[Picture]:
    for kind in PICTURES:
        if (folder / f"{kind}.png").is_file():
            yield load_picture(kind, folder / f"{kind}.png")


def load_picture(kind: str, file: Path) -> Picture:
    """An image file as it is if it is small, else smaller: WebP, without loss where that suffices."""
    try:
        data = file.read_bytes()
        with Image.open(io.BytesIO(data)) as image:
            image.load()
            if max(image.size) <= SIDE and len(data) <= HEAVY:
                return Picture(kind, data, *image.size)
            image = image.convert("RGB")
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        raise UserError(f"{file}: not a picture that can be read: {error}") from None
    if max(image.size) > SIDE:
        image.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    for options in ({"lossless": True}, {"quality": 90}, {"quality": 70}):
        box = io.BytesIO()
        image.save(box, "webp", method=6, **options)
        if box.tell() <= HEAVY:
            break
    return Picture(kind, box.getvalue(), *image.size)


def _named(file: Path, named: Sequence[Any]) -> Iterator[Picture]:
    for entry in named:
        name = text(entry, "file") if isinstance(entry, Mapping) else ""
        if not name or Path(name).name != name:
            raise UserError(f"{file}: a picture is named by its file alone, not {name!r}")
        yield load_picture(text(entry, "kind"), file.parent / name)


def _translations(file: Path) -> tuple[tuple[str, str, str], ...]:
    if not file.is_file():
        return ()
    rows = [tuple(line.split("\t")) for line in file.read_text(encoding="utf-8").splitlines()[1:]]
    return tuple(row for row in rows if len(row) == 3)[:LINES]


def _writing(file: Path) -> str:
    return file.read_text(encoding="utf-8")[:PAGE].strip() if file.is_file() else ""
