"""Weight decay, LARS and Muon decide by what a parameter is, in every family."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import zoo
from train.algorithms.optimizers import make_optimizer
from train.algorithms.parameters import hidden_matrices, is_matrix, matrices, path_of
from train.config import Optim

LR, DECAY = 0.1, 0.5


def shapes(name, **fields):
    """The parameters of a network as shapes, and their paths."""
    card = zoo.card(name)
    x = {key: jax.ShapeDtypeStruct((2, *shape), dtype) for key, (shape, dtype) in card.inputs.items()}
    model = zoo.create(name, **fields)
    return jax.eval_shape(lambda key, x: model.init(key, **x, train=False), jax.random.key(0), x)["params"]


def marked(mark, params):
    leaves = jax.tree_util.tree_leaves_with_path(mark(params))
    return {path_of(path) for path, wanted in leaves if wanted}


# family -> (parameters of two axes or more that do not decay, matrices that Muon leaves to AdamW)
LEFT = {
    "perceptron": ((), ("head/kernel",)),
    "mlp": ((), ("head/kernel",)),
    "lstm_char": ((), ("embed/embedding", "head/kernel")),
    "unet_mini": ((), ("head/kernel",)),
    "fcn_mini": ((), ("head/kernel",)),
    "lecun1989": (("h1/bias", "h2/bias"), ("head/kernel",)),
    "lenet5": ((), ("head/kernel",)),
    "alexnet_cifar": ((), ("head/kernel",)),
    "vgg_mini": ((), ("head/kernel",)),
    "dqn_minatar": ((), ("head/out/kernel",)),
    "seq2seq_mini": ((), ("head/kernel", "source_embed/embedding", "target_embed/embedding")),
    "seq2seq_attention_mini": ((), ("decoder/embed/embedding", "decoder/head/kernel", "encoder/embed/embedding")),
    "gan": ((), ("discriminator/head/kernel", "generator/pixels/kernel")),
    "dcgan_28": ((), ("discriminator/head/kernel",)),
    "resnet20": ((), ("head/kernel",)),
    "transformer_mini": ((), ("tokens/embedding",)),
    "bert_tiny": ((), ("positions/embedding", "segments/embedding", "tokens/embedding")),
    "gpt_char_mini": ((), ("positions/embedding", "tokens/embedding")),
    "vit_mini_patch4": (("token",), ("embed/kernel", "head/kernel", "positions")),
    "simclr_resnet20": ((), ()),
}


def test_every_family_is_here():
    assert {zoo.card(name).family for name in LEFT} == {card.family for card in zoo.CARDS.values()}


@pytest.mark.parametrize("name", LEFT)
def test_all_matrices_decay_and_muon_takes_the_hidden_ones(name):
    params = shapes(name)
    leaves = {path_of(path): leaf for path, leaf in jax.tree_util.tree_leaves_with_path(params)}
    decays, hidden = marked(matrices, params), marked(hidden_matrices, params)
    assert {path for path, leaf in leaves.items() if leaf.ndim > 1} - decays == set(LEFT[name][0])
    assert [path for path in decays if leaves[path].ndim < 2] == []
    assert decays - hidden == set(LEFT[name][1])


def test_heads_of_other_networks_are_output_layers_too():
    hidden = marked(hidden_matrices, shapes("dqn_minatar", dueling=True))
    assert hidden == {"conv0/kernel", "head/value/hidden0/kernel", "head/advantage/hidden0/kernel"}
    pretraining = shapes("bert_tiny", head="pretrain")
    assert "next/kernel" not in marked(hidden_matrices, pretraining)
    assert {"masked/transform/kernel", "pooler/kernel"} <= marked(hidden_matrices, pretraining)


@pytest.mark.parametrize(
    ("name", "shape", "matrix"),
    [
        ("Dense_0/kernel", (1, 8), True),  # a network of one input
        ("query/bias", (4, 16), False),  # Flax's own attention
        ("query/kernel", (64, 4, 16), True),
        ("pos_embedding", (1, 16, 8), True),
        ("table", (16, 8), True),
        ("cls", (1, 1, 8), False),
        ("norm/scale", (1, 1, 8), False),
        ("temperature", (), False),
        ("score", (8,), False),
    ],
)
def test_a_parameter_of_ones_own_model_is_what_its_shape_says(name, shape, matrix):
    assert is_matrix(name, jax.ShapeDtypeStruct(shape, jnp.float32)) is matrix


@pytest.mark.parametrize("rule", ["adamw", "sgd", "muon"])
def test_one_step_without_gradients_shrinks_every_matrix_of_an_lstm_and_no_vector(rule):
    """By hand: each matrix times 1 - lr * decay, recurrent matrices and the embedding too."""
    model = zoo.create("lstm_char", vocab=7, width=6)
    params = model.init(jax.random.key(0), jnp.zeros((1, 4), jnp.int32), train=False)["params"]
    tx = make_optimizer(Optim(rule, lr=LR, weight_decay=DECAY), 10)
    updates, _ = tx.update(jax.tree.map(jnp.zeros_like, params), tx.init(params), params)
    pairs = zip(jax.tree_util.tree_leaves_with_path(params), jax.tree.leaves(updates), strict=True)
    for (path, before), update in pairs:
        expected = (1 - LR * DECAY) * before if before.ndim > 1 else before
        np.testing.assert_allclose(before + update, expected, rtol=1e-6, atol=1e-8, err_msg=path_of(path))


def test_lars_scales_the_step_of_a_recurrent_matrix_and_of_an_embedding():
    """You et al. 2017: the step has the norm lr * trust * |w|, whatever the size of the gradient."""
    params = {"layer": {"recurrent": np.full((3, 12), 2.0)}, "embed": {"embedding": np.full((5, 3), 0.5)}}
    params = jax.tree.map(jnp.float32, params)
    tx = make_optimizer(Optim("lars", lr=LR, trust=0.02), 10)
    updates, _ = tx.update(jax.tree.map(lambda p: 1000 * jnp.ones_like(p), params), tx.init(params), params)
    norms = jax.tree.map(lambda u, p: jnp.linalg.norm(u) / jnp.linalg.norm(p), updates, params)
    np.testing.assert_allclose(jax.tree.leaves(norms), LR * 0.02, rtol=1e-5)


def test_muon_makes_the_step_of_a_recurrent_matrix_orthogonal_and_leaves_the_head_to_adam():
    rng = np.random.default_rng(0)
    params = {"layer0": {"recurrent": rng.normal(size=(8, 32))}, "head": {"kernel": rng.normal(size=(8, 5))}}
    params = jax.tree.map(jnp.float32, params)
    gradients = jax.tree.map(lambda p: jnp.float32(rng.normal(size=p.shape)), params)
    tx = make_optimizer(Optim("muon", lr=LR), 10)
    updates, _ = tx.update(gradients, tx.init(params), params)
    singular = np.linalg.svd(updates["layer0"]["recurrent"] / (LR * 2), compute_uv=False)  # 2 = sqrt(32 / 8)
    assert singular.max() < 1.25
    assert singular.min() > 0.65  # of five Newton-Schulz steps: between 0.7 and 1.2
    # The first step of Adam with Nesterov's momentum (Dozat 2016): the mean is 0.9 * 0.1 g / (1 - 0.9^2) + g.
    adam = -LR * (1 + 0.09 / 0.19) * np.sign(gradients["head"]["kernel"])
    np.testing.assert_allclose(updates["head"]["kernel"], adam, rtol=1e-5)
