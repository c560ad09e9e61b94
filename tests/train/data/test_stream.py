import json
from collections.abc import Callable

import numpy as np
import pytest

from train.config import Data
from train.data.images import catalog
from train.data.images.catalog import load
from train.data.split import Split
from train.data.stream import batches
from zoo.errors import UserError


@pytest.fixture
def lazy(make: Callable, monkeypatch: pytest.MonkeyPatch) -> Split:
    """40 training examples that are read from files."""
    make()
    monkeypatch.setattr(catalog, "IN_MEMORY", 0)
    return load(Data("tiny", validation=0)).train


def same(one: dict, other: dict) -> bool:
    return all(np.array_equal(one[name], other[name]) for name in ("x", "y"))


@pytest.mark.parametrize("memory", [True, False])
def test_epochs_are_permutations(memory: bool, lazy: Split) -> None:
    split = load(Data("digits", validation=0)).train if memory else lazy
    size = len(split) // 3 - 1  # three batches an epoch, a rest that is dropped
    stream = batches(split, size, seed=3, workers=0)
    epochs = [[next(stream) for _ in range(3)] for _ in range(2)]
    everything = {x.tobytes() for x in split.arrays()["x"]}
    for epoch in epochs:
        x = np.concatenate([batch["x"] for batch in epoch])
        assert x.dtype == np.uint8
        assert epoch[0]["y"].dtype == np.int32
        assert epoch[0]["x"].shape == (size, *split.store.shape)
        seen = {image.tobytes() for image in x}
        assert seen <= everything
        if not memory:  # random images, no two alike
            assert len(seen) == 3 * size
    assert not same(epochs[0][0], epochs[1][0])
    assert not same(epochs[0][0], next(batches(split, size, seed=4, workers=0)))
    stream.close()


def test_without_a_seed_every_epoch_has_the_order_of_the_split(lazy: Split) -> None:
    stream = batches(lazy, 16, seed=None, workers=0)
    x = lazy.arrays()["x"]
    for start in (0, 16, 0):
        np.testing.assert_array_equal(next(stream)["x"], x[start : start + 16])
    state = stream.get_state()
    again = batches(lazy, 16, seed=None, workers=0)
    again.set_state(json.loads(json.dumps(state)))
    np.testing.assert_array_equal(next(again)["x"], x[16:32])
    with pytest.raises(UserError, match="reading with seed None, and now it is 3"):
        batches(lazy, 16, seed=3, workers=0).set_state(state)


def test_going_on_is_bit_exact(lazy: Split) -> None:
    whole = batches(lazy, 16, seed=0, workers=0)
    for _ in range(5):
        next(whole)
    state = json.loads(json.dumps(whole.get_state()))
    rest = [next(whole) for _ in range(4)]
    resumed = batches(lazy, 16, seed=0, workers=0)
    next(resumed)
    resumed.set_state(state)
    assert all(same(next(resumed), batch) for batch in rest)
    assert resumed.get_state() == whole.get_state()


def test_workers_read_the_same_batches(lazy: Split) -> None:
    alone, together = batches(lazy, 8, seed=0, workers=0), batches(lazy, 8, seed=0, workers=2)
    together.set_state({"step": 3})
    for _ in range(3):
        next(alone)
    assert all(same(next(together), next(alone)) for _ in range(6))
    assert together.get_state() == alone.get_state()
    assert together.get_state()["step"] == 9
    together.close()


def test_bad_arguments(lazy: Split) -> None:
    with pytest.raises(UserError, match=r"data\.batch=41: must be at least 1 and at most the 40 training examples"):
        batches(lazy, 41, seed=0, workers=0)
    with pytest.raises(UserError, match=r"data\.workers=-1: must not be negative"):
        batches(lazy, 4, seed=0, workers=-1)


def test_damage_met_while_streaming_is_one_line(lazy: Split) -> None:
    for path in lazy.store.shards.paths:
        path.write_bytes(path.read_bytes()[:1000])
    stream = batches(lazy, 8, seed=0, workers=0)
    with pytest.raises(UserError, match=r"tiny-train.*is damaged"):
        next(stream)


@pytest.mark.parametrize(("batch", "seed", "line"), [(8, 0, "batch 16, and now it is 8"), (16, 1, "seed 0, and now")])
def test_the_place_in_another_sequence_is_refused(batch: int, seed: int, line: str, lazy: Split) -> None:
    """The step alone silently continued elsewhere."""
    whole = batches(lazy, 16, seed=0, workers=0)
    with pytest.raises(UserError, match=line):
        batches(lazy, batch, seed=seed, workers=0).set_state(whole.get_state())
    batches(lazy, batch, seed=seed, workers=0).set_state({"step": 3})  # as older checkpoints have it
