"""Vision Transformer (Dosovitskiy et al. 2020, arXiv:2010.11929): a Transformer reads images as sequences of patches.

x (B, H, W, C) float -> logits (B, classes). N = (H / patch) * (W / patch) patches, T tokens (N, or N + 1 with the
class token), D = width. Equations 1 to 4 and Table 1; initial values: the authors' code. Differences from the paper:
see the cards.
"""

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jax import Array

from zoo import layers
from zoo.attention import SelfAttention
from zoo.blocks import call_block
from zoo.cards import Card, Paper, image
from zoo.errors import UserError
from zoo.fields import GELU, Gelu, check, require, require_images

XAVIER = nn.initializers.xavier_uniform()
ZEROS = nn.initializers.zeros_init()


@dataclasses.dataclass(frozen=True)
class Config:
    """The architecture.

    `dropout` applies to the embeddings, to the hidden units of each MLP and to the output of each sublayer, not to the
    attention weights. `drop_path` skips whole sublayers.
    """

    patch: int  # pixels on a side
    width: int
    depth: int  # blocks
    heads: int
    mlp_ratio: int = 4  # hidden units of a block's MLP, as a multiple of width
    hidden: int = (
        0  # those units themselves, for a ratio that is no integer (timm: int(width * ratio)); 0: by the ratio
    )
    pool: Literal["token", "mean"] = "token"  # input of the head: the class token, or the mean over patches
    positions: Literal["learned", "sine"] = "learned"  # a learned table, or fixed sines and cosines of row and column
    dropout: float = 0.0
    drop_path: float = 0.0  # stochastic depth: rate of the last block, rising linearly from 0 at the first
    norm_epsilon: float = 1e-6  # of every LayerNorm: 1e-6 in the authors' code, 1e-12 in Hugging Face's
    gelu: Gelu = "exact"  # or its "tanh" form
    representation: int = 0  # units of a tanh layer before the head, as in pre-training (section 3.1, D.1); 0: none
    classes: int = 1000
    remat: bool = False  # in training, compute the inside of each block again for its gradient: less memory, more time

    def __post_init__(self) -> None:
        check(self)
        require(self.width % self.heads == 0, "vit", "heads", f"a divisor of width {self.width}", self.heads)
        if self.positions == "sine":
            require(self.width % 4 == 0, "vit", "width", "a multiple of 4 for sine positions", self.width)

    @property
    def units(self) -> int:
        """The hidden units of a block's MLP."""
        return self.hidden or self.mlp_ratio * self.width


class MLP(nn.Module):
    """The feed-forward sublayer: x (B, T, D) -> (B, T, D), with `hidden` hidden units."""

    hidden: int
    dropout: float
    gelu: Gelu

    @nn.compact
    def __call__(self, x: Array, *, train: bool) -> Array:
        dense = functools.partial(layers.Dense, kernel_init=XAVIER, bias_init=nn.initializers.normal(1e-6))
        y = dense(self.hidden, name="up")(x)
        y = GELU[self.gelu](y)
        y = nn.Dropout(self.dropout, deterministic=not train, name="dropout")(y)
        return dense(x.shape[-1], name="down")(y)


class Block(nn.Module):
    """Pre-norm Transformer block, x (B, T, D) -> (B, T, D)."""

    cfg: Config
    drop_path: float

    @nn.compact
    def __call__(self, x: Array, *, train: bool) -> Array:
        def drop(y: Array, name: str) -> Array:
            y = nn.Dropout(self.cfg.dropout, deterministic=not train, name=f"{name}_dropout")(y)
            return layers.DropPath(self.drop_path, name=f"{name}_path")(y, train=train)

        y = nn.LayerNorm(epsilon=self.cfg.norm_epsilon, name="norm1")(x)
        y = SelfAttention(self.cfg.width, self.cfg.heads, name="attention")(y, train=train)
        x = x + drop(y, "attention")
        y = nn.LayerNorm(epsilon=self.cfg.norm_epsilon, name="norm2")(x)
        y = MLP(self.cfg.units, self.cfg.dropout, self.cfg.gelu, name="mlp")(y, train=train)
        return x + drop(y, "mlp")


class ViT(nn.Module):
    """x (B, H, W, C), H and W multiples of the patch -> logits (B, classes).

    Training with dropout or drop_path needs the rng "dropout". The attention weights are sown as intermediates,
    "block0/attention/weights" (B, heads, T, T).
    """

    cfg: Config

    def setup(self) -> None:
        self.head = layers.Dense(self.cfg.classes, kernel_init=ZEROS)

    def __call__(self, x: Array, *, train: bool) -> Array:
        return self.head(self.represent(x, train=train))

    @nn.compact
    def represent(self, x: Array, *, train: bool) -> Array:
        """Return the features before the head, (B, D): those of the class token, or the mean over patches.

        With a representation layer they are its output (B, representation).
        """
        cfg = self.cfg
        x = self.embed_patches(x)  # (B, T, D)
        x = nn.Dropout(cfg.dropout, deterministic=not train, name="dropout")(x)
        for i in range(cfg.depth):
            rate = cfg.drop_path * i / max(cfg.depth - 1, 1)
            x = call_block(Block(cfg, rate, name=f"block{i}"), x, remat=cfg.remat, train=train)
        x = nn.LayerNorm(epsilon=cfg.norm_epsilon, name="norm")(x)
        x = x[:, 0] if cfg.pool == "token" else x.mean(1)
        return nn.tanh(layers.Dense(cfg.representation, name="representation")(x)) if cfg.representation else x

    def embed_patches(self, x: Array) -> Array:
        """Equation 1: project the patches of x (B, H, W, C), prepend the class token, add positions -> (B, T, D)."""
        require_images(x, "vit")
        patch, width = self.cfg.patch, self.cfg.width
        b, h, w, c = x.shape
        if h % patch or w % patch:
            raise UserError(f"vit: patch {patch} does not divide {h}x{w} pixels; use multiples of {patch}")
        rows, columns = grid = (h // patch, w // patch)  # N = rows * columns
        x = x.reshape(b, rows, patch, columns, patch, c)
        x = x.swapaxes(2, 3)  # (B, rows, columns, patch, patch, C)
        x = x.reshape(b, rows * columns, patch * patch * c)  # one row of pixels for each patch
        x = layers.Dense(width, name="embed")(x)  # (B, N, D)
        if self.cfg.positions == "sine":
            x = x + sine_positions(grid, width).astype(x.dtype)
        if self.cfg.pool == "token":
            token = self.param("token", ZEROS, (1, 1, width), jnp.float32).astype(x.dtype)
            x = jnp.concatenate([jnp.broadcast_to(token, (b, 1, width)), x], axis=1)
        if self.cfg.positions == "learned":
            x = x + self.position_table(x.shape[1])
        return x

    def position_table(self, tokens: int) -> Array:
        """Return the learned positions (1, T, D); `init` fixes T by the size of its input.

        Only the number of patches is checked: whether a table of 196 is of 14x14 patches or of 7x28, it does not say.
        Weights for other images of as many patches need `resample_positions`, or `size` in `zoo.load_weights`.
        """
        if self.has_variable("params", "positions"):  # a clearer error than Flax's, for images of another size
            table: Any = self.get_variable("params", "positions")
            if table.shape[1] != tokens:
                raise UserError(
                    f"vit: {tokens} tokens but {table.shape[1]} positions; zoo.vit.resample_positions fits the table"
                )
        return self.param("positions", nn.initializers.normal(0.02), (1, tokens, self.cfg.width), jnp.float32)


def sine_positions(grid: tuple[int, int], width: int) -> Array:
    """Return (1, rows * columns, width) float32: sines and cosines of column and row at width / 4 frequencies.

    The frequencies fall from 1 to 1e-4. grid: (rows, columns).
    """
    row, column = np.mgrid[: grid[0], : grid[1]].reshape(2, -1, 1)  # each (rows * columns, 1)
    frequency = 1e-4 ** (np.arange(width // 4) / max(width // 4 - 1, 1))
    x, y = column * frequency, row * frequency  # each (rows * columns, width / 4)
    waves = [np.sin(x), np.cos(x), np.sin(y), np.cos(y)]
    return jnp.asarray(np.concatenate(waves, axis=1)[None], jnp.float32)


def resample_positions(
    variables: Mapping[str, Any], old_grid: tuple[int, int], new_grid: tuple[int, int]
) -> dict[str, Any]:
    """Return `variables` of a ViT with the position table resampled (bicubic) for another image size (section 3.2).

    Grids are (rows, columns) of patches: (14, 14) for patch 16 at 224 x 224. The class token's entry does not change.
    Raises UserError if the table does not have the size of `old_grid`, or if there is none (sine positions).
    """
    if "positions" not in variables["params"]:
        raise UserError("vit: these variables have no position table; sine positions need no resampling")
    table = variables["params"]["positions"]  # (1, T, D)
    patches, width = old_grid[0] * old_grid[1], table.shape[-1]
    if table.shape[1] - patches not in (0, 1):
        raise UserError(
            f"vit: a table of {table.shape[1]} positions does not fit a grid of {old_grid[0]}x{old_grid[1]}"
        )
    token, cells = jnp.split(table, [table.shape[1] - patches], axis=1)
    cells = jax.image.resize(cells.reshape(1, *old_grid, width), (1, *new_grid, width), "bicubic")
    table = jnp.concatenate([token, cells.reshape(1, -1, width)], axis=1)
    return {**variables, "params": {**variables["params"], "positions": table}}


PAPER = Paper(
    title="An image is worth 16x16 words: Transformers for image recognition at scale",
    authors="A. Dosovitskiy, L. Beyer, A. Kolesnikov, D. Weissenborn, X. Zhai, T. Unterthiner, M. Dehghani, "
    "M. Minderer, G. Heigold, S. Gelly, J. Uszkoreit, N. Houlsby",
    venue="ICLR 2021",
    id="2010.11929",
)
HEAD = "The head is one linear layer, as in the paper's fine-tuning."
DEIT = f"Not in the paper: the size is from Touvron et al. 2020 (arXiv:2012.12877). {HEAD}"


def _mini(patch: int, *, params: int, flops: int) -> Card:
    """Return the card of a network for 32 x 32 images, small enough to train from scratch."""
    return _card(
        f"vit_mini_patch{patch}",
        Config(patch=patch, width=128, depth=6, heads=4, classes=10),
        size=32,
        params=params,
        flops=flops,
        differences=f"Not in the paper: width 128 and 6 blocks, for small images. {HEAD}",
    )


def _card(
    name: str,
    config: Config,
    *,
    size: int = 224,
    params: int,
    flops: int,
    differences: str = HEAD,
    paper_params: int | None = None,
) -> Card:
    return Card(
        name=name,
        family="vit",
        year=2020,
        paper=PAPER,
        idea="A plain Transformer classifies an image as a sequence of patches, with few assumptions about images.",
        module=ViT,
        config=config,
        inputs=image(size, size, 3),
        output=(config.classes,),
        params=params,
        flops=flops,
        differences=differences,
        initial_values="As in the authors' code: weights Xavier's uniform, those of the patches LeCun normal, "
        "positions normal with deviation 0.02, class token and head 0, biases of an MLP normal with 1e-6; "
        "LayerNorm's epsilon is 1e-6.",
        parents={"transformer_base": "the encoder's blocks", "bert_base": "the class token"},
        paper_params=paper_params,
    )


CARDS = [
    _mini(2, params=1_225_866, flops=810_030_592),
    _mini(4, params=1_205_898, flops=167_122_432),
    _mini(8, params=1_218_186, flops=41_784_832),
    _card(
        "vit_tiny_patch16",
        Config(patch=16, width=192, depth=12, heads=3),
        params=5_717_416,
        flops=2_507_366_400,
        differences=DEIT,
    ),
    _card(
        "vit_small_patch16",
        Config(patch=16, width=384, depth=12, heads=6),
        params=22_050_664,
        flops=9_197_764_608,
        differences=DEIT,
    ),
    _card(
        "vit_base_patch16",
        Config(patch=16, width=768, depth=12, heads=12),
        params=86_567_656,
        flops=35_127_656_448,
        paper_params=86_000_000,
    ),
    _card(
        "vit_large_patch16",
        Config(patch=16, width=1024, depth=24, heads=16),
        params=304_326_632,
        flops=123_109_425_152,
        paper_params=307_000_000,
    ),
    _card(
        "vit_huge_patch14",
        Config(patch=14, width=1280, depth=32, heads=16),
        params=632_045_800,
        flops=334_590_218_240,
        paper_params=632_000_000,
    ),
]
