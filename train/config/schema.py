"""Experiment: the one schema that a config file fills in and the command line overrides."""

import dataclasses
from typing import Annotated, Any, Literal

import tyro

from train.config.data import Data, Scenes, Text, World, is_scenes, of_name
from train.config.losses import loss_type
from train.config.ranges import (
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
    schedule: Literal["constant", "steps", "linear", "cosine", "exponential", "one_cycle", "inverse_sqrt"] = "constant"
    """Schedule of the learning rate after the warm-up; linear and cosine fall to `final_lr`, by default to 0."""
    warmup_steps: int = 0
    """Linear rise from zero to `lr` over this many steps."""
    final_lr: float = 0.0
    """schedule=linear, cosine and exponential: the learning rate at the last step."""
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
    """cross_entropy of the logits; mse between outputs and the one-hot label, mse_signs and 1 or
    -1; hinge: the label's logit should exceed
    every other one by 1."""
    label_smoothing: Annotated[float, SHARE] = 0.0
    """Share of the label's probability spread evenly over all classes (0 to below 1)."""
    class_weights: Annotated[Literal["balanced"] | tuple[float, ...] | None, WEIGHTS] = None
    """Weight of each class in the training loss, whose mean divides by the sum of the weights: one number for each
    class, in their order, or `balanced`, which is examples / (classes * examples of the class) in the training split.
    The losses of validation and test are not weighted."""
    initial: str = ""
    """How the network's kernels start: empty, as its card says; `lecun`, `glorot` or `he`: normal, by the number of
    their inputs; normal_0.01 (deviation) or uniform_0.3 (bound). Other parameters start as the card says."""


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
class Segment:
    """Tell the class of each pixel of an image."""

    name: Literal["segment"] = "segment"
    class_weights: Annotated[Literal["balanced"] | tuple[float, ...] | None, WEIGHTS] = None
    """How much the pixels of each class count in the training loss: one number for each class, in their order, or
    `balanced`, so that every class counts as much as any other. None: all pixels count alike. The losses of validation
    and test are not weighted."""


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
    newest: bool = False
    """Learn from the newest `data.batch` transitions, each once, in place of a random draw. With a batch of
    `train_every` transitions every one is learned from once, so that nothing is replayed."""
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
    data: tyro.conf.AvoidSubcommands[Data | Text | World | Scenes]
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
    (the encoder of a SimCLR run counts as that network by itself). Its tokenizer is used too. Several seeds may start
    from a run of these seeds, each from its own. Or start from published weights: a safetensors or npz file, a folder,
    hf://owner/name, or a name such as resnet50 that `zoo list --pretrained` shows (with `--data.tokenizer` for
    text)."""
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
    budget: str = ""
    """What the number of steps is chosen by, in words, where that makes runs comparable: "until validation stops
    rising". Runs of another budget are not compared on the page. Empty: what the number of steps says."""
    smoke: Annotated[dict[str, Any], tyro.conf.Suppress] = dataclasses.field(default_factory=dict)
    """Overrides, nested like this schema, with which the tests run this config in seconds."""

    def __post_init__(self) -> None:
        if type(self.data) is Data and is_scenes(self.data.name):
            object.__setattr__(self, "data", of_name(self.data, self.data.name))
