"""Loaded weights are plain arrays: under vmap, as an NNX module, and for what stands before the head."""

from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from flax import nnx
from flax.traverse_util import flatten_dict, unflatten_dict
from tiny import network

import zoo


@pytest.fixture
def loaded(tmp_path: Path) -> Any:
    card, layout, fields, model, variables = network("resnet18-torchvision")
    variables["batch_stats"] = jax.tree.map(np.abs, variables["batch_stats"])
    path = zoo.save_weights(tmp_path / "w.safetensors", model, variables, layout=layout)
    return zoo.load_model(card, path, **fields)


X = np.random.default_rng(0).normal(size=(2, 32, 32, 3)).astype(np.float32)


def test_as_an_nnx_module(loaded: Any) -> None:
    net = nnx.bridge.ToNNX(loaded.model, rngs=nnx.Rngs(0)).lazy_init(X, train=False)
    state = nnx.state(net)
    arrays = {path[1:]: array for path, array in flatten_dict(loaded.variables).items()}
    nnx.replace_by_pure_dict(state, unflatten_dict(arrays))
    nnx.update(net, state)
    expected = loaded.model.apply(loaded.variables, X, train=False)
    assert np.abs(expected[0] - expected[1]).max() > 0.01
    np.testing.assert_array_equal(net(X, train=False), expected)


def test_many_sets_of_weights_under_vmap(loaded: Any) -> None:
    def logits(variables: Any) -> Any:
        return loaded.model.apply(variables, X, train=False)

    other = jax.tree.map(lambda a: 0.9 * a, loaded.variables)
    both = jax.vmap(logits)(jax.tree.map(lambda *a: np.stack(a), loaded.variables, other))
    for found, variables in zip(both, (loaded.variables, other), strict=True):
        np.testing.assert_allclose(found, logits(variables), rtol=1e-4, atol=1e-4)


def test_features_before_the_head(loaded: Any) -> None:
    logits, inside = zoo.features(loaded.model, loaded.variables, X)
    features = loaded.model.apply(loaded.variables, X, train=False, method="represent")
    head = loaded.variables["params"]["head"]
    np.testing.assert_allclose(features @ head["kernel"] + head["bias"][None], logits, rtol=1e-4, atol=1e-4)
    assert inside["s1b1"].shape == (2, 4, 4, 8)
