"""Experiment: the one schema that a config file fills in and the command line overrides."""

import dataclasses
from typing import Annotated, Any, Literal

import tyro

AUGMENTATIONS = ("shift", "pad_crop", "crop", "resized_crop", "flip", "cutout", "mixup", "cutmix")


@dataclasses.dataclass(frozen=True)
class Model:
    """Which architecture, by the name on its card, and the fields of its Config that are changed."""

    name: str
    """Name on the card; `zoo list` shows them all."""
    fields: dict[str, Any] = dataclasses.field(default_factory=dict)
    """Fields of the model's Config that differ from the card (number of classes comes from the data)."""


@dataclasses.dataclass(frozen=True)
class Data:
    """Which examples, and how they reach the device."""

    name: str
    """`digits` (embedded), a TFDS name such as `mnist` or `cifar10`, or `folder:PATH`; `zoo data` lists them."""
    batch: int = 128
    """Examples per step, over all devices."""
    image_size: int | None = None
    """Height and width in pixels that images are brought to; None keeps those of the set."""
    fit: Literal["resize", "pad", "crop"] = "resize"
    """How `image_size` is reached: `resize` (bilinear, both sides), `pad` with the background (zeros) on all sides,
    or `crop`: the shorter side resized to it, then the centre."""
    augment: tuple[str, ...] = ()
    """Applied on the device in this order, training only, written name or name_strength:
    shift_2 (pixels; pad_crop_2 is the same by another name), flip, cutout_8 (pixels), mixup_0.2 (alpha),
    cutmix_1 (alpha); and two that change the size, for which evaluation takes the centre: crop_224 (a random square
    of so many pixels) and resized_crop_224 (a random box of 8 to 100 % of the area, resized to that square)."""
    normalize: bool = True
    """Subtract the training set's mean and divide by its standard deviation, channel by channel."""
    validation: float = 0.1
    """Share of the training split that is held out for validation (0 to below 1; 0: report test only)."""
    split_seed: int = 0
    """Seed of that cut; not the run's seed, so that runs with several seeds validate on the same examples."""
    placement: Literal["auto", "device", "stream"] = "auto"
    """`device`: the whole set lives there; `stream`: read while training; `auto`: by size."""
    workers: int = 2
    """Reader processes when streaming (0: read in this process)."""


@dataclasses.dataclass(frozen=True)
class Optim:
    """The algorithm: update rule, schedule, and the regularizers that act on updates."""

    name: Literal["sgd", "momentum", "nesterov", "adagrad", "adadelta", "rmsprop", "adam", "adamw"] = "adam"
    """Update rule, by optax."""
    lr: float = 1e-3
    """Peak learning rate."""
    momentum: float = 0.9
    """For momentum and nesterov."""
    b1: float = 0.9
    """adam, adamw: decay of the first moment."""
    b2: float = 0.999
    """adam, adamw: decay of the second moment."""
    weight_decay: float = 0.0
    """adamw: decoupled, multiplied by the learning rate; all others: added to the gradient (L2).
    Biases and the scales and shifts of normalizations are left alone."""
    schedule: Literal["constant", "steps", "cosine", "one_cycle", "inverse_sqrt"] = "constant"
    """How the learning rate moves after the warm-up."""
    warmup_steps: int = 0
    """Linear rise from zero to `lr` over this many steps."""
    decay_at: tuple[int, ...] = ()
    """schedule=steps: the steps at which the rate is multiplied by `decay_factor`."""
    decay_factor: float = 0.1
    """schedule=steps: see `decay_at`."""
    clip_norm: float | None = None
    """Rescale gradients whose global norm exceeds this."""
    accumulate: int = 1
    """Average the gradients of this many steps before one update (learning rate then moves once per update)."""
    ema: float = 0.0
    """Decay of an exponential moving average of the weights, which is then what gets evaluated (0: none)."""


@dataclasses.dataclass(frozen=True)
class Experiment:
    """Everything that shapes one run. `zoo train NAME --part.field VALUE` overrides any field."""

    model: Annotated[Model, tyro.conf.Suppress]
    data: Data
    optim: Optim = Optim()
    steps: int = 1_000
    """Updates of the parameters (batches drawn)."""
    eval_every_steps: int = 100
    """Validation and checkpoint at every multiple of this."""
    task: Literal["classify"] = "classify"
    """How data, model, loss and algorithm are joined."""
    loss: Literal["cross_entropy", "mse"] = "cross_entropy"
    """cross_entropy on logits; mse of logits against the one-hot label."""
    label_smoothing: float = 0.0
    """Share of the label's probability spread evenly over all classes (0 to below 1)."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """Arithmetic of the forward and backward pass; parameters and updates stay float32."""
    shard: Literal["data", "fsdp"] = "data"
    """On several devices: parameters copied to each, or cut across them (fsdp). The batch is always cut."""
    seed: int = 0
    """Fixes initial weights, batches, augmentation and dropout."""
    smoke: Annotated[dict[str, Any], tyro.conf.Suppress] = dataclasses.field(default_factory=dict)
    """Overrides, nested like this schema, with which the tests run this config in seconds."""
