"""Sources on the device: windows of a text and buckets of sentences draw what they say, each token and example once."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from train.data.sources import LongWindows, Resident, Windows, sorted_by_length

KEY = jax.random.key(0)


def batches(source, planned) -> list[dict[str, np.ndarray]]:
    """Each step's batch, outside of any compiled program."""
    steps = len(next(iter(planned.values())))
    step = jax.jit(lambda planned: source.feed(planned, lambda batch: batch))
    return [jax.tree.map(np.asarray, step({k: v[i] for k, v in planned.items()})) for i in range(steps)]


def test_windows_come_from_anywhere_in_the_text() -> None:
    text = Windows(jnp.arange(50, dtype=jnp.uint16), batch=16, length=5)
    drawn = batches(text, text.plan(KEY, jnp.int32(0), 40))
    for batch in drawn:
        assert batch["tokens"].shape == (16, 6)
        assert batch["tokens"].dtype == np.int32
        np.testing.assert_array_equal(np.diff(batch["tokens"], axis=1), 1)
    starts = np.concatenate([batch["tokens"][:, 0] for batch in drawn])
    assert (starts.min(), starts.max()) == (0, 44)


def test_the_windows_of_a_step_depend_on_its_number_alone() -> None:
    text = Windows(jnp.arange(50), batch=4, length=5)
    whole, part = text.plan(KEY, jnp.int32(0), 9), text.plan(KEY, jnp.int32(4), 3)
    np.testing.assert_array_equal(part["start"], whole["start"][4:7])


@pytest.mark.parametrize("size", [6, 7, 10, 11, 12, 48])
def test_a_sweep_of_windows_predicts_each_token_but_the_first_once(size: int) -> None:
    text = Windows(jnp.arange(size), batch=3, length=5)
    counted = np.zeros(size, int)
    for batch in batches(text, text.sweep()):
        np.add.at(counted, batch["tokens"][:, 1:].ravel(), batch["mask"].ravel().astype(int))
    np.testing.assert_array_equal(counted, [0] + [1] * (size - 1))


def long_windows(size: int, batch: int) -> LongWindows:
    return LongWindows(jnp.asarray(LongWindows.in_rows(np.arange(size), 5)), size, batch)


@pytest.mark.parametrize("size", [6, 7, 10, 11, 12, 48])
def test_a_long_text_is_swept_as_a_short_one(size: int) -> None:
    short = Windows(jnp.arange(size), batch=3, length=5)
    long = long_windows(size, 3)
    for one, other in zip(batches(short, short.sweep()), batches(long, long.sweep()), strict=True):
        for name in ("tokens", "mask"):
            np.testing.assert_array_equal(one[name], other[name])


def test_windows_of_a_long_text_come_from_all_of_its_rows() -> None:
    text = long_windows(53, 16)
    drawn = batches(text, text.plan(KEY, jnp.int32(0), 80))
    for batch in drawn:
        np.testing.assert_array_equal(np.diff(batch["tokens"], axis=1), 1)
    starts = np.bincount(np.concatenate([batch["tokens"][:, 0] for batch in drawn]))
    assert len(starts) == 45  # (53 - 5) // 5 rows of 5 places
    assert starts.min() > 10  # 1,280 draws of 45 places


def test_a_text_beyond_int32_is_planned_without_wrapping() -> None:
    """Shapes only: nothing of that size is allocated but the plan of its evaluation."""
    size, length = 9_000_000_000, 1024
    rows = jax.ShapeDtypeStruct((-(-size // length) + 1, length), jnp.uint16)
    text = LongWindows(rows, size, 64)
    planned = text.plan(KEY, jnp.int32(0), 50)
    assert 0 <= planned["row"].min() < planned["row"].max() < rows.shape[0] - 1
    assert int(planned["row"].max()) * length > 8_000_000_000
    swept = text.sweep()
    assert swept["row"].min() == 0
    assert swept["row"].max() == (size - 1 - length) // length


@pytest.fixture
def bucketed() -> Resident:
    """30 sentences of 1 to 9 tokens, each token the sentence's own number; buckets up to 3, 6 and 9 tokens."""
    lengths = 1 + np.arange(30) * 7 % 9
    tokens = np.where(np.arange(9) < lengths[:, None], 1 + np.arange(30)[:, None], 0)
    arrays, buckets = sorted_by_length({"tokens": tokens, "y": np.arange(30)}, lengths, (3, 6, 9))
    assert sum(size for size, _ in buckets) == 30
    return Resident(jax.tree.map(jnp.asarray, arrays), batch=4, buckets=buckets)


def used(source: Resident, planned: dict) -> list[dict[str, np.ndarray]]:
    """What a scan over all steps sees: of each batch its width, its labels and whether its tokens are whole."""

    def use(batch: dict) -> dict:
        real = (batch["tokens"] != 0).sum(1)
        width = jnp.full((), batch["tokens"].shape[1])
        seen = {"width": width, "y": batch["y"], "length": real, "mask": batch.get("mask", jnp.ones(4))}
        return seen

    return jax.tree.map(np.asarray, jax.lax.map(lambda each: source.feed(each, use), planned))


def test_a_batch_is_as_wide_as_its_bucket(bucketed: Resident) -> None:
    seen = used(bucketed, bucketed.plan(KEY, jnp.int32(0), 60))
    assert set(seen["width"]) == {3, 6, 9}
    true_length = 1 + seen["y"] * 7 % 9
    np.testing.assert_array_equal(seen["length"], true_length)  # nothing was cut off
    assert (true_length <= seen["width"][:, None]).all()
    shorter = true_length <= seen["width"][:, None] - 3  # of an epoch at most a batch less one, for each bucket
    per_epoch = shorter[: 60 // 7 * 7].reshape(-1, 7, 4)
    for width, most in {3: 0, 6: 3, 9: 3}.items():
        assert ((per_epoch * (seen["width"][:56].reshape(-1, 7, 1) == width)).sum((1, 2)) <= most).all()


def test_an_epoch_of_buckets_shows_no_example_twice_and_mixes_lengths(bucketed: Resident) -> None:
    per_epoch = 30 // 4
    seen = used(bucketed, bucketed.plan(KEY, jnp.int32(0), 2 * per_epoch))
    first, second = seen["y"][:per_epoch].ravel(), seen["y"][per_epoch:].ravel()
    assert len(set(first)) == len(first)
    assert len(set(second)) == len(second)
    assert list(seen["width"][:per_epoch]) != sorted(seen["width"][:per_epoch])
    part = used(bucketed, bucketed.plan(KEY, jnp.int32(3), 5))
    np.testing.assert_array_equal(part["y"], seen["y"][3:8])


def test_what_fills_no_batch_of_its_bucket_joins_the_next_longer_one() -> None:
    """40 short examples and 10 long ones in batches of 16: neither the long ones nor the last short ones are lost."""
    data = Resident({"x": jnp.arange(50)}, batch=16, buckets=((40, 7), (10, 14)))
    plan = jax.tree.map(np.asarray, jax.jit(lambda step: data.plan(KEY, step, 150))(jnp.int32(0)))
    draws = np.bincount(plan["index"].ravel(), minlength=50)
    assert draws.sum() == 50 * 3 * 16  # 50 // 16 batches in each of 50 epochs
    assert draws.min() >= 40
    assert draws.max() <= 50
    for epoch in plan["index"].reshape(50, -1):
        assert len(set(epoch)) == 48
    long = plan["bucket"] == 1
    assert long.sum() == 50
    carried = [frozenset(batch[batch < 40].tolist()) for batch in plan["index"][long]]
    assert len(set(carried)) > 40  # who is left over changes from epoch to epoch
    assert (plan["index"][~long] < 40).all()


def test_buckets_of_whole_batches_are_drawn_as_they_always_were() -> None:
    """Bit for bit, so that a run whose buckets leave nothing over resumes with the batches that it would have had."""
    data = Resident({"x": jnp.arange(30)}, batch=4, buckets=((12, 3), (8, 6), (10, 9)))
    order_key, *keys = jax.random.split(jax.random.fold_in(KEY, 0), 4)
    parts = [
        start + jax.random.permutation(key, size)
        for key, start, size in zip(keys, (0, 12, 20), (12, 8, 10), strict=True)
    ]
    own = jnp.concatenate([part[: len(part) // 4 * 4].reshape(-1, 4) for part in parts])
    order = jax.random.permutation(order_key, 7)
    plan = data.plan(KEY, jnp.int32(0), 7)
    np.testing.assert_array_equal(plan["index"], own[order])
    np.testing.assert_array_equal(plan["bucket"], jnp.array([0, 0, 0, 1, 1, 2, 2])[order])


def test_a_sweep_of_buckets_sees_every_example_once(bucketed: Resident) -> None:
    seen = used(bucketed, bucketed.sweep())
    assert sorted(seen["y"][seen["mask"] == 1]) == list(range(30))


def test_a_sweep_counts_its_examples_however_it_is_cut() -> None:
    examples = {"x": jnp.arange(10)}
    for batch in (3, 4, 10):
        plan = Resident(examples, batch).sweep()
        np.testing.assert_array_equal(plan["position"][plan["mask"] == 1], np.arange(10))


def test_a_constant_order_is_that_of_the_examples_in_every_epoch() -> None:
    data = Resident({"x": jnp.arange(10)}, batch=4, shuffled=False)
    plan = data.plan(jax.random.key(0), jnp.int32(1), 4)["index"]
    np.testing.assert_array_equal(plan, [[4, 5, 6, 7], [0, 1, 2, 3], [4, 5, 6, 7], [0, 1, 2, 3]])
    rows = Resident({"x": jnp.arange(10)}, batch=2, rows=jnp.array([9, 3, 5, 7]), shuffled=False)
    np.testing.assert_array_equal(rows.plan(jax.random.key(0), jnp.int32(0), 2)["index"], [[9, 3], [5, 7]])
