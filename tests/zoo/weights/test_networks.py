"""Networks that other libraries made and ran: read to the same output, or refused by the key that makes another one.

`tests/peers/fix_networks.py` writes them. The inputs are those of `tests/peers/random_networks.py`.
"""

import functools
import json
from pathlib import Path

import jax
import numpy as np
import pytest

import zoo

NETWORKS = sorted((Path(__file__).parent / "networks").iterdir())
BOUND = 1e-5  # of the largest output, float32 here and float64 there
TOKENS = np.random.default_rng(0).integers(1, 49, size=(2, 12))
TARGET = np.random.default_rng(1).integers(1, 49, size=(2, 9))
MASK = np.arange(12)[None] < np.array([[12], [7]])
SEGMENTS = np.tile(np.arange(12) > 5, (2, 1)).astype(np.int32)


def inputs(card: str) -> tuple[np.ndarray, ...]:
    if card.startswith("bert"):
        return TOKENS, MASK, SEGMENTS
    if card.startswith("transformer"):
        return TOKENS, MASK, TARGET
    if card.startswith("gpt"):
        return (TOKENS,)
    size = 16 if card.startswith("vit") else 64
    return (np.random.default_rng(0).normal(size=(2, size, size, 3)).astype(np.float32),)


@pytest.mark.parametrize("folder", NETWORKS, ids=lambda folder: folder.name)
def test_a_network_of_another_library_is_read_or_refused(folder: Path) -> None:
    about = json.loads((folder / "about.json").read_text())
    fields = {key: tuple(value) if isinstance(value, list) else value for key, value in about["fields"].items()}
    if about["refused"]:
        with pytest.raises(zoo.UserError, match=about["refused"]):
            zoo.load_model(about["card"], folder, **fields)
        return
    loaded = zoo.load_model(about["card"], folder, **fields)
    apply = jax.jit(functools.partial(loaded.model.apply, train=False))
    found = apply(loaded.variables, *inputs(about["card"]))
    with np.load(folder / "output.npz") as arrays:
        expected = [arrays[name] for name in arrays.files]
    for ours, theirs in zip(found if isinstance(found, tuple) else (found,), expected, strict=True):
        assert np.abs(ours - theirs).max() <= BOUND * np.abs(theirs).max()
