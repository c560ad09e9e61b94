"""DQN (Mnih et al. 2013, arXiv:1312.5602; 2015, doi:10.1038/nature14236): a network learns to act from pixels.

x: frames (B, H, W, C) float or uint8, or vectors (B, N) float -> Q (B, actions): the return expected of each action.
Layers: section 4.1 of 2013; Methods, "Model architecture", of 2015. Initial values: Torch's own, which both used.
Dueling: Wang et al. 2016 (arXiv:1511.06581), equation 9.
Departs: see the cards.
"""

import dataclasses

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import Array

from zoo.cards import Card, Paper, image
from zoo.fields import check, demand, demand_images, flatten
from zoo.layers import Conv


@dataclasses.dataclass(frozen=True)
class Config:
    """The architecture. `channels`, `kernels` and `strides` have one entry per convolution; none: x is a vector."""

    channels: tuple[int, ...] = ()
    kernels: tuple[int, ...] = ()
    strides: tuple[int, ...] = ()
    hidden: tuple[int, ...] = (512,)  # units of the layers between the convolutions, or the vector, and Q
    actions: int = 4
    dueling: bool = False  # hidden layers of their own for the value of the state and the advantages of the actions

    def __post_init__(self) -> None:
        check(self)
        convolutions = len(self.channels)
        for name in ("kernels", "strides"):
            value = getattr(self, name)
            demand(len(value) == convolutions, "dqn", name, f"{convolutions} numbers, as channels is", value)


def torch_init(fan_in: int) -> dict[str, nn.initializers.Initializer]:
    """Uniform within 1 / sqrt(fan_in), biases too."""

    def init(key: Array, shape: tuple[int, ...], dtype: jnp.dtype = jnp.float32) -> Array:
        return jax.random.uniform(key, shape, dtype, -(fan_in**-0.5), fan_in**-0.5)

    return {"kernel_init": init, "bias_init": init}


class Stream(nn.Module):
    """Features (B, N) -> hidden layers -> (B, outputs)."""

    hidden: tuple[int, ...]
    outputs: int

    @nn.compact
    def __call__(self, x: Array) -> Array:
        for i, width in enumerate(self.hidden):
            x = nn.relu(nn.Dense(width, **torch_init(x.shape[-1]), name=f"hidden{i}")(x))
        return nn.Dense(self.outputs, **torch_init(x.shape[-1]), name="out")(x)


class Dueling(nn.Module):
    """Features (B, N) -> Q (B, actions) = value + advantage - mean advantage, so that the two are determined."""

    hidden: tuple[int, ...]
    actions: int

    @nn.compact
    def __call__(self, x: Array) -> Array:
        value = Stream(self.hidden, 1, name="value")(x)
        advantage = Stream(self.hidden, self.actions, name="advantage")(x)
        return value + advantage - advantage.mean(axis=-1, keepdims=True)


class DQN(nn.Module):
    """x (B, H, W, C), or (B, N) without convolutions -> Q (B, actions).

    Frames of uint8 are scaled here from 0..255 to 0..1, so that a replay memory can keep bytes; floats are taken as
    they are. There is no randomness; `train` changes nothing.
    """

    cfg: Config

    @nn.compact
    def __call__(self, x: Array, *, train: bool) -> Array:
        cfg = self.cfg
        if x.dtype == jnp.uint8:
            x = x * (1 / 255)  # weakly float, so the parameters decide the precision
        if cfg.channels:
            demand_images(x, "dqn", smallest(cfg.kernels, cfg.strides))
        for i, (features, kernel, stride) in enumerate(zip(cfg.channels, cfg.kernels, cfg.strides, strict=True)):
            init = torch_init(kernel**2 * x.shape[-1])
            x = nn.relu(Conv(features, kernel, stride, "VALID", **init, name=f"conv{i}")(x))
        head = Dueling if cfg.dueling else Stream
        return head(cfg.hidden, cfg.actions, name="head")(flatten(x))


def smallest(kernels: tuple[int, ...], strides: tuple[int, ...]) -> int:
    """Pixels on a side of the smallest frame that leaves one pixel after the convolutions."""
    size = 1
    for kernel, stride in zip(reversed(kernels), reversed(strides), strict=True):
        size = (size - 1) * stride + kernel
    return size


PLAYING = Paper(
    title="Playing Atari with deep reinforcement learning",
    authors="V. Mnih, K. Kavukcuoglu, D. Silver, A. Graves, I. Antonoglou, D. Wierstra, M. Riedmiller",
    venue="NIPS deep learning workshop 2013",
    id="1312.5602",
)
HUMAN_LEVEL = Paper(
    title="Human-level control through deep reinforcement learning",
    authors="V. Mnih, K. Kavukcuoglu, D. Silver, A. A. Rusu, J. Veness, M. G. Bellemare, A. Graves, M. Riedmiller, "
    "A. K. Fidjeland, G. Ostrovski, S. Petersen, C. Beattie, A. Sadik, I. Antonoglou, H. King, D. Kumaran, "
    "D. Wierstra, S. Legg, D. Hassabis",
    venue="Nature 518",
    id="10.1038/nature14236",
)
MINATAR = Paper(
    title="MinAtar: an Atari-inspired testbed for thorough and reproducible reinforcement learning experiments",
    authors="K. Young, T. Tian",
    venue="arXiv preprint",
    id="1903.03176",
)
FROM_PIXELS = "Q-learning with a convolutional network and replayed experience learns games from the screen alone."
TARGET = "A target network that is copied only now and then steadies Q-learning enough for 49 games with one recipe."
SMALL = "Atari games on a 10 x 10 grid need a network so small that experiments can be repeated many times."
PARENTS = {
    2013: {"alexnet": "convolutions of rectified units, on raw pixels"},
    2015: {"dqn_2013": "Q-learning from replayed experience"},
    2019: {"dqn_nature": "the agent, on a small grid"},
}
FRAMES = {"x": ((84, 84, 4), jnp.uint8)}


def _card(name: str, year: int, paper: Paper, idea: str, config: Config, inputs: dict, params: int, flops: int,
          departs: str = "") -> Card:  # fmt: skip
    actions, parents = (config.actions,), PARENTS[year]
    return Card(name, "dqn", year, paper, idea, DQN, config, inputs, actions, params, flops, departs, parents)


VECTOR = (
    "Not in the paper: fully connected layers for states of few numbers, the size of CleanRL's widely used agent for "
    "CartPole."
)
CARDS = [
    _card("dqn_2013", 2013, PLAYING, FROM_PIXELS, Config((16, 32), (8, 4), (4, 2), (256,)), FRAMES, 677_172, 5_933_056),
    _card("dqn_mlp", 2015, HUMAN_LEVEL, TARGET, Config(hidden=(120, 84), actions=2), {"x": ((4,), jnp.float32)},
          10_934, 21_456, VECTOR),
    _card("dqn_nature", 2015, HUMAN_LEVEL, TARGET, Config((32, 64, 64), (8, 4, 3), (4, 2, 1)), FRAMES,
          1_686_180, 18_690_048),
    _card("dqn_minatar", 2019, MINATAR, SMALL, Config((16,), (3,), (1,), (128,), actions=6), image(10, 10, 4),
          132_566, 337_408),
]  # fmt: skip
