"""Experiment: the one schema that a config file fills in and the command line overrides."""

import dataclasses
from typing import Annotated, Any, ClassVar, Literal

import tyro

from train.config.losses import loss_type
from train.config.ranges import (
    ALL_FINITE,
    ALL_POSITIVE,
    BELOW_2_32,
    COUNT,
    FRACTION,
    NOT_NEGATIVE,
    POSITIVE,
    SHARE,
    WEIGHTS,
    Range,
)
from train.config.ways import TaskConfig, task_type

AUGMENTATIONS = (
    "shift",
    "pad_crop",
    "crop",
    "resized_crop",
    "flip",
    "cutout",
    "mixup",
    "cutmix",
    "color",
    "grey",
    "blur",
)


@dataclasses.dataclass(frozen=True)
class Model:
    """The architecture: the name on its card, and the fields of its Config that are changed."""

    name: str
    """Name on the card; `zoo list` shows them all."""
    fields: dict[str, Any] = dataclasses.field(default_factory=dict)
    """Fields of the model's Config that differ from the card. The number of classes comes from the data."""


@dataclasses.dataclass(frozen=True)
class Data:
    """The examples, and how they reach the device."""

    KIND: ClassVar[str] = "a set of images"

    name: str
    """`digits` (embedded), a TFDS name such as `mnist` or `cifar10`, `folder:PATH` (PATH/CLASS/*.png), `npz:FILE`
    (arrays x and y), `csv:FILE` (columns file and label, or label and pixels) or `datasets:owner/name` (Hugging
    Face's); `zoo data` lists them."""
    batch: Annotated[int, COUNT] = 128
    """Examples per step, over all devices."""
    image_size: Annotated[int | None, COUNT] = None
    """Resize images to this height and width in pixels; None keeps the size of the set."""
    fit: Literal["resize", "pad", "crop"] = "resize"
    """How images are brought to `image_size`: `resize` (bilinear, both sides), `pad` with zeros on all sides, or `crop`
    (resize the shorter side, then take the centre)."""
    augment: tuple[str, ...] = ()
    """Augmentations, applied on the device in this order and in training only. Each is written name or name_strength:
    shift_2 (pixels; pad_crop_2 is another name for it), flip, cutout_8 (pixels), mixup_0.2 (alpha), cutmix_1 (alpha),
    color_0.5 (strength of the jitter of brightness, contrast, saturation and hue, in 80 % of the images), grey_0.2 and
    blur_0.5 (share of the images). Two change the size, and evaluation takes the centre instead: crop_224 (a random
    square of 224 pixels) and resized_crop_224 (a random box of 8 to 100 % of the area, resized to that square)."""
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
    content, so that adding or renaming one moves no other; or by `position`, as before this field. Embedded and
    TFDS sets are always cut by position: they never change."""


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


Rule = Literal[
    "sgd",
    "momentum",
    "nesterov",
    "adagrad",
    "adadelta",
    "rmsprop",
    "rmsprop_graves",
    "adam",
    "adamw",
    "lars",
    "lamb",
    "lion",
    "muon",
]
"""The update rules, by name."""


@dataclasses.dataclass(frozen=True)
class Optim:
    """The optimizer: update rule, schedule, and the regularizers that act on updates."""

    name: Rule = "adam"
    """Update rule, as implemented by Optax; see `zoo list --optimizers` and `zoo show adam`."""
    lr: float = 1e-3
    """Peak learning rate."""
    momentum: float | None = None
    """momentum, nesterov, rmsprop_graves, lars, muon: decay of the velocity. None, here and for the constants that
    follow, uses the value on the rule's card."""
    b1: float | None = None
    """adam, adamw, lamb, lion: decay of the first moment."""
    b2: float | None = None
    """adam, adamw, lamb, lion: decay of the second moment."""
    decay: float | None = None
    """rmsprop, rmsprop_graves, adadelta: decay of the averages of the gradient and of its square."""
    eps: float | None = None
    """adagrad, rmsprop, rmsprop_graves, adadelta, adam, adamw, lamb: keeps the denominator from zero."""
    accumulator: float | None = None
    """adagrad: the sum of squared gradients before the first step."""
    eps_in_root: bool = True
    """rmsprop_graves: add `eps` under the root, as Graves and DQN do, or outside of it, as PyTorch does. No other rule
    has the choice."""
    trust: float | None = None
    """lars: trust coefficient. A matrix's rate is multiplied by this and by its norm over its gradient's norm."""
    weight_decay: float = 0.0
    """adamw, lamb, lion, muon: decoupled, multiplied by the learning rate; all others: added to the gradient (L2).
    All matrices decay, embeddings and tables of positions too; biases, class tokens and the scales and shifts of
    normalizations do not."""
    schedule: Literal["constant", "steps", "cosine", "exponential", "one_cycle", "inverse_sqrt"] = "constant"
    """Schedule of the learning rate after the warm-up."""
    warmup_steps: int = 0
    """Linear rise from zero to `lr` over this many steps."""
    final_lr: float = 0.0
    """schedule=cosine and exponential: the learning rate at the last step."""
    decay_at: tuple[int, ...] = ()
    """schedule=steps: the steps at which the rate is multiplied by `decay_factor`."""
    decay_factor: float = 0.1
    """schedule=steps: see `decay_at`."""
    clip_norm: float | None = None
    """Rescale gradients whose global norm exceeds this; None never does."""
    accumulate: int = 1
    """Make one update of this many steps, with the gradient of the mean loss over all their batches, as if those were
    one. The schedule then counts updates. Batch statistics, and the negatives of SimCLR, stay those of each step."""
    ema: float = 0.0
    """Decay of an exponential moving average of the weights and batch statistics, which is then evaluated in their
    place. 0: no average."""
    freeze: tuple[str, ...] = ()
    """Freeze the parameters whose path matches one of these shell patterns, such as `embed*` or `block[0-3]/*`."""
    rates: tuple[str, ...] = ()
    """Own learning rates, PATTERN=FACTOR: parameters whose path matches learn at FACTOR times the schedule's rate. The
    first pattern that matches counts."""


@dataclasses.dataclass(frozen=True)
class Classify:
    """Classify images or sentences."""

    name: Literal["classify"] = "classify"
    loss: Annotated[str, tyro.conf.arg(constructor_factory=loss_type)] = "cross_entropy"
    """cross_entropy of the logits; mse between logits and the one-hot label; hinge: the label's logit should exceed
    every other one by 1."""
    label_smoothing: Annotated[float, SHARE] = 0.0
    """Share of the label's probability spread evenly over all classes (0 to below 1)."""
    class_weights: Annotated[Literal["balanced"] | tuple[float, ...] | None, WEIGHTS] = None
    """Weight of each class in the training loss, whose mean divides by the sum of the weights: one number for each
    class, in their order, or `balanced`, which is examples / (classes * examples of the class) in the training split.
    The losses of validation and test are not weighted."""


@dataclasses.dataclass(frozen=True)
class Language:
    """Predict each token of a text from those before it."""

    name: Literal["language"] = "language"


@dataclasses.dataclass(frozen=True)
class Translate:
    """Translate a sentence token by token, given the true tokens before each one (teacher forcing)."""

    name: Literal["translate"] = "translate"
    label_smoothing: Annotated[float, SHARE] = 0.0
    """Share of the right token's probability spread evenly over the vocabulary (0 to below 1), in training only."""
    beams: Annotated[int, COUNT] = 1
    """Beam width when the test split is translated for BLEU. 1 is greedy."""
    length_penalty: float = 0.6
    """alpha of Wu et al. 2016, eq. 14: larger prefers longer translations. Used with beams > 1."""
    bleu_tokenizer: Literal["13a", "intl", "zh", "char", "none"] | None = None
    """How sacreBLEU cuts sentences into the words that BLEU counts. None: by the target language, zh for Chinese, char
    for Japanese and Korean, 13a for every other and where the data set does not name its languages."""


@dataclasses.dataclass(frozen=True)
class Masked:
    """Predict hidden tokens of a passage, and whether its second half follows the first (BERT's pre-training)."""

    name: Literal["masked"] = "masked"
    share: Annotated[float, SHARE] = 0.15
    """Share of the tokens that are predicted. 80 % of them are hidden, 10 % replaced, 10 % left unchanged."""
    next_sentence: bool = True
    """Whether half of the passages get the second half of another one, and the network has to tell which."""
    left_to_right: bool = False
    """Predict every token from those before it instead: the baseline "LTR" of Devlin et al. 2018, Table 5. The model
    needs `causal`."""


@dataclasses.dataclass(frozen=True)
class Contrast:
    """Tell the two views of each image from the views of all others in the batch, without labels (SimCLR)."""

    name: Literal["contrast"] = "contrast"
    temperature: Annotated[float, POSITIVE] = 0.1
    """Divides the cosine similarities of the projections (above 0). Smaller values weight hard negatives more."""


@dataclasses.dataclass(frozen=True)
class Adversarial:
    """Generate images: a generator learns to deceive a discriminator that tells real images from generated ones."""

    name: Literal["adversarial"] = "adversarial"
    loss: Literal["minimax", "non_saturating", "hinge", "wasserstein"] = "non_saturating"
    """Losses of the two networks; wasserstein has the gradient penalty."""
    critic_steps: Annotated[int, COUNT] = 1
    """Updates of the discriminator, each on its own `data.batch` images, for one update of the generator."""
    penalty: Annotated[float, POSITIVE] = 10.0
    """wasserstein: weight of the gradient penalty."""
    gen_lr: Annotated[float | None, Range("be a number above 0, or None for optim.lr", POSITIVE.holds)] = None
    """Peak learning rate of the generator; None uses `optim.lr`, as the discriminator does."""
    conditional: bool = False
    """Whether both networks are conditioned on the label."""


@dataclasses.dataclass(frozen=True)
class QLearning:
    """Learn the value of each action from replayed experience (DQN)."""

    name: Literal["q_learning"] = "q_learning"
    discount: Annotated[float, FRACTION] = 0.99
    """Discount factor gamma."""
    train_every: Annotated[int, COUNT] = 4
    """Environment steps, over all environments, between two updates."""
    target_every: Annotated[int, COUNT] = 10_000
    """Updates between two synchronizations of the target network."""
    replay: Annotated[int, COUNT] = 1_000_000
    """Capacity of the replay memory in transitions; the oldest are overwritten."""
    replay_start: Annotated[int, COUNT] = 50_000
    """Transitions of uniformly random actions in the memory before learning begins."""
    priority: Annotated[float, FRACTION] = 0.0
    """alpha of prioritized replay (Schaul et al. 2015, who use 0.6); 0 samples uniformly."""
    priority_beta: Annotated[float, FRACTION] = 0.4
    """beta of prioritized replay at the first step: how far importance weights correct its bias. It rises to 1."""
    double: bool = False
    """Double Q-learning (van Hasselt et al. 2015): the network selects an action, the target network values it."""
    loss: Literal["huber", "squared"] = "huber"
    """Loss of the temporal-difference error. The gradient of huber is the error clipped to -1..1, as in the papers."""
    clip_rewards: bool = False
    """Learn from rewards clipped to -1..1. Reported returns are not clipped."""
    epsilon: tuple[float, float] = (1.0, 0.1)
    """Probability of a random action at first and at last."""
    epsilon_steps: Annotated[int, COUNT] = 1_000_000
    """Environment steps, over all environments, in which epsilon falls linearly from the first value to the last."""
    eval_epsilon: float = 0.05
    """Probability of a random action when the policy is evaluated."""
    eval_episodes: Annotated[int, COUNT] = 100
    """Episodes of an evaluation, each in a fresh environment."""


@dataclasses.dataclass(frozen=True)
class Experiment:
    """Everything that shapes one run. `zoo train NAME --part.field VALUE` overrides any field."""

    model: Annotated[Model, tyro.conf.Suppress]
    data: tyro.conf.AvoidSubcommands[Data | Text | World]
    optim: Optim = Optim()
    steps: Annotated[int, COUNT] = 1_000
    """Training steps: one batch each."""
    eval_every_steps: Annotated[int, COUNT] = 100
    """Validate and save a checkpoint every so many steps."""
    task: Annotated[TaskConfig, tyro.conf.AvoidSubcommands, tyro.conf.arg(constructor_factory=task_type)] = Classify()
    """The way of learning: what is predicted from what, and with which loss."""
    patience: Annotated[int | None, COUNT] = None
    """Early stopping: stop after so many evaluations without improvement on validation and keep the best State, which
    is then tested and used by all commands. Each replica stops by itself. None trains to the last step and keeps
    that."""
    init_from: str | None = None
    """Start from the parameters and batch statistics of another run, given by its folder, where name and shape agree
    (the encoder of a SimCLR run counts as that network by itself). Its tokenizer is used too. Or start from published
    weights: a safetensors or npz file, a folder, or hf://owner/name (with `--data.tokenizer` for text)."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """Precision of the forward and backward pass; parameters and updates stay float32."""
    shard: Literal["data", "fsdp"] = "data"
    """On several devices: copy the parameters to each (data) or shard them (fsdp). The batch is always sharded."""
    seed: Annotated[int, NOT_NEGATIVE, BELOW_2_32] = 0
    """Seed of initial weights, batches, augmentation and dropout."""
    seeds: Annotated[int, COUNT] = 1
    """Train the seeds `seed`, `seed` + 1, … together, in one program or in one for each core of a CPU. Each result
    equals training that seed alone."""
    sweep: tuple[str, ...] = ()
    """FIELD=VALUE,VALUE,… such as optim.lr=1e-4,1e-3: train `seeds` replicas with each value, or with every
    combination of several fields. Only numbers that change no shapes can be swept."""
    folds: Annotated[int | None, Range("be at least 2", lambda folds: folds >= 2)] = None
    """k-fold cross-validation of an image classifier: cut the training split into so many stratified folds, by
    `data.split_seed`, and train one replica for each fold, which validates on that fold and trains on the others."""
    smoke: Annotated[dict[str, Any], tyro.conf.Suppress] = dataclasses.field(default_factory=dict)
    """Overrides, nested like this schema, with which the tests run this config in seconds."""
