"""The cards of algorithms: update rules, losses and activations, each with its paper.

`train.algorithms.optimizers` uses the constants on the card of an update rule unless the user sets others.
Notation: θ parameters, g the gradient at θ, η the learning rate, t the number of the update, from 1; products,
quotients and roots of vectors are elementwise.
"""

import dataclasses
from collections.abc import Mapping
from typing import Literal

from zoo.cards import Paper

Kind = Literal["optimizer", "loss", "activation"]


@dataclasses.dataclass(frozen=True)
class Algorithm:
    """The card of one algorithm."""

    name: str  # in configs and on the command line
    kind: Kind
    year: int
    paper: Paper
    idea: str  # one sentence: what was new
    formula: tuple[str, ...]
    constants: Mapping[str, float] = dataclasses.field(default_factory=dict)  # as published
    departs: str = ""  # how this implementation differs from the paper; empty where it does not


def _rule(
    name: str, year: int, paper: Paper, idea: str, formula: str, departs: str = "", **constants: float
) -> Algorithm:
    return Algorithm(name, "optimizer", year, paper, idea, tuple(formula.split("\n")), constants, departs)


def _loss(name: str, year: int, paper: Paper, idea: str, formula: str, departs: str = "") -> Algorithm:
    return Algorithm(name, "loss", year, paper, idea, tuple(formula.split("\n")), departs=departs)


def _activation(name: str, year: int, paper: Paper, idea: str, formula: str, departs: str = "") -> Algorithm:
    return Algorithm(name, "activation", year, paper, idea, (formula,), departs=departs)


OPTIMIZERS = (
    _rule(
        "sgd",
        1951,
        Paper("A stochastic approximation method", "H. Robbins, S. Monro", "Annals of Mathematical Statistics 22",
              "10.1214/aoms/1177729586"),
        "A noisy estimate of the slope is enough to find where it vanishes, if the steps shrink slowly enough.",
        "θ ← θ - η g",
        "The learning rate shrinks only as the schedule says; by default it stays.",
    ),
    _rule(
        "momentum",
        1964,
        Paper("Some methods of speeding up the convergence of iteration methods", "B. T. Polyak",
              "USSR Computational Mathematics and Mathematical Physics 4", "10.1016/0041-5553(64)90137-5"),
        "A heavy ball rolls on along directions that many gradients share.",
        "v ← μ v + g\nθ ← θ - η v",
        "The gradient is one minibatch's.",
        momentum=0.9,
    ),
    _rule(
        "nesterov",
        1983,
        Paper("A method of solving a convex programming problem with convergence rate O(1/k^2)", "Y. E. Nesterov",
              "Soviet Mathematics Doklady 27", "https://www.mathnet.ru/eng/dan46009"),
        "The gradient is taken where momentum is about to lead, which converges as fast as first-order methods can.",
        "v ← μ v + g\nθ ← θ - η (g + μ v)",
        "In the variables of Bengio et al. 2013 (arXiv 1212.0901), with one constant μ; a minibatch's gradient.",
        momentum=0.9,
    ),
    _rule(
        "adagrad",
        2011,
        Paper("Adaptive subgradient methods for online learning and stochastic optimization",
              "J. Duchi, E. Hazan, Y. Singer", "JMLR 12", "https://jmlr.org/papers/v12/duchi11a.html"),
        "Each parameter has a rate of its own, smaller the larger its gradients have been: rare features learn fast.",
        "s ← s + g², s = 0 at first\nθ ← θ - η g / √(s + ε)",
        "Their constant δ beside the root is here ε within it. Optax and TensorFlow start s at 0.1 "
        "(optim.accumulator), with which the rule is nearly plain SGD while gradients are small.",
        eps=1e-7,
        accumulator=0.0,
    ),
    _rule(
        "rmsprop",
        2012,
        Paper("Lecture 6.5: rmsprop, divide the gradient by a running average of its recent magnitude",
              "T. Tieleman, G. Hinton", "Coursera: Neural networks for machine learning",
              "https://www.cs.toronto.edu/~tijmen/csc321/slides/lecture_slides_lec6.pdf"),
        "The gradient is divided by its recent size, so that steps do not shrink for good.",
        "s ← 0.9 s + 0.1 g²\nθ ← θ - η g / √(s + ε)",
        "The lecture names no ε.",
        decay=0.9,
        eps=1e-8,
    ),
    _rule(
        "rmsprop_graves",
        2013,
        Paper("Generating sequences with recurrent neural networks", "A. Graves", "arXiv preprint", "1308.0850"),
        "The divisor is the gradient's deviation: its recent mean is taken off first.",
        "m ← ρ m + (1 - ρ) g\ns ← ρ s + (1 - ρ) g²\nd ← μ d + η g / √(s - m² + ε)\nθ ← θ - d",
        "One ρ for both averages, as everywhere. Agents have other constants, which are in their configs: "
        "atari_*_nature μ = 0 and ε = 0.01 / 32² (0.01 for sums over a batch of 32, which are means here); minatar_* "
        "μ = 0.95 and ε = 0.01 outside of the root.",
        decay=0.95,
        momentum=0.9,
        eps=1e-4,
    ),
    _rule(
        "adadelta",
        2012,
        Paper("ADADELTA: an adaptive learning rate method", "M. D. Zeiler", "arXiv preprint", "1212.5701"),
        "Steps are scaled by the recent size of steps, which gives them the units of the parameters.",
        "s ← ρ s + (1 - ρ) g²\nd = √(u + ε) / √(s + ε) · g\nu ← ρ u + (1 - ρ) d²\nθ ← θ - η d",
        "The paper has no η: set optim.lr to 1.",
        decay=0.95,
        eps=1e-6,
    ),
    _rule(
        "adam",
        2014,
        Paper("Adam: a method for stochastic optimization", "D. P. Kingma, J. Ba", "ICLR 2015", "1412.6980"),
        "Momentum and RMSprop together, both averages freed from their bias towards zero at the start.",
        "m ← β₁ m + (1 - β₁) g\nv ← β₂ v + (1 - β₂) g²\nθ ← θ - η (m / (1 - β₁ᵗ)) / (√(v / (1 - β₂ᵗ)) + ε)",
        b1=0.9,
        b2=0.999,
        eps=1e-8,
    ),
    _rule(
        "adamw",
        2017,
        Paper("Decoupled weight decay regularization", "I. Loshchilov, F. Hutter", "ICLR 2019", "1711.05101"),
        "Weights decay by themselves, not through a gradient that Adam would rescale.",
        "m, v as adam's\nθ ← θ - η ((m / (1 - β₁ᵗ)) / (√(v / (1 - β₂ᵗ)) + ε) + λ θ)",
        "λ is multiplied by the learning rate, and acts on matrices only.",
        b1=0.9,
        b2=0.999,
        eps=1e-8,
    ),
    _rule(
        "lars",
        2017,
        Paper("Large batch training of convolutional networks", "Y. You, I. Gitman, B. Ginsburg", "arXiv preprint",
              "1708.03888"),
        "Each layer's step is scaled to the size of its weights, so that batches of thousands can take large steps.",
        "g ← g + λ θ\nv ← μ v + η · trust · |θ| / |g| · g, of each matrix; the others without the quotient\nθ ← θ - v",
        "Weight decay is in the norm below as part of the gradient, not beside it.",
        momentum=0.9,
        trust=1e-3,
    ),
    _rule(
        "lamb",
        2019,
        Paper("Large batch optimization for deep learning: training BERT in 76 minutes",
              "Y. You, J. Li, S. Reddi, J. Hseu, S. Kumar, S. Bhojanapalli, X. Song, J. Demmel, K. Keutzer, C. Hsieh",
              "ICLR 2020", "1904.00962"),
        "Adam's step, scaled in each layer to the size of its weights.",
        "r = adam's step + λ θ\nθ ← θ - η |θ| / |r| · r",
        "λ acts on matrices only. The norm of the weights is taken as it is: the paper's function φ is the identity.",
        b1=0.9,
        b2=0.999,
        eps=1e-6,
    ),
    _rule(
        "lion",
        2023,
        Paper("Symbolic discovery of optimization algorithms",
              "X. Chen, C. Liang, D. Huang, E. Real, K. Wang, Y. Liu, H. Pham, X. Dong, T. Luong, C. Hsieh, Y. Lu, "
              "Q. V. Le", "NeurIPS 2023", "2302.06675"),
        "Found by a search over programs: only the sign of the momentum counts.",
        "c = β₁ m + (1 - β₁) g\nθ ← θ - η (sign(c) + λ θ)\nm ← β₂ m + (1 - β₂) g",
        "λ acts on matrices only.",
        b1=0.9,
        b2=0.99,
    ),
    _rule(
        "muon",
        2024,
        Paper("Muon: an optimizer for hidden layers in neural networks",
              "K. Jordan, Y. Jin, V. Boza, J. You, F. Cesista, L. Newhouse, J. Bernstein", "blog post",
              "https://kellerjordan.github.io/posts/muon/"),
        "The momentum of a matrix is made orthogonal, so that rare directions move as far as common ones.",
        "v ← μ v + (1 - μ) g\nX₀ = M / |M|, M = μ v / (1 - μᵗ⁺¹) + (1 - μ) g / (1 - μᵗ)\n"
        "Xᵢ₊₁ = a Xᵢ + (b XᵢXᵢᵀ + c (XᵢXᵢᵀ)²) Xᵢ, five times\nθ ← θ - η √max(1, outputs / inputs) X₅",
        "The authors' momentum is a sum, without the corrections for bias. As theirs, it takes hidden matrices only: "
        "embeddings, position tables, output layers (called head) and vectors learn by AdamW, here with Nesterov's "
        "momentum, at the same rate. The first convolution of an image net is a hidden matrix here. Matrices side by "
        "side in one (queries, keys and values; the gates of an LSTM) are made orthogonal as one. optim.weight_decay λ "
        "adds η λ θ to the step of every matrix.",
        momentum=0.95,
    ),
)  # fmt: skip

LOSSES = (
    _loss(
        "mse",
        1805,
        Paper("Gauss and the invention of least squares", "S. M. Stigler", "Annals of Statistics 9",
              "10.1214/aos/1176345451"),
        "Of all curves through measurements the best has the least squared errors (Legendre 1805, Gauss 1809).",
        "mean of (ŷ - y)²",
        "The mean over outputs, where the original sums.",
    ),
    _loss(
        "mse_signs",
        1989,
        Paper("Backpropagation applied to handwritten zip code recognition", "Y. LeCun, B. Boser, J. S. Denker, "
              "D. Henderson, R. E. Howard, W. Hubbard, L. D. Jackel", "Neural Computation 1(4)",
              "10.1162/neco.1989.1.4.541"),
        "Outputs that are tanh units learn to say yes with 1 and no with -1, both within their range.",
        "mean over k of (ŷₖ - tₖ)², tₖ = 1 for the class and -1 for the others",
    ),
    _loss(
        "cross_entropy",
        1990,
        Paper("Probabilistic interpretation of feedforward classification network outputs, with relationships to "
              "statistical pattern recognition", "J. S. Bridle", "Neurocomputing (NATO ASI Series 68)",
              "10.1007/978-3-642-76153-9_28"),
        "Outputs made probabilities by a softmax, learned by maximum likelihood of the categorical distribution.",
        "-Σₖ yₖ log softmax(logits)ₖ",
    ),
    _loss(
        "gaussian_nll",
        1994,
        Paper("Estimating the mean and variance of the target probability distribution", "D. A. Nix, A. S. Weigend",
              "ICNN 1994", "10.1109/ICNN.1994.374138"),
        "A network says how sure it is: it predicts the variance beside the mean, by maximum likelihood.",
        "½ Σ [log 2π + log σ² + (y - μ)² / σ²]",
    ),
    _loss(
        "hinge",
        1995,
        Paper("Support-vector networks", "C. Cortes, V. Vapnik", "Machine Learning 20", "10.1007/BF00994018"),
        "Only examples within the margin count: what is clearly right needs no more learning.",
        "Σ over k ≠ y of max(0, 1 - (logit_y - logitₖ))",
        "The form for several classes is Weston and Watkins's (1999).",
    ),
    _loss(
        "huber",
        1964,
        Paper("Robust estimation of a location parameter", "P. J. Huber", "Annals of Mathematical Statistics 35",
              "10.1214/aoms/1177703732"),
        "Squared for small errors, linear for large ones, so that outliers do not rule.",
        "½ e² where |e| ≤ 1, else |e| - ½",
    ),
    _loss(
        "nt_xent",
        2020,
        Paper("A simple framework for contrastive learning of visual representations",
              "T. Chen, S. Kornblith, M. Norouzi, G. Hinton", "ICML 2020", "2002.05709"),
        "Each view must pick the other view of its image from all views in the batch.",
        "-log [exp(sim(zᵢ, zⱼ) / τ) / Σ over k ≠ i of exp(sim(zᵢ, zₖ) / τ)]",
    ),
)  # fmt: skip

ACTIVATIONS = (
    _activation(
        "sigmoid",
        1986,
        Paper("Learning representations by back-propagating errors", "D. E. Rumelhart, G. E. Hinton, R. J. Williams",
              "Nature 323", "10.1038/323533a0"),
        "A threshold that has a slope, so that errors can be propagated through it.",
        "1 / (1 + e⁻ˣ)",
    ),
    _activation(
        "tanh",
        1998,
        Paper("Efficient backprop", "Y. LeCun, L. Bottou, G. B. Orr, K. Müller", "Neural networks: tricks of the trade",
              "10.1007/3-540-49430-8_2"),
        "Outputs centred on zero let the next layer learn faster than those of a sigmoid.",
        "(eˣ - e⁻ˣ) / (eˣ + e⁻ˣ)",
    ),
    _activation(
        "scaled_tanh",
        1998,
        Paper("Gradient-based learning applied to document recognition", "Y. LeCun, L. Bottou, Y. Bengio, P. Haffner",
              "Proceedings of the IEEE 86", "10.1109/5.726791"),
        "Scaled so that ±1, the targets, are where it bends most.",
        "1.7159 tanh(2/3 x)",
    ),
    _activation(
        "relu",
        2010,
        Paper("Rectified linear units improve restricted Boltzmann machines", "V. Nair, G. E. Hinton", "ICML 2010",
              "https://www.cs.toronto.edu/~fritz/absps/reluICML.pdf"),
        "A unit that is on has a slope of one, so deep networks keep their gradient and learn; the unit itself is "
        "older (Fukushima 1969, Jarrett et al. 2009).",
        "max(0, x)",
    ),
    _activation(
        "leaky_relu",
        2013,
        Paper("Rectifier nonlinearities improve neural network acoustic models", "A. L. Maas, A. Y. Hannun, A. Y. Ng",
              "ICML 2013", "https://ai.stanford.edu/~amaas/papers/relu_hybrid_icml2013_final.pdf"),
        "A small slope where the unit is off, so that it can come back.",
        "max(0.01 x, x)",
    ),
    _activation(
        "maxout",
        2013,
        Paper("Maxout networks", "I. J. Goodfellow, D. Warde-Farley, M. Mirza, A. Courville, Y. Bengio", "ICML 2013",
              "1302.4389"),
        "A unit learns its own activation: the largest of several linear functions.",
        "maxⱼ (wⱼ · x + bⱼ)",
        "A layer of its own rather than a function: zoo.gan's discriminator has it (pieces).",
    ),
    _activation(
        "elu",
        2015,
        Paper("Fast and accurate deep network learning by exponential linear units (ELUs)",
              "D. Clevert, T. Unterthiner, S. Hochreiter", "ICLR 2016", "1511.07289"),
        "Negative values pull the mean towards zero, and saturate, so that noise does not matter there.",
        "x where x > 0, else eˣ - 1",
    ),
    _activation(
        "gelu",
        2016,
        Paper("Gaussian error linear units (GELUs)", "D. Hendrycks, K. Gimpel", "arXiv preprint", "1606.08415"),
        "An input is weighted by how likely a normal variable is to be below it.",
        "x Φ(x)",
        "Exact; GPT has the paper's approximation by tanh.",
    ),
    _activation(
        "swish",
        2017,
        Paper("Searching for activation functions", "P. Ramachandran, B. Zoph, Q. V. Le", "arXiv preprint",
              "1710.05941"),
        "Found by a search over formulas: smooth, and not monotonic.",
        "x / (1 + e⁻ˣ)",
        "With β = 1, as is usual.",
    ),
)  # fmt: skip

KINDS: dict[str, tuple[Algorithm, ...]] = {"optimizers": OPTIMIZERS, "losses": LOSSES, "activations": ACTIVATIONS}
"""The cards of each kind, oldest first; the keys are options of `zoo list`."""
ALGORITHMS = {card.name: card for cards in KINDS.values() for card in cards}
