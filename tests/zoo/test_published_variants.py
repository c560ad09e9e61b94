"""Fields for networks that libraries publish beside the papers' own: counts from formulas, and what each computes."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import zoo

VIT = {"patch": 4, "width": 16, "depth": 1, "heads": 2, "classes": 5}
BERT = {"width": 16, "depth": 2, "heads": 2, "vocab": 11, "context": 8}
PAIR = {"source_vocab": 9, "vocab": 11, "embed": 6, "width": 8, "align": 5, "maxout": 4}
WORDS = {"vocab": 11, "width": 8, "depth": 1, "heads": 2, "hidden": 12}
COUNTS = {  # name, fields, the field of this kind, parameters that it adds
    "resnet18-narrow-stem": ("resnet18", {}, {"stem_width": 32},
                             -32 * (49 * 3 + 2) - 32 * 9 * 64 + (32 * 64 + 2 * 64)),  # a shortcut becomes projected
    "resnet50-narrow-stem": ("resnet50", {}, {"stem_width": 32}, -32 * (49 * 3 + 2) - 32 * 64 - 32 * 256),
    "resnet18-the-same-stem": ("resnet18", {}, {"stem_width": 64}, 0),
    "plain18-wide-stem": ("plain18", {}, {"stem_width": 80}, 16 * (49 * 3 + 2) + 16 * 9 * 64),
    "resnet20-narrow-stem": ("resnet20", {}, {"stem_width": 8}, -8 * (27 + 2) - 8 * 9 * 16),  # padded with zeros
    "vit": ("vit_tiny_patch16", {}, {"hidden": 500}, 12 * (500 - 768) * (2 * 192 + 1)),
    "vit-representation": ("vit_tiny_patch16", {}, {"representation": 100}, 100 * 193 + (100 - 192) * 1000),
    "bert": ("bert_tiny", {}, {"hidden": 300}, 2 * (300 - 512) * (2 * 128 + 1)),
    "bert-without-pooler": ("bert_tiny", {}, {"head": "hidden"}, -128 * 129),
    "gpt": ("gpt_char_mini", {}, {"hidden": 300}, 4 * (300 - 512) * (2 * 128)),
    "alexnet": ("alexnet", {}, {"hidden": 64}, 64 * (9216 + 1 + 64 + 1 + 1000) - 4096 * (9216 + 1 + 4096 + 1 + 1000)),
    "alexnet-one-tower": ("alexnet_one_tower", {}, {"hidden": 64},
                          64 * (9216 + 1 + 64 + 1 + 1000) - 4096 * (9216 + 1 + 4096 + 1 + 1000)),
    "vgg": ("vgg16", {}, {"hidden": 64}, 64 * (25_088 + 1 + 64 + 1 + 1000) - 4096 * (25_088 + 1 + 4096 + 1 + 1000)),
    "vgg-norm": ("vgg_mini", {}, {"batch_norm": True}, 2 * 2 * (32 + 64 + 64)),
    "vgg-kernel": ("vgg_mini", {"depths": (1, 1, 1)}, {"kernel": 5}, 16 * (3 * 32 + 32 * 64 + 64 * 64)),
    "transformer": ("transformer_mini", {}, {"final_norm": True}, 4 * 256),
    "seq2seq_attention": ("seq2seq_attention_mini", {}, {"output": "plain"},
                          (3 * 512 + 256) * 10_000 - (3 * 512 + 257) * 512 - 256 * 10_000),
    "lstm": ("lstm_small", {}, {"two_biases": True}, 2 * 4 * 200),
    "seq2seq": ("seq2seq_mini", {}, {"two_biases": True}, 4 * 4 * 512),
}  # fmt: skip


@pytest.mark.parametrize("case", COUNTS)
def test_the_field_adds_as_many_parameters_as_its_formula(case: str) -> None:
    name, fields, changed, more = COUNTS[case]
    assert zoo.param_count(name, **fields, **changed) == zoo.param_count(name, **fields) + more


BAD = {
    "resnet: stem_width must be a positive integer or 0, not -1": ("resnet18", {"stem_width": -1}),
    "resnet: stem_width must be at most 16 for shortcut A, not 17": ("resnet20", {"stem_width": 17}),
    "vit: hidden must be a positive integer or 0, not 2.5": ("vit_tiny_patch16", {"hidden": 2.5}),
    "vit: representation must be a positive integer or 0, not True": ("vit_tiny_patch16", {"representation": True}),
    "bert: hidden must be a positive integer or 0, not -2": ("bert_tiny", {"hidden": -2}),
    "gpt: hidden must be a positive integer or 0, not '9'": ("gpt2", {"hidden": "9"}),
    "alexnet: hidden must be a positive integer, not 0": ("alexnet_one_tower", {"hidden": 0}),
    "transformer: final_norm must be False with norm 'pre', which has them, not True": (
        "transformer_mini", {"norm": "pre", "final_norm": True}),
    "seq2seq_attention: unknown output 'deep': choose from maxout, plain": ("seq2seq_attention", {"output": "deep"}),
    "lstm: two_biases must be True or False, not 2": ("lstm_small", {"two_biases": 2}),
}  # fmt: skip


@pytest.mark.parametrize("line", BAD)
def test_a_bad_value_is_one_line(line: str) -> None:
    name, fields = BAD[line]
    with pytest.raises(zoo.UserError) as raised:
        zoo.create(name, **fields)
    assert str(raised.value) == line


def made(name: str, x: dict[str, Any], **fields: Any) -> tuple[Any, dict[str, Any]]:
    """A model and random variables of it, all of the same spread: nothing that starts at zero hides what is before."""
    model = zoo.create(name, **fields)
    shapes = jax.eval_shape(lambda key: model.init(key, **x, train=False), jax.random.key(0))
    draw = np.random.default_rng(0)
    return model, jax.tree.map(lambda leaf: np.asarray(0.3 * draw.normal(size=leaf.shape), leaf.dtype), shapes)


def dense(params: dict[str, Any], x: Any) -> Any:
    return np.asarray(x) @ params["kernel"] + params["bias"]


def test_the_representation_layer_of_vit_is_a_tanh_layer_before_the_head() -> None:
    x = {"x": jax.random.normal(jax.random.key(1), (2, 8, 8, 3))}
    model, variables = made("vit_mini_patch4", x, **VIT, representation=6)
    params = variables["params"]
    plain = zoo.create("vit_mini_patch4", **VIT)
    features = plain.apply({"params": {**params, "head": None}}, x["x"], train=False, method="represent")
    expected = np.tanh(dense(params["representation"], features))
    np.testing.assert_allclose(model.apply(variables, **x, train=False, method="represent"), expected, rtol=1e-5)
    np.testing.assert_allclose(model.apply(variables, **x, train=False), dense(params["head"], expected), rtol=1e-4)


def test_bert_without_a_pooler_returns_the_hidden_states() -> None:
    x = {"tokens": jnp.arange(10).reshape(2, 5)}
    model, variables = made("bert_mini", x, **BERT)
    states, _ = model.apply(variables, **x, train=False)
    alone = zoo.create("bert_mini", **BERT, head="hidden")
    params = {name: part for name, part in variables["params"].items() if name != "pooler"}
    np.testing.assert_array_equal(alone.apply({"params": params}, **x, train=False), states)


def test_final_norms_follow_both_stacks_also_after_post_norm() -> None:
    x = {"source": jnp.arange(8).reshape(2, 4), "source_mask": jnp.ones((2, 4), bool), "target": jnp.ones((2, 3), int)}
    model, variables = made("transformer_mini", x, **WORDS, final_norm=True)
    inside = jax.tree.map(np.asarray, zoo.features(model, variables, *x.values())[1])
    for side in ("encoder", "decoder"):
        y, norm = inside[f"{side}0"], variables["params"][f"{side}_norm"]
        y = (y - y.mean(-1, keepdims=True)) / np.sqrt(y.var(-1, keepdims=True) + model.cfg.norm_epsilon)
        np.testing.assert_allclose(inside[f"{side}_norm"], y * norm["scale"] + norm["bias"], rtol=1e-3, atol=1e-5)


def test_a_plain_output_reads_the_new_state_the_word_and_the_context() -> None:
    x = {"source": jnp.arange(8).reshape(2, 4), "source_mask": jnp.ones((2, 4), bool), "target": jnp.ones((2, 1), int)}
    model, variables = made("seq2seq_attention_mini", x, **PAIR, output="plain")
    params = variables["params"]["decoder"]
    begun = model.apply(variables, 2, 1, x["source"], x["source_mask"], method="begin")
    logits, after = model.apply(variables, x["target"], begun, method="decode")
    cache, after = jax.tree.map(np.asarray, (begun, after))
    hidden = np.tanh((cache["state"] @ params["query"])[:, None] + cache["keys"])
    context = np.einsum("bs,bsd->bd", np.asarray(jax.nn.softmax(hidden @ params["score"])), cache["annotations"])
    word = params["embed"]["embedding"][np.asarray(x["target"][:, 0])]
    expected = dense(params["head"], np.concatenate([after["state"], word, context], axis=-1))
    np.testing.assert_allclose(logits[:, 0], expected, rtol=1e-3, atol=1e-5)


def test_two_biases_compute_what_their_sum_does() -> None:
    x = {"tokens": jnp.arange(8).reshape(2, 4)}
    fields = {"vocab": 9, "width": 8, "depth": 1}
    model, variables = made("lstm_small", x, **fields, two_biases=True)
    layer = variables["params"]["layers"]["layer0"]
    one = {**layer, "input": {**layer["input"], "bias": layer["input"]["bias"] + layer["recurrent_bias"]}}
    one.pop("recurrent_bias")
    added = {"params": {**variables["params"], "layers": {"layer0": one}}}
    expected = zoo.create("lstm_small", **fields).apply(added, **x, train=False)
    np.testing.assert_allclose(model.apply(variables, **x, train=False), expected, rtol=1e-4, atol=1e-6)
