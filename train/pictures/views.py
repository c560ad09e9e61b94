"""The pictures of contrastive learning: pairs of views, and a map of the features by class."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from train.data.inputs import Inputs, views
from train.data.split import Dataset, Split, cut
from train.inference.features import Extractor
from train.metrics.nearest_neighbors import unit
from train.pictures.style import INK, SOFT
from zoo.errors import UserError
from zoo.files import atomic_file

IMAGES = 8  # images in the picture of views
POINTS = 1_000  # images on the map, at most
LEAST_POINTS = 2
# Ten colors that differ in lightness and in hue. With more classes they are repeated with another marker.
COLORS = ("#1c68ad", "#bd4228", "#48720f", "#dfa01a", "#6748c2", "#1aa89a", "#e377c2", "#5b3a1e", "#9aa0a6", "#16191d")
MARKERS = "osD^vPX"


def write_views(inputs: Inputs, split: Split, path: Path) -> None:
    """Write a PNG of the first images of `split`, each above two of its views. `inputs` must not normalize."""
    x = split.batch(np.arange(min(IMAGES, len(split))))["x"]
    pairs = jax.jit(lambda key, x: views(inputs, key, {"x": x})["x"])(jax.random.key(0), jnp.asarray(x))
    _write(draw_views(x / 255, np.asarray(pairs).reshape(len(x), 2, *pairs.shape[1:])), path)


def draw_views(x: np.ndarray, pairs: np.ndarray) -> Any:
    """Return a matplotlib Figure with a column for each image of x (N, H, W, C) in [0, 1] and its views.

    pairs: the views (N, 2, H', W', C).
    """
    from matplotlib.figure import Figure  # slow to import; no pyplot, so no global state

    figure = Figure(figsize=(1.1 * len(x) + 0.9, 3.6), dpi=150, facecolor="white", layout="constrained")
    panels = figure.subplots(3, len(x), squeeze=False)
    for row, (name, images) in enumerate(
        zip(("image", "view 1", "view 2"), (x, pairs[:, 0], pairs[:, 1]), strict=True)
    ):
        for axes, image in zip(panels[row], images, strict=True):
            grey = image.shape[-1] == 1
            axes.imshow(image[..., 0] if grey else image, cmap="gray" if grey else None, vmin=0, vmax=1)
            axes.set(xticks=[], yticks=[])
            axes.spines[:].set_visible(False)
        panels[row, 0].set_ylabel(name, size=9, color=SOFT)
    return figure


def write_map(extract: Extractor, variables: Mapping[str, Any], dataset: Dataset, path: Path) -> None:
    """Write a PNG of the t-SNE map of the normalized features of up to 1,000 test images, colored by class."""
    from sklearn.manifold import TSNE  # slow to import
    from threadpoolctl import threadpool_limits

    split = dataset.test
    positions = np.arange(len(split))
    if len(split) > POINTS:
        _, chosen = cut(split.store, split.indices, POINTS / len(split), seed=0)
        positions = np.searchsorted(split.indices, chosen)
    if len(positions) < LEAST_POINTS:
        raise UserError(f"a map needs at least {LEAST_POINTS} test images, and there is {len(positions)}")
    features = unit(extract(variables, split, positions))
    perplexity = min(30.0, (len(positions) - 1) / 3)
    # The threads of t-SNE spin while they wait: on a busy machine two threads take 45 s, and one takes 1 s.
    with threadpool_limits(limits=1):
        points = TSNE(init="pca", perplexity=perplexity, random_state=0).fit_transform(features)
    labels = split.batch(positions)["y"]
    _write(draw_map(points, labels, dataset.class_names, "Test images by their features (t-SNE)"), path)


def draw_map(points: np.ndarray, labels: np.ndarray, names: Sequence[str], title: str) -> Any:
    """Return a matplotlib Figure of points (N, 2). Color and marker show their labels (N,)."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 6.4), dpi=150, facecolor="white", layout="constrained")
    axes = figure.subplots()
    for label in np.unique(labels):
        of_class = points[labels == label]
        style = {"color": COLORS[label % len(COLORS)], "marker": MARKERS[label // len(COLORS) % len(MARKERS)]}
        axes.scatter(*of_class.T, s=14, linewidths=0, alpha=0.85, label=names[label], **style)
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(False)
    axes.set_title(title, loc="left", color=INK, family="serif", size=14, parse_math=False)
    if len(np.unique(labels)) <= 3 * len(COLORS):
        axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False, labelcolor=SOFT, markerscale=1.8)
    return figure


def _write(figure: Any, path: Path) -> None:
    with atomic_file(path, make_folder=True) as temporary:
        figure.savefig(temporary, format="png")
