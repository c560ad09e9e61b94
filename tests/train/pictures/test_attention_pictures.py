"""Pictures of attention: each weight in its cell, each token at its row or column, any script without a warning."""

import io

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from jax import Array

from train.pictures.attention import NO_GLYPH, attention_maps, draw_attention, write_picture
from zoo.errors import UserError


def labels(axis) -> list[str]:
    return [label.get_text() for label in axis.get_ticklabels()]


def test_each_weight_is_drawn_where_its_tokens_are():
    weights = np.eye(3, 4)
    figure = draw_attention({"layer 0": weights, "layer 1": 1 - weights}, ["a", "$b_", "\n"], ["v", "w", " ", "y"], "t")
    first, second = figure.axes
    assert [axes.get_title("left") for axes in (first, second)] == ["layer 0", "layer 1"]
    np.testing.assert_array_equal(first.images[0].get_array(), weights)
    np.testing.assert_array_equal(second.images[0].get_array(), 1 - weights)
    assert labels(first.yaxis) == ["a", "$b_", "⏎"]
    assert labels(first.xaxis) == ["v", "w", "␣", "y"]
    image = pixels(figure)
    assert image.shape[2] == 4
    assert np.any(np.all(image[..., :3] == (0x1C, 0x68, 0xAD), axis=-1))  # a weight of 1, in full colour


def pixels(figure) -> np.ndarray:
    from matplotlib.image import imread

    box = io.BytesIO()
    figure.savefig(box, format="png")
    box.seek(0)
    return (255 * imread(box)).round().astype(int)


def test_characters_without_a_font_are_boxes_with_a_note():
    unknown = "\U000f1234"  # of a private use area in which no font is
    figure = draw_attention({"map": np.ones((1, 2))}, [f"x{unknown}"], ["é", unknown], "title")
    assert labels(figure.axes[0].yaxis) == [f"x{NO_GLYPH}"]
    assert labels(figure.axes[0].xaxis) == ["é", NO_GLYPH]
    assert NO_GLYPH in figure.get_supxlabel()
    pixels(figure)  # warns, and so fails, where a glyph is missing
    assert not draw_attention({"map": np.ones((1, 1))}, ["x"], ["y"], "title").get_supxlabel()


def test_long_sentences_are_named_at_equal_distances():
    figure = draw_attention({"map": np.full((150, 2), 0.5)}, [str(i) for i in range(150)], ["a", "b"], "title")
    assert labels(figure.axes[0].yaxis) == [str(i) for i in range(0, 150, 3)]


def test_panels_that_do_not_fill_a_line():
    figure = draw_attention({str(i): np.ones((2, 2)) for i in range(4)}, "ab", "cd", "title")
    assert len(figure.axes) == 4


class Sows(nn.Module):
    @nn.compact
    def __call__(self, x: Array, *, train: bool) -> Array:
        return Inner((2, 5, 3, 4), name="cross")(Inner((2, 3, 4), name="decoder")(x))


class Inner(nn.Module):
    shape: tuple[int, ...]

    @nn.compact
    def __call__(self, x: Array) -> Array:
        self.sow("intermediates", "weights", jnp.full(self.shape, 0.25))
        self.sow("intermediates", "hidden", x)
        return x


def test_maps_are_found_by_their_names():
    maps = attention_maps(Sows(), {}, x=jnp.ones((2, 3)))
    assert {name: leaf.shape for name, leaf in maps.items()} == {"decoder": (2, 1, 3, 4), "cross": (2, 5, 3, 4)}
    assert jax.tree.all(jax.tree.map(lambda leaf: np.allclose(leaf.sum(-1), 1), maps))


def test_a_picture_that_cannot_be_written_is_one_line(tmp_path):
    figure = draw_attention({"map": np.ones((1, 1))}, ["x"], ["y"], "title")
    write_picture(figure, tmp_path / "map.png")
    assert (tmp_path / "map.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(UserError, match=r"cannot write .*/none/map\.png: No such file or directory"):
        write_picture(figure, tmp_path / "none" / "map.png")
