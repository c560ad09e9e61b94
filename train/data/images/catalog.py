"""`load`: load an image data set by its name, with fixed train, validation and test splits."""

import dataclasses
from collections.abc import Callable

import numpy as np

from train.config import Data, Scenes
from train.config.data import is_scenes
from train.config.ranges import require_share_of_labels
from train.data import cache, decode, embedded, kinds, own
from train.data.cut import array_keys, by_group, by_hash
from train.data.hub import require_possible
from train.data.images import folder, folds, groups, hub, npz, table
from train.data.images.wrong_labels import WRONG_FOLDS, mislabelled
from train.data.scenes import sets as scenes
from train.data.split import Arrays, Dataset, Found, Split, Store, cut, moments, read_all
from train.data.tfds import read
from zoo.errors import UserError

FILES = {"folder": folder, "npz": npz, "csv": table, "datasets": hub}
"""Prefix of a name -> the module that finds the images behind it."""
IN_MEMORY = 2 << 30
"""A data set of up to so many decoded bytes is decoded once, cached and kept in host memory, if it is not streamed. Its
splits are stratified, and its mean and deviation are exact, streamed or not."""
TEST_SHARE = 0.2
"""Share of the training split that becomes the test split of a data set without one. The split is fixed."""
SAMPLE = 10_000
"""Images for the mean and the standard deviation of a data set that is too large for memory."""


def load(data: Data, finder: Callable[[Data], Found] | None = None) -> Dataset:
    """Load the data set of a config, with fixed train, validation and test splits.

    finder: finds the stores; None: `find`, those of images with a class each.

    name: `digits`, `scenes` (`train.data.scenes`), one that was registered (`train.data.register`), a TFDS name that is
    prepared in $TFDS_DATA_DIR (`cifar10`, `emnist/balanced`, `mnist:3.0.1`), or `folder:PATH`, `npz:FILE`, `csv:FILE`,
    `datasets:NAME` (see the modules in `train.data.images`). Images are decoded as
    `data.decode` says, and brought to `data.image_size` by `data.fit`.

    Test split: the data set's `test` split if it has labels, else its `validation`, else 20 % of train (the same for
    every config). Validation split: the data set's own if it is not the test split; else the share `data.validation` of
    train, which depends on `data.split_seed`; empty if that share is 0. Training split: the share `data.labels` of the
    remaining examples; of these the share `data.wrong_labels` gets labels that are wrong. A user's own images are cut
    by a hash of their content, so that others may be added (`train.data.cut`; `data.split_by`), and where their groups
    are known (`groups`), no group is cut in two. Other sets are cut by position, and stratified, except for one that is
    too large for memory.
    With `data.fold` (k, n) the training examples are divided into n folds (`folds.cut`): fold k is the validation
    split, and the others are the training split.
    Raises UserError with one line for all invalid input.
    """
    check(data)
    if not 0 <= data.validation < 1:
        raise UserError(f"data.validation={data.validation}: must be at least 0 and below 1")
    require_share_of_labels(data.labels)
    if not 0 <= data.wrong_labels < 1:
        raise UserError(f"data.wrong_labels={data.wrong_labels}: must be at least 0 and below 1")
    if data.split_seed < 0:
        raise UserError(f"data.split_seed={data.split_seed}: must not be negative")
    if data.image_size is not None and data.image_size < 1:
        raise UserError(f"data.image_size={data.image_size}: must be at least 1 pixel")
    if data.fold is not None:
        return _one_fold(data, *data.fold)
    found = (finder or find)(data)
    train, validation, test = _roles(found, data)
    exact = _is_small(found)
    for split, part in (("train", train), ("test", test)):
        if not len(part):
            raise UserError(f"{found.name}: no examples are left for {split}; data.validation={data.validation}")
    mean, std = _given_moments(found, train.store.shape[-1], data) or _statistics(found, train, data, exact)
    train = _labelled(found, train, data, exact)
    train = mislabelled(train, data.wrong_labels, len(found.class_names), data.split_seed, found.name)
    splits = (train, validation, test)
    remarks = (*found.remarks, *groups.remarks(dict(zip(("train", "validation", "test"), splits, strict=True))))
    about = (remarks, found.group_name, found.new_examples)
    return Dataset(found.name, found.version, train.store.shape, found.class_names, *splits, mean, std, *about)


def check(data: Data) -> None:
    """Raise UserError for fields that contradict each other. Nothing is read."""
    if data.wrong_labels and data.fold is not None:
        raise UserError(f"data.fold with data.wrong_labels: {WRONG_FOLDS}")
    if isinstance(data, Scenes) or is_scenes(data.name):
        scenes.check(data)


def _one_fold(data: Data, number: int, count: int) -> Dataset:
    whole = load(dataclasses.replace(data, fold=None, validation=0.0))
    cut = folds.cut(whole.train, count, data.split_seed, whole.name, whole.class_names)[number]
    train, validation = (Split(whole.train.store, whole.train.indices[positions]) for positions in cut)
    mean, std = (whole.mean, whole.std) if data.mean else moments(train)
    return dataclasses.replace(whole, train=train, validation=validation, mean=mean, std=std)


def names() -> list[str]:
    """Return every name that can be loaded now: of data sets embedded, registered, and prepared in $TFDS_DATA_DIR."""
    registered = [name for name in own.DATA if own.kind_of(name) == "images"]
    return [*embedded.IMAGES, *registered, *read.prepared(read.data_dir())]


def require_there(name: str) -> None:
    """Raise UserError for a data set that is not there, without reading any of it."""
    kind, _, path = name.partition(":")
    if kind in kinds.IMAGES:
        kinds.existing(kind, path)
    elif kind in kinds.EITHER:
        require_possible(path)
    elif is_scenes(name):
        scenes.require_view(name)
    elif not is_text(name) and own.kind_of(name) is None and name not in embedded.EMBEDDED:
        read.locate(name, read.data_dir())


def is_text(name: str) -> bool:
    """Whether a name can only be one of text."""
    return kinds.prefix(name) in kinds.TEXT or name.partition("/")[0] in ("python_docs", "dates")


def find(data: Data) -> Found:
    """Find a data set of images with a class each, by its name. Images in files are not read yet."""
    kind, _, path = data.name.partition(":")
    how = data.image_size, data.fit, data.decode == "scaled"
    if kind in FILES:
        return FILES[kind].find(path, *how)
    if (registered := own.kind_of(data.name)) is not None:
        return _find_own(data, registered)
    if is_scenes(data.name):
        if scenes.view_of(data.name) != "classify":
            raise UserError(f"{data.name} has a class for each pixel, which the task segment learns, and no other")
        return scenes.find(data)
    if data.name in embedded.EMBEDDED:
        whole = embedded.EMBEDDED[data.name]()
        x = whole.x
        if data.image_size is not None:
            shape = (data.image_size, data.image_size, x.shape[3])
            x = np.stack([decode.bring(image, shape, data.fit) for image in x])
        names = tuple(str(label) for label in range(int(whole.y.max()) + 1))
        return Found(data.name, embedded.VERSION, names, {"train": Arrays(x, whole.y)})
    if is_text(data.name):
        raise kinds.IsText(f"{data.name} contains text, not images: choose a config for text")
    return read.find(data.name, *how)


def _find_own(data: Data, kind: own.Kind) -> Found:
    """A registered set of images, brought to `data.image_size`."""
    if kind != "images":
        raise UserError(f"{data.name} is registered as {kind}, not as images")
    parts, names = own.images(data.name)
    shape = parts["train"].shape
    if data.image_size is not None:
        if len(shape) != 3 or parts["train"].x.dtype != np.uint8:
            raise UserError(f"data.image_size is for images (N, H, W, C) of bytes, and {data.name} holds others")
        shape = (data.image_size, data.image_size, shape[2])
        parts = {
            split: Arrays(np.stack([decode.bring(image, shape, data.fit) for image in part.x]), part.y)
            for split, part in parts.items()
        }
    if data.split_by == "hash":
        parts = {split: dataclasses.replace(part, own=array_keys(part.x)) for split, part in parts.items()}
    return Found(data.name, own.VERSION, names, dict(parts))


def _roles(found: Found, data: Data) -> tuple[Split, Split, Split]:
    """Return train, validation and test as described in `load`, in memory if all together are small enough."""
    stores: dict[str, Store] = {
        name: store for name, store in found.stores.items() if name in ("train", "validation", "test")
    }
    if "train" not in stores:
        raise UserError(f"{found.name} has no train split, only {', '.join(found.stores) or 'no examples at all'}")
    labelled = bool(found.class_names)
    # The labels of a test split may be secret, as in ImageNet.
    if labelled and "test" in stores and np.any(stores["test"].read(np.array([0]))[1] < 0):
        del stores["test"]
    if "test" not in stores and "validation" in stores:
        stores["test"] = stores.pop("validation")
    small = _is_small(found)
    if small and data.placement != "stream":
        stores = {name: _in_memory(found, name, store) for name, store in stores.items()}
    every = {name: np.arange(len(store)) for name, store in stores.items()}
    if "test" not in stores:
        stores["test"] = stores["train"]
        every["train"], every["test"] = _cut(stores["train"], every["train"], TEST_SHARE, "test", 0, data, small)
    if data.validation == 0 or "validation" not in stores:
        how = (data.validation, "validation", data.split_seed, data, small)
        stores["validation"] = stores["train"]
        every["train"], every["validation"] = _cut(stores["train"], every["train"], *how)
    train, validation, test = (Split(stores[name], every[name]) for name in ("train", "validation", "test"))
    return train, validation, test


def _cut(
    store: Store, indices: np.ndarray, share: float, purpose: str, seed: int, data: Data, stratified: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Split `indices` in two, the second with `share` of them, as `data.split_by` says. Groups stay whole."""
    keys = store.keys() if data.split_by == "hash" else None
    every = None if purpose == "labels" else store.groups()  # all of those are trained on
    if every is not None:
        own = every[indices]
        if share and len(np.unique(own)) < 2:
            hint = ", or set data.validation=0" if purpose == "validation" else ""
            raise UserError(f"{data.name}: one group alone cannot be cut for {purpose}: give a {purpose} split{hint}")
        return by_group(indices, share, own, store.labels()[indices], purpose if keys is not None else None, seed)
    if keys is None:
        return cut(store, indices, share, seed, stratified=stratified)
    return by_hash(indices, share, keys[indices], store.labels()[indices], purpose, seed)


def _is_small(found: Found) -> bool:
    """Return whether all splits together fit into host memory."""
    parts = [store for name, store in found.stores.items() if name in ("train", "validation", "test")]
    return sum(len(store) * int(np.prod(store.shape)) for store in parts) <= IN_MEMORY


def _labelled(found: Found, train: Split, data: Data, stratified: bool) -> Split:
    """Return the share `data.labels` of the training split. UserError where a class would have no example left."""
    if data.labels == 1:
        return train
    _, taken = _cut(train.store, train.indices, data.labels, "labels", data.split_seed, data, stratified)
    kept = Split(train.store, taken)
    if stratified and found.class_names:
        labels = train.store.labels()
        counts = np.bincount(labels[taken], minlength=len(found.class_names))
        before = np.bincount(labels[train.indices], minlength=len(found.class_names))
        lost = np.flatnonzero((counts == 0) & (before > 0))
        if len(lost):
            name, few = found.class_names[lost[0]], f"{before[lost[0]]} training examples"
            raise UserError(f"{found.name}: data.labels={data.labels} leaves no example of class {name!r} (of {few})")
    return kept


def _in_memory(found: Found, split: str, store: Store) -> Arrays:
    """Return all images of a store, from the cache if they are there."""
    if isinstance(store, Arrays):
        return store
    height, width, _ = store.shape

    def build() -> cache.Arrays:
        held = read_all(store, np.arange(len(store)))
        return {"x": held.x, "y": held.y}

    name = f"{found.place}-{found.name}-{found.version}-{split}-{height}x{width}"
    held = Arrays(**cache.cached(name, store.fingerprint(), build), own=store.keys(), group=store.groups())
    _check_labels(found, split, held.labels())
    return held


def _check_labels(found: Found, split: str, labels: np.ndarray) -> None:
    if np.any((labels < 0) | (labels >= len(found.class_names))):
        raise UserError(f"{found.name}: its {split} split has labels outside 0..{len(found.class_names) - 1}")


def _given_moments(found: Found, channels: int, data: Data) -> tuple[np.ndarray, np.ndarray] | None:
    """Return the mean and the standard deviation per channel that the config gives; None where it gives none."""
    if not data.mean and not data.std:
        return None
    for field, values in (("mean", data.mean), ("std", data.std)):
        if len(values) not in (1, channels):
            raise UserError(f"data.{field} has {len(values)} numbers, and {found.name} has {channels} channels")
    mean, std = (np.broadcast_to(np.asarray(each, np.float32), channels) for each in (data.mean, data.std))
    return mean, std


def _statistics(found: Found, train: Split, data: Data, exact: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean and the standard deviation per channel of the training split.

    For a data set that is read from files they are cached; exact: computed from all images, not from a sample.
    """
    if train.in_memory:
        return moments(train)

    def build() -> cache.Arrays:
        if exact:
            _check_labels(found, "train", train.store.labels())
            return dict(zip(("mean", "std"), moments(train), strict=True))
        order = np.argsort(np.random.PCG64(0).random_raw(len(train)), kind="stable")
        sample = read_all(train.store, np.sort(train.indices[order[:SAMPLE]]))
        _check_labels(found, "train", sample.labels())
        return dict(zip(("mean", "std"), moments(Split(sample, np.arange(len(sample)))), strict=True))

    fingerprint = [train.store.fingerprint(), train.store.digest(train.indices), exact]
    held = cache.cached(f"{found.place}-{found.name}-{found.version}-statistics", fingerprint, build)
    return held["mean"], held["std"]
