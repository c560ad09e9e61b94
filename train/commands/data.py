"""`zoo data`: which data sets are here and which can be had; `zoo data prepare NAME` gets one.

`zoo data show`, `zoo data export` and `zoo data clean` are in files of their own.
"""

from collections.abc import Sequence
from pathlib import Path

from rich.table import Table

from train.commands.console import console_for
from train.commands.options import with_config
from train.config.data import is_scenes
from train.core.console import Console
from zoo.errors import UserError
from zoo.files import parse_json

TO_BE_HAD = {
    "mnist": "28x28x1, 10 digits, 60,000 + 10,000; 11 MB",
    "fashion_mnist": "28x28x1, 10 kinds of clothes, 60,000 + 10,000; 30 MB",
    "kmnist": "28x28x1, 10 Japanese characters, 60,000 + 10,000; 21 MB",
    "emnist/balanced": "28x28x1, 47 letters and digits, 112,800 + 18,800; 562 MB",
    "cifar10": "32x32x3, 10 classes, 50,000 + 10,000; 170 MB",
    "cifar100": "32x32x3, 100 classes, 50,000 + 10,000; 169 MB",
    "tiny_shakespeare": "running text, 1,003,854 + 55,770 characters; 1 MB",
    "lm1b": "running text, 30,301,028 + 306,688 sentences; 1.7 GB",
    "imdb_reviews": "text, 2 classes, 25,000 + 25,000; 84 MB",
    "ag_news_subset": "text, 4 classes, 120,000 + 7,600; 12 MB",
    "glue/sst2": "text, 2 classes, 67,349 + 872; 7 MB",
    "ted_hrlr_translate/pt_to_en": "text from pt to en, 51,785 + 1,803; 131 MB",
    "wmt14_translate/de-en": "text from de to en, 4,508,785 + 3,003; 1.6 GB",
}
"""TFDS sets whose builders run without TensorFlow: content, train + test examples; bytes of the download."""


USAGE = (
    "usage: zoo data, or zoo data prepare NAME, for example zoo data prepare mnist; or zoo data show NAME; "
    "or zoo data export scenes --to DIR; or zoo data clean [NAME …] [--yes]; or zoo data --config FILE"
)


def data_command(args: Sequence[str]) -> None:
    """`zoo data`."""
    if list(args) in (["-h"], ["--help"]):
        print(USAGE)
        return
    args = with_config(args)
    if not args:
        show(Console())
    elif args[0] == "prepare" and len(args) == 2 and not args[1].startswith("-"):
        prepare(args[1], None, Console())
    elif args[0] == "show":
        from train.commands import data_show

        data_show.show_examples(args[1:])
    elif args[0] == "export":
        from train.commands import data_export

        data_export.export_command(args[1:])
    elif args[0] == "clean":
        from train.commands import data_clean

        data_clean.clean(args[1:], console_for())
    else:
        raise UserError(USAGE)


def show(console: Console) -> None:
    """Prints what is there, what can be had and how. Reads descriptions only, no records, and imports no TFDS."""
    from train.data import embedded, own
    from train.data.scenes import sets as scenes
    from train.data.text import python_docs
    from train.data.tfds import read as tfds_read

    root = tfds_read.data_dir()
    here = Table("name", "version", "content", "examples", "on disk", title="Here", title_justify="left")
    for name, read in embedded.EMBEDDED.items():
        x, y = (whole := read()).x, whole.y
        content = f"{_size(x.shape[1:])}, {y.max() + 1} classes"
        here.add_row(name, embedded.VERSION, content, f"{len(x):,}, cut by the zoo", "embedded")
    here.add_row(*scenes.described(), "embedded")
    for name, registered in own.DATA.items():
        here.add_row(name, own.VERSION, registered.kind, "", f"registered by {own.DATA.owner(name) or 'this process'}")
    for row in python_docs.described():
        here.add_row(*row, "embedded")
    prepared = tfds_read.prepared(root)
    for name, folders in prepared.items():
        for folder in folders:
            here.add_row(name, folder.name, *_describe(folder))
    console.print(here)
    had = Table("name", "content, train + test; download", title="To be had", title_justify="left")
    for name, content in TO_BE_HAD.items():
        if name not in prepared:
            had.add_row(name, content)
    if had.row_count:
        console.print(had)
    console.print(
        f"`zoo data prepare NAME` downloads one of these, or another set of labelled images or text of TFDS, to "
        f"{root} (set TFDS_DATA_DIR for another place). `--data.name folder:PATH` reads your own PATH/CLASS/*.png,",
        "npz:FILE arrays of images, csv:FILE a table of image files or of pixels,",
        "text:PATH your own text, tsv:PATH your own sentences with a class or a translation in the second column, "
        "datasets:owner/name a set of the Hugging Face hub (pip install 'zoo-timeline[datasets]').",
        soft_wrap=True,
        markup=False,
        highlight=False,
    )


def prepare(name: str, data_dir: Path | None, console: Console) -> None:
    """Prepares a TFDS set and prints where it lies. Raises UserError with one line."""
    from train.data import embedded, kinds, own
    from train.data.text import python_docs
    from train.data.tfds import prepare as tfds_prepare
    from train.data.tfds import read as tfds_read

    local = kinds.prefix(name) or name.partition("/")[0] == "dates"
    if local or name in own.DATA or name in (*embedded.IMAGES, *python_docs.EMBEDDED) or is_scenes(name):
        raise UserError(f"{name} needs no preparation: train with --data.name {name}")
    folder = tfds_prepare.prepare(name, data_dir)
    _, examples, on_disk = _describe(folder)
    root = tfds_read.data_dir() if data_dir is None else Path(data_dir).expanduser()
    console.print(f"{folder} is ready: {examples}, {on_disk}", soft_wrap=True, markup=False, highlight=False)
    console.print(f"train with --data.name {folder.parent.relative_to(root).as_posix()}", markup=False, highlight=False)
    if root != tfds_read.data_dir():
        console.print(f"after: export TFDS_DATA_DIR={root}", soft_wrap=True, markup=False, highlight=False)


def _size(shape: tuple) -> str:
    return "x".join("?" if side in (None, "-1") else str(side) for side in shape)


def _describe(folder: Path) -> tuple[str, str, str]:
    """Content, examples per split, and bytes on disk, of a prepared set."""
    try:
        info = parse_json((folder / "dataset_info.json").read_text(encoding="utf-8"))
        content = _content(parse_json((folder / "features.json").read_text(encoding="utf-8")))
        splits = {split["name"]: sum(map(int, split.get("shardLengths", ()))) for split in info["splits"]}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        return f"damaged ({type(error).__name__}): delete {folder} and prepare it again", "", ""
    bytes_on_disk = sum(file.stat().st_size for file in folder.iterdir() if file.is_file())
    examples = ", ".join(f"{count:,} {split}" for split, count in splits.items())
    return content, examples, f"{bytes_on_disk / 1e6:,.1f} MB {info.get('fileFormat', '')}".strip()


def _content(described: dict) -> str:
    """What features.json says, in words."""
    if "translation" in described:
        return f"text from {' to '.join(described['translation']['languages'])}"
    features = described["featuresDict"]["features"].values()
    shapes = [f["image"].get("shape", {}).get("dimensions", ()) for f in features if "image" in f]
    classes = [f"{f['classLabel'].get('numClasses', '?')} classes" for f in features if "classLabel" in f]
    if shapes and classes:
        return f"{_size(shapes[0])}, {classes[0]}"
    if any("text" in f for f in features):
        return ", ".join(["text" if classes else "running text", *classes[:1]])
    return "no labelled images and no text"
