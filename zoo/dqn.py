"""DQN (Mnih et al. 2013, arXiv:1312.5602; 2015, doi:10.1038/nature14236): a network learns to act from pixels.

x: frames (B, H, W, C) float or uint8, or vectors (B, N) float -> Q (B, actions), the expected return of each action.
Layers: section 4.1 of the 2013 paper; Methods, "Model architecture", of the 2015 paper. Initial values: Torch's
defaults, which both used. Dueling: Wang et al. 2016 (arXiv:1511.06581), equation 9. Differences from the papers: see
the cards.
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import Array

from zoo.cards import Card, Inputs, Paper, image
from zoo.fields import check, flatten, require, require_images
from zoo.layers import Conv


@dataclasses.dataclass(frozen=True)
class Config:
    """The architecture. `channels`, `kernels` and `strides` have one entry per convolution, none if x is a vector."""

    channels: tuple[int, ...] = ()
    kernels: tuple[int, ...] = ()
    strides: tuple[int, ...] = ()
    hidden: tuple[int, ...] = (512,)  # units of the layers between the convolutions (or x) and Q
    actions: int = 4
    dueling: bool = False  # separate hidden layers for the state's value and the actions' advantages

    def __post_init__(self) -> None:
        check(self)
        convolutions = len(self.channels)
        for name in ("kernels", "strides"):
            value = getattr(self, name)
            require(len(value) == convolutions, "dqn", name, f"{convolutions} numbers, like channels", value)


def torch_init(fan_in: int) -> nn.initializers.Initializer:
    """Return Torch's default initializer of kernels and biases: uniform within 1 / sqrt(fan_in)."""

    def init(key: Array, shape: Any, dtype: Any = jnp.float32, out_sharding: Any = None) -> Array:
        return jax.random.uniform(key, shape, dtype, -(fan_in**-0.5), fan_in**-0.5)

    return init


def dense(x: Array, features: int, name: str) -> Array:
    """Apply a fully connected layer with Torch's initial values: x (B, N) -> (B, features)."""
    init = torch_init(x.shape[-1])
    return nn.Dense(features, kernel_init=init, bias_init=init, name=name)(x)


class Stream(nn.Module):
    """Features (B, N) -> hidden layers -> (B, outputs)."""

    hidden: tuple[int, ...]
    outputs: int

    @nn.compact
    def __call__(self, x: Array) -> Array:
        for i, width in enumerate(self.hidden):
            x = nn.relu(dense(x, width, name=f"hidden{i}"))
        return dense(x, self.outputs, name="out")


class Dueling(nn.Module):
    """Features (B, N) -> Q (B, actions) = value + advantage - mean advantage.

    Without the mean, a constant could move between value and advantages and leave Q unchanged.
    """

    hidden: tuple[int, ...]
    actions: int

    @nn.compact
    def __call__(self, x: Array) -> Array:
        value = Stream(self.hidden, 1, name="value")(x)
        advantage = Stream(self.hidden, self.actions, name="advantage")(x)
        return value + advantage - advantage.mean(axis=-1, keepdims=True)


class DQN(nn.Module):
    """x (B, H, W, C), or (B, N) without convolutions -> Q (B, actions).

    Frames of dtype uint8 are scaled from 0..255 to 0..1 here, so that a replay memory can store bytes; floats are not
    scaled. There is no randomness, and `train` has no effect.
    """

    cfg: Config

    @nn.compact
    def __call__(self, x: Array, *, train: bool) -> Array:
        cfg = self.cfg
        if x.dtype == jnp.uint8:
            x = x * (1 / 255)  # a weakly typed float: the parameters decide the precision
        if cfg.channels:
            require_images(x, "dqn", smallest_frame(cfg.kernels, cfg.strides))
        for i, (features, kernel, stride) in enumerate(zip(cfg.channels, cfg.kernels, cfg.strides, strict=True)):
            init = torch_init(kernel**2 * x.shape[-1])
            x = Conv(features, kernel, stride, "VALID", kernel_init=init, bias_init=init, name=f"conv{i}")(x)
            x = nn.relu(x)
        head = Dueling if cfg.dueling else Stream
        return head(cfg.hidden, cfg.actions, name="head")(flatten(x))


def smallest_frame(kernels: tuple[int, ...], strides: tuple[int, ...]) -> int:
    """Return the height of the smallest frame that leaves one pixel after the convolutions."""
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
FROM_PIXELS = "Q-learning with a convolutional network and experience replay learns games from the screen alone."
TARGET = "A target network, copied only now and then, stabilizes Q-learning enough for 49 games with one recipe."
SMALL = "Atari games on a 10 x 10 grid need a network so small that experiments can be repeated many times."
FRAMES = {"x": ((84, 84, 4), jnp.uint8)}


INITIAL = (
    "The paper gives none: Torch's default, weights and biases uniform within 1 / sqrt(fan-in), as in the code of the "
    "agents of 2015 and of MinAtar."
)


def _card(
    name: str,
    config: Config,
    *,
    inputs: Inputs,
    params: int,
    flops: int,
    differences: str = "",
) -> Card:
    if name == "dqn_2013":
        year, paper, idea = 2013, PLAYING, FROM_PIXELS
        parents = {"alexnet": "convolutions with rectified linear units, on raw pixels"}
    elif name == "dqn_minatar":
        year, paper, idea = 2019, MINATAR, SMALL
        parents = {"dqn_nature": "the agent, on a small grid"}
    else:
        year, paper, idea = 2015, HUMAN_LEVEL, TARGET
        parents = {"dqn_2013": "Q-learning from replayed experience"}
    return Card(
        name=name,
        family="dqn",
        year=year,
        paper=paper,
        idea=idea,
        module=DQN,
        config=config,
        inputs=inputs,
        output=(config.actions,),
        params=params,
        flops=flops,
        differences=differences,
        initial_values=INITIAL,
        parents=parents,
    )


CARDS = [
    _card(
        "dqn_2013",
        Config(channels=(16, 32), kernels=(8, 4), strides=(4, 2), hidden=(256,)),
        inputs=FRAMES,
        params=677_172,
        flops=5_933_056,
    ),
    _card(
        "dqn_mlp",
        Config(hidden=(120, 84), actions=2),
        inputs={"x": ((4,), jnp.float32)},
        params=10_934,
        flops=21_456,
        differences="Not in the paper: fully connected layers for states of few numbers, with the size of CleanRL's "
        "widely used agent for CartPole.",
    ),
    _card(
        "dqn_nature",
        Config(channels=(32, 64, 64), kernels=(8, 4, 3), strides=(4, 2, 1)),
        inputs=FRAMES,
        params=1_686_180,
        flops=18_690_048,
    ),
    _card(
        "dqn_minatar",
        Config(channels=(16,), kernels=(3,), strides=(1,), hidden=(128,), actions=6),
        inputs=image(10, 10, 4),
        params=132_566,
        flops=337_408,
    ),
]
