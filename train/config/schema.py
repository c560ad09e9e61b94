"""Experiment: the one schema that a config file fills in and the command line overrides."""

import dataclasses
from typing import Annotated, Any, Literal

import tyro

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
    cutmix_1 (alpha), color_0.5 (strength of a jitter of brightness, contrast, saturation and hue in 80 % of the
    images), grey_0.2, blur_0.5 (share of the images); and two that change the size, for which evaluation takes the
    centre: crop_224 (a random square of so many pixels) and resized_crop_224 (a random box of 8 to 100 % of the area,
    resized to that square)."""
    normalize: bool = True
    """Subtract the training set's mean and divide by its standard deviation, channel by channel. Of no effect where a
    pair learns to make images: their pixels are brought to the model's own range."""
    labels: float = 1.0
    """Share of the training examples that are used, as if only those had labels (above 0 to 1), drawn by `split_seed`
    from each class alike. Validation and test, mean and deviation stay those of the whole set."""
    validation: float = 0.1
    """Share of the training split that is held out for validation (0 to below 1; 0: report test only)."""
    split_seed: int = 0
    """Seed of that cut; not the run's seed, so that runs with several seeds validate on the same examples."""
    fold: tuple[int, int] | None = None
    """K N: validation is part K (from 0) of the N folds that `--folds N` trains, instead of the share `validation`."""
    placement: Literal["auto", "device", "stream"] = "auto"
    """`device`: the whole set lives there; `stream`: read while training; `auto`: by size."""
    workers: int = 2
    """Reader processes when streaming (0: read in this process)."""


@dataclasses.dataclass(frozen=True)
class Text:
    """Which text, how it is cut into tokens, and how those reach the device."""

    name: str
    """`python_docs`, `dates/en-ko` (embedded), a TFDS name such as `tiny_shakespeare`, `text:PATH` (raw text) or
    `tsv:PATH` (two columns: source and target, or sentence and label); `zoo data` lists them."""
    batch: int = 32
    """Examples per step, over all devices."""
    tokenizer: str = "bpe"
    """`char`, `bpe` (byte level), `wordpiece`, each learned from the training split; or the PATH of a published one:
    tokenizer.json, vocab.txt, or the folder of vocab.json and merges.txt."""
    vocab: int = 8_000
    """bpe, wordpiece: tokens to learn at most, special ones included; char: characters to keep, most frequent first."""
    lower: bool = False
    """Lower-case everything first."""
    swap: bool = False
    """Translate from the second language or column into the first."""
    length: int = 64
    """Tokens per example: the window of a language model, else the longest sentence (special tokens included)."""
    buckets: tuple[int, ...] = ()
    """Lengths below `length` at which sentences are batched together with their like, which saves padding."""
    labels: float = 1.0
    """Sentences with a class: share of the training examples that are used, as if only those had labels (above 0 to 1),
    drawn by `split_seed` from each class alike. The tokenizer, validation and test stay those of the whole set."""
    validation: float = 0.1
    """Share of the training split held out for validation, where the set brings none (0: report test only)."""
    split_seed: int = 0
    """Seed of that cut; not the run's seed, so that runs with several seeds validate on the same examples."""


@dataclasses.dataclass(frozen=True)
class World:
    """Which environment, and how many of it are lived in side by side."""

    name: str
    """`CartPole-v1`, `Acrobot-v1`, `MountainCar-v0`, `minatar/breakout`, `atari/pong`; near names are offered."""
    batch: int = 32
    """Transitions per update, drawn from the replay memory."""
    environments: int = 1
    """Copies of the environment that one network acts in, each with its own luck."""
    time_limit: int | None = None
    """Steps after which an episode is cut off; None takes the environment's own."""
    sticky: float | None = None
    """Chance that an action is ignored and the last one repeated; None takes the environment's own (minatar: 0.1,
    atari: 0.25)."""


@dataclasses.dataclass(frozen=True)
class Optim:
    """The algorithm: update rule, schedule, and the regularizers that act on updates."""

    name: Literal[
        *("sgd", "momentum", "nesterov", "adagrad", "adadelta", "rmsprop", "rmsprop_graves", "adam", "adamw"),
        *("lars", "lamb", "lion", "muon"),
    ] = "adam"
    """Update rule, by optax: `zoo list --optimizers`, `zoo show adam`."""
    lr: float = 1e-3
    """Peak learning rate."""
    momentum: float | None = None
    """momentum, nesterov, rmsprop_graves, lars, muon: what is kept of the last step. None, here and for the constants
    that follow: as on the rule's card."""
    b1: float | None = None
    """adam, adamw, lamb, lion: decay of the first moment."""
    b2: float | None = None
    """adam, adamw, lamb, lion: decay of the second moment."""
    decay: float | None = None
    """rmsprop, rmsprop_graves, adadelta: decay of the averages of the gradient and of its square."""
    eps: float | None = None
    """adagrad, rmsprop, rmsprop_graves, adadelta, adam, adamw, lamb: keeps the divisor from zero."""
    eps_in_root: bool = True
    """rmsprop_graves: `eps` under the root as Graves and DQN have it, or outside, as PyTorch does."""
    trust: float | None = None
    """lars: the rate of each kernel is times this, times its own norm over its gradient's."""
    weight_decay: float = 0.0
    """adamw, lamb, lion, muon: decoupled, multiplied by the learning rate; all others: added to the gradient (L2).
    Biases and the scales and shifts of normalizations are left alone."""
    schedule: Literal["constant", "steps", "cosine", "one_cycle", "inverse_sqrt"] = "constant"
    """How the learning rate moves after the warm-up."""
    warmup_steps: int = 0
    """Linear rise from zero to `lr` over this many steps."""
    final_lr: float = 0.0
    """schedule=cosine: the learning rate that the last step comes down to."""
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
    freeze: tuple[str, ...] = ()
    """Shell patterns of parameter paths that do not learn, such as `embed*` or `block[0-3]/*`."""
    rates: tuple[str, ...] = ()
    """Own learning rates of parts, PATTERN=FACTOR: those whose path matches learn at FACTOR times the schedule's rate;
    the first pattern that matches counts."""


@dataclasses.dataclass(frozen=True)
class Classify:
    """Images or sentences to labels."""

    name: Literal["classify"] = "classify"
    loss: Literal["cross_entropy", "mse", "hinge"] = "cross_entropy"
    """cross_entropy on logits; mse of logits against the one-hot label; hinge: the margin of the label's logit over
    each other one should be 1."""
    label_smoothing: float = 0.0
    """Share of the label's probability spread evenly over all classes (0 to below 1)."""


@dataclasses.dataclass(frozen=True)
class Language:
    """Each token of a text from those before it."""

    name: Literal["language"] = "language"


@dataclasses.dataclass(frozen=True)
class Translate:
    """A target sentence from its source, token by token, the true ones before it given (teacher forcing)."""

    name: Literal["translate"] = "translate"
    label_smoothing: float = 0.0
    """Share of the right token's probability spread evenly over the vocabulary (0 to below 1), in training only."""
    beams: int = 1
    """Hypotheses kept when the test split is translated for BLEU (1: greedy)."""
    length_penalty: float = 0.6
    """alpha of Wu et al. 2016, eq. 14: larger prefers longer translations; only beams > 1 use it."""


@dataclasses.dataclass(frozen=True)
class Masked:
    """Hidden tokens of a passage, and whether its second half follows the first (BERT's pre-training)."""

    name: Literal["masked"] = "masked"
    share: float = 0.15
    """Of the tokens that are to be guessed; of these 80 % are hidden, 10 % replaced, 10 % left as they are."""
    next_sentence: bool = True
    """Whether half of the passages get another's second half, and the network has to say which."""
    left_to_right: bool = False
    """Whether instead every token is guessed from those before it, for a network with `causal` (Devlin et al. 2018,
    Table 5, "LTR"), which BERT is compared with."""


@dataclasses.dataclass(frozen=True)
class Contrast:
    """Two views of each image against the views of all others in the batch, without labels (SimCLR)."""

    name: Literal["contrast"] = "contrast"
    temperature: float = 0.1
    """Divides the cosine similarities of the projections (above 0); smaller looks at the hardest others more."""


@dataclasses.dataclass(frozen=True)
class Adversarial:
    """Images from noise: a generator learns to deceive a discriminator that learns to tell images from its work."""

    name: Literal["adversarial"] = "adversarial"
    loss: Literal["minimax", "non_saturating", "hinge", "wasserstein"] = "non_saturating"
    """What the two descend; wasserstein comes with the gradient penalty."""
    critic_steps: int = 1
    """Updates of the discriminator, each on its own `data.batch` images, before one of the generator."""
    penalty: float = 10.0
    """wasserstein: weight of the gradient penalty."""
    gen_lr: float | None = None
    """Peak learning rate of the generator; None: `optim.lr`, as the discriminator."""
    conditional: bool = False
    """Whether both networks are told the label."""


@dataclasses.dataclass(frozen=True)
class QLearning:
    """The return of each action, from replayed experience (DQN)."""

    name: Literal["q_learning"] = "q_learning"
    discount: float = 0.99
    """gamma: what a reward is worth one step later."""
    train_every: int = 4
    """Environment steps, over all environments, between two updates."""
    target_every: int = 10_000
    """Updates between two copies of the network into the target network."""
    replay: int = 1_000_000
    """Transitions that the replay memory holds; the oldest make way."""
    replay_start: int = 50_000
    """Transitions of uniformly random actions in it before learning begins."""
    priority: float = 0.0
    """alpha of prioritized replay (Schaul et al. 2015); 0 draws uniformly, they use 0.6."""
    priority_beta: float = 0.4
    """With `priority`: how much of its bias the weights undo at first; it rises to 1, all of it, by the end."""
    double: bool = False
    """The network chooses the next action, the target network values it (van Hasselt et al. 2015)."""
    loss: Literal["huber", "squared"] = "huber"
    """Of the temporal-difference error; the gradient of huber is the error clipped to -1..1, as in the papers."""
    clip_rewards: bool = False
    """Learn from rewards cut to -1..1 (what is reported is not cut)."""
    epsilon: tuple[float, float] = (1.0, 0.1)
    """Chance of a random action at first and at last."""
    epsilon_steps: int = 1_000_000
    """Environment steps, over all environments, in which it falls from the first to the last, along a line."""
    eval_epsilon: float = 0.05
    """Chance of a random action when the policy is evaluated."""
    eval_episodes: int = 100
    """Episodes of an evaluation, all in fresh environments."""


@dataclasses.dataclass(frozen=True)
class Experiment:
    """Everything that shapes one run. `zoo train NAME --part.field VALUE` overrides any field."""

    model: Annotated[Model, tyro.conf.Suppress]
    data: tyro.conf.AvoidSubcommands[Data | Text | World]
    optim: Optim = Optim()
    steps: int = 1_000
    """Updates of the parameters (batches drawn)."""
    eval_every_steps: int = 100
    """Validation and checkpoint at every multiple of this."""
    task: tyro.conf.AvoidSubcommands[Classify | Language | Translate | Masked | Contrast | Adversarial | QLearning] = (
        Classify()
    )
    """How data, model, loss and algorithm are joined."""
    patience: int | None = None
    """Early stopping: the run ends when so many evaluations in a row were no better on validation than the best one,
    and what it leaves, is tested and is used by all commands is the State of that best one. Each of several replicas
    for itself. None: the run goes to its last step and leaves that."""
    init_from: str | None = None
    """Folder of a run whose parameters and batch statistics to start from, wherever name and shape agree (those of a
    SimCLR run's encoder stand for the same network's alone); its tokenizer is taken too. Or published weights: a
    safetensors or npz file, a folder, or hf://owner/name (with `--data.tokenizer` for text)."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """Arithmetic of the forward and backward pass; parameters and updates stay float32."""
    shard: Literal["data", "fsdp"] = "data"
    """On several devices: parameters copied to each, or cut across them (fsdp). The batch is always cut."""
    seed: int = 0
    """Fixes initial weights, batches, augmentation and dropout."""
    seeds: int = 1
    """Replicas trained together, with the seeds `seed`, `seed` + 1, …; each is what that seed gives alone. They are one
    program, or one for each core of a CPU."""
    sweep: tuple[str, ...] = ()
    """FIELD=VALUE,VALUE,… such as optim.lr=1e-4,1e-3: replicas with each of the values, times `seeds`; of several
    fields, with every combination. What differs must be a number that changes no shapes."""
    folds: int | None = None
    """k-fold cross-validation of an image classifier: the training split is cut in so many parts, stratified, by
    `data.split_seed`, and of as many replicas each validates on another part and trains on the rest."""
    smoke: Annotated[dict[str, Any], tyro.conf.Suppress] = dataclasses.field(default_factory=dict)
    """Overrides, nested like this schema, with which the tests run this config in seconds."""
