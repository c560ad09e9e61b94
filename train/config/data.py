"""What a run learns from: `Data` (images), `Scenes` (images that the zoo composes), `Text` and `World`."""

import dataclasses
from typing import Annotated, ClassVar, Literal

from train.config.ranges import ALL_FINITE, ALL_POSITIVE, BELOW_2_32, COUNT, NOT_NEGATIVE, SHARE, Range

LEAST_SIZE = 16
"""Least side of a composed scene, in pixels."""


@dataclasses.dataclass(frozen=True)
class Data:
    """The examples, and how they reach the device."""

    KIND: ClassVar[str] = "a set of images"
    NO_FOLDS: ClassVar[str] = ""
    """Why its training split is not cut into folds; "" where it can be."""

    name: str
    """`digits`, `scenes` (embedded), a TFDS name such as `mnist` or `cifar10`, `folder:PATH` (PATH/CLASS/*.png),
    `npz:FILE` (arrays x and y), `csv:FILE` (columns file and label, or label and pixels) or `datasets:owner/name`
    (Hugging Face's); `zoo data` lists them."""
    batch: Annotated[int, COUNT] = 128
    """Examples per step, over all devices."""
    image_size: Annotated[int | None, COUNT] = None
    """Resize images to this height and width in pixels; None keeps the size of the set."""
    fit: Literal["resize", "pad", "crop"] = "resize"
    """How images are brought to `image_size`: `resize` (bilinear, both sides), `pad` with zeros on all sides, or `crop`
    (resize the shorter side, then take the centre)."""
    decode: Literal["full", "scaled"] = "full"
    """How JPEG files are decoded: `full`, or `scaled` by the decoder itself, to the smallest of 1/2, 1/4 and 1/8 of
    their size that is not below `image_size`. That is faster for large files, and the pixels differ a little.
    Evaluation and prediction decode as training did."""
    order: Literal["shuffled", "constant"] = "shuffled"
    """Order of the training examples in an epoch: `shuffled` anew for each, or `constant`, that of the set, as the
    earliest networks were trained. A set whose classes lie one after the other needs `shuffled`."""
    augment: tuple[str, ...] = ()
    """Augmentations, applied on the device in this order and in training only. Each is written name or name_strength:
    shift_2 (pixels; pad_crop_2 is another name for it), flip, cutout_8 (pixels), mixup_0.2 (alpha), cutmix_1 (alpha),
    mixup_or_cutmix_0.8 (one of the two for each image), color_0.5 (strength of the jitter of brightness, contrast,
    saturation and hue, in 80 % of the images), grey_0.2 and blur_0.5 (share of the images). Two change the size, and
    evaluation takes the centre instead: crop_224 (a random square of 224 pixels) and resized_crop_224 (a random box of
    8 to 100 % of the area, resized to that square)."""
    normalize: bool = True
    """Subtract the training set's mean and divide by its standard deviation, channel by channel. Ignored by the task
    `adversarial`, which scales pixels to the model's own range."""
    mean: Annotated[tuple[float, ...], ALL_FINITE] = ()
    """Mean by which to normalize instead, of pixels scaled to 0..1: one number for each channel, or one for all. It
    goes together with `std`."""
    std: Annotated[tuple[float, ...], ALL_POSITIVE] = ()
    """Standard deviation by which to normalize instead, as `mean`."""
    labels: float = 1.0
    """Share of the training examples that are used (above 0 to 1), as if only those had labels: the same share of each
    class, drawn by `split_seed`. Validation, test, mean and standard deviation stay those of the whole set."""
    wrong_labels: Annotated[float, SHARE] = 0.0
    """Share of those examples that get the label of another class (0 to below 1), drawn by `split_seed`, to study what
    a network learns by heart. Labels of validation and test stay right."""
    validation: Annotated[float, SHARE] = 0.1
    """Share of the training split that is held out for validation (0 to below 1). 0 reports test only."""
    split_seed: Annotated[int, NOT_NEGATIVE, BELOW_2_32] = 0
    """Seed of the validation split. It is not the run's seed, so all seeds validate on the same examples."""
    split_by: Literal["hash", "position"] = "hash"
    """How validation and test are cut from a set without them, if it is the user's own: by a `hash` of each example's
    content, so that adding or renaming one moves no other; or by `position`, as before this field. Embedded and
    TFDS sets are always cut by position: they never change."""
    fold: tuple[int, int] | None = None
    """K N: validate on fold K (from 0) of the N folds that `--folds N` trains; `validation` is then not used."""
    placement: Literal["auto", "device", "stream"] = "auto"
    """Where examples are kept: `device` in its memory; `stream` on disk, read while training; `auto`: by size."""
    workers: Annotated[int, NOT_NEGATIVE, BELOW_2_32] = 2
    """Reader processes when streaming (0: read in this process)."""

    def plain(self) -> "Data":
        """Return a config of the same examples with the defaults of every other field."""
        return Data(self.name)


@dataclasses.dataclass(frozen=True)
class Scenes(Data):
    """Scenes composed from real digits: one whole handwritten digit among pieces of other digits (`train.data.scenes`).

    The digits are cut into training, validation and test digits first, so no digit is in two splits. What holds for
    every set of images holds here too; `validation` is the share of the training digits that is held out.
    """

    NO_FOLDS: ClassVar[str] = "folds would show a glyph on both sides; data.split_seed holds out other glyphs"

    name: str = "scenes"
    """`scenes`, which is short for `scenes/classify`. Behind the slash stands the view: what is asked of a scene."""
    size: Annotated[int, Range(f"be at least {LEAST_SIZE} pixels", lambda size: size >= LEAST_SIZE)] = LEAST_SIZE
    """Height and width of a scene in pixels. A larger scene is the same one, drawn with more pixels."""
    preset: Literal["easy", "medium", "hard"] = "medium"
    """How hard the scenes are; `zoo data show scenes --preset hard` writes examples."""
    pieces: int | None = None
    """Pieces of other digits in each scene; None: as many as the preset has."""
    images: Annotated[int | None, COUNT] = 8_000
    """Training scenes, made once from `split_seed`. None: new ones at each step, composed in the compiled step."""

    def __post_init__(self) -> None:
        if self.name == "scenes/classify":  # one name for one set: runs are compared by it
            object.__setattr__(self, "name", "scenes")

    def plain(self) -> "Scenes":
        """Return a config of the same scenes; where there are new ones at each step, of the usual number of them."""
        images = Scenes.images if self.images is None else self.images
        return Scenes(self.name, size=self.size, preset=self.preset, pieces=self.pieces, images=images)


def is_scenes(name: str) -> bool:
    """Return whether a name is one of composed scenes, whatever their view."""
    return name.partition("/")[0] == "scenes"


def of_name(data: Data, name: str) -> Data:
    """Return `data` under another name, as a config of that set: `Scenes` for scenes, `Data` for every other set.

    The fields that both have keep their values.
    """
    schema = Scenes if is_scenes(name) else Data
    kept = {field.name: getattr(data, field.name) for field in dataclasses.fields(Data)}
    alike = dataclasses.fields(data) if schema is type(data) else ()
    own = {field.name: getattr(data, field.name) for field in alike}
    return schema(**{**kept, **own, "name": name})


@dataclasses.dataclass(frozen=True)
class Text:
    """The text, how it is cut into tokens, and how those reach the device."""

    KIND: ClassVar[str] = "text"

    name: str
    """`python_docs`, `dates/en-ko` (embedded), a TFDS name such as `tiny_shakespeare`, `text:PATH` (raw text),
    `tsv:PATH` (two columns: source and target, or sentence and label) or `datasets:owner/name` (Hugging Face's);
    `zoo data` lists them."""
    batch: Annotated[int, COUNT] = 32
    """Examples per step, over all devices."""
    tokenizer: str = "bpe"
    """`char`, `bpe` (byte level) or `wordpiece`, trained on the training split; or the PATH of a published tokenizer:
    tokenizer.json, vocab.txt, or the folder of vocab.json and merges.txt."""
    vocab: Annotated[int, COUNT] = 8_000
    """Size of the vocabulary at most. bpe, wordpiece: special tokens included; char: the most frequent characters."""
    lower: bool = False
    """Convert the text to lower case first."""
    swap: bool = False
    """Translate from the second language or column into the first."""
    length: int = 64
    """Tokens per example: the window of a language model, or the longest sentence, special tokens included."""
    buckets: tuple[int, ...] = ()
    """Lengths below `length`: sentences of similar length are batched together, which saves padding. Those that fill no
    batch join the next longer ones, so an epoch leaves out less than one batch."""
    labels: float = 1.0
    """Sentences with a class: share of the training examples that are used (above 0 to 1), as if only those had labels.
    `split_seed` draws them, the same share from each class. Tokenizer, validation and test stay those of the whole
    set."""
    segments: bool = True
    """Pairs of sentences with a class: tell a model with embeddings of segments (BERT) which of the two sentences each
    token is in. Off in runs made before this field, which were trained without."""
    validation: Annotated[float, SHARE] = 0.1
    """Share of the training split held out for validation, where the set has no such split. 0 reports test only."""
    split_seed: Annotated[int, NOT_NEGATIVE, BELOW_2_32] = 0
    """Seed of the validation split. It is not the run's seed, so all seeds validate on the same examples."""
    split_by: Literal["hash", "position"] = "hash"
    """How validation and test are cut from a set without them, if it is the user's own: by a `hash` of each example's
    content, so that adding or renaming one moves no other; or by `position`, as before this field. `python_docs` is
    cut by a hash of its titles: its text is another one in each version of Python. Other embedded sets and those of
    TFDS are always cut by position: they never change."""


@dataclasses.dataclass(frozen=True)
class World:
    """The environment, and how many copies of it run in parallel."""

    KIND: ClassVar[str] = "an environment"

    name: str
    """`CartPole-v1`, `Acrobot-v1`, `MountainCar-v0`, `minatar/breakout`, `atari/pong`; near names are offered."""
    batch: Annotated[int, COUNT] = 32
    """Transitions per update, drawn from the replay memory."""
    environments: Annotated[int, COUNT] = 1
    """Copies of the environment in which the agent acts in parallel, each with its own randomness."""
    time_limit: Annotated[int | None, COUNT] = None
    """Steps after which an episode is cut off; None uses the environment's own limit."""
    sticky: Annotated[float | None, SHARE] = None
    """Probability that an action is ignored and the last one repeated; None uses the environment's own (minatar: 0.1,
    atari: 0.25)."""
