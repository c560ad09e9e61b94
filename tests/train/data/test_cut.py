"""How examples are cut in two: what is added, removed or renamed moves nothing else."""

import itertools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from train.config import Data, Text
from train.data import cut, load
from train.data.text import load as load_text

EXAMPLES = st.lists(st.tuples(st.binary(max_size=3), st.integers(0, 2)), max_size=60)
SHARES = st.floats(0, 0.9)


def held_out(examples: list[tuple[bytes, int]], share: float, seed: int = 0) -> list[bool]:
    """Whether each example is in the second part."""
    keys = cut.keys_of(content for content, _ in examples)
    classes = np.array([label for _, label in examples], np.int32)
    indices = np.arange(len(examples))
    kept, taken = cut.by_hash(indices, share, keys, classes, "test", seed)
    assert sorted([*kept, *taken]) == list(indices)
    return np.isin(indices, taken).tolist()


@given(EXAMPLES, SHARES, st.randoms())
def test_the_order_of_examples_does_not_matter_and_equal_ones_stay_together(examples, share, random) -> None:
    before = dict(zip(examples, held_out(examples, share), strict=True))
    shuffled = examples[:]
    random.shuffle(shuffled)
    assert [before[example] for example in shuffled] == held_out(shuffled, share)


@given(EXAMPLES, EXAMPLES, SHARES)
def test_added_examples_move_no_other(examples, more, share) -> None:
    """But in a class of which one part has at most one key, which may be there only so that the part is not empty."""
    before, after = held_out(examples, share), held_out(examples + more, share)
    parts = {part: {each for each, taken in zip(examples, before, strict=True) if taken == part} for part in (0, 1)}
    for (content, label), was, now in zip(examples, before, after, strict=False):
        if min(sum(each[1] == label for each in parts[part]) for part in (0, 1)) > 1:
            assert was == now, content


def test_the_second_part_has_about_its_share_and_cuts_are_independent() -> None:
    keys = cut.keys_of(str(i).encode() for i in range(20_000))
    classes, indices = np.arange(20_000) % 10, np.arange(20_000)
    rest, test = cut.by_hash(indices, 0.2, keys, classes, "test")
    assert abs(len(test) - 4000) < 4 * np.sqrt(20_000 * 0.2 * 0.8)  # four standard deviations
    _, validation = cut.by_hash(rest, 0.1, keys[rest], classes[rest], "validation")
    assert abs(len(validation) / len(rest) - 0.1) < 4 * np.sqrt(0.09 / len(rest))
    _, other = cut.by_hash(rest, 0.1, keys[rest], classes[rest], "validation", seed=1)
    shared = len(np.intersect1d(validation, other)) / len(rest)
    assert abs(shared - 0.01) < 4 * np.sqrt(0.01 / len(rest))


def test_each_class_of_several_examples_has_one_in_both_parts() -> None:
    for share in (0.01, 0.99):
        taken = held_out([(bytes([i]), i // 2) for i in range(20)], share)
        assert [taken[i] + taken[i + 1] for i in range(0, 20, 2)] == [1] * 10
    assert held_out([(b"a", 0), (b"b", 1)], 0) == [False, False]


def test_a_set_of_two_examples_many_times_has_both_parts() -> None:
    """Whatever they hash to: equal examples stay together, so one of the two is held out as a whole."""
    for number in range(20):
        taken = held_out([(b"good%d" % number, 1), (b"bad%d" % number, 0)] * 20, 0.2)
        assert sum(taken) == 20


@given(
    st.lists(st.tuples(st.integers(-3, 9), st.integers(0, 2)), max_size=60),
    SHARES,
    st.sampled_from(["test", None]),
    st.integers(0, 3),
)
def test_a_group_is_never_cut_in_two(examples, share, purpose, seed) -> None:
    """By hash and by position, although its examples are of several classes."""
    groups, classes = (np.array([pair[each] for pair in examples], np.int64) for each in (0, 1))
    indices = np.arange(len(examples))
    kept, taken = cut.by_group(indices, share, groups, classes, purpose, seed)
    assert sorted([*kept, *taken]) == list(indices)
    assert not set(groups[kept]) & set(groups[taken])
    if purpose and share and len(set(groups)) > 1:
        assert len(kept)
        assert len(taken)


def test_added_groups_move_no_other() -> None:
    groups = np.repeat(np.arange(200), 5)
    classes, indices = np.arange(1000) % 2, np.arange(1000)
    before = set(groups[cut.by_group(indices, 0.2, groups, classes, "test")[1]])
    more = np.concatenate([groups, np.repeat(np.arange(500, 560), 5)])
    _, taken = cut.by_group(np.arange(1300), 0.2, more, np.arange(1300) % 2, "test")
    assert {group for group in more[taken] if group < 200} == before
    assert abs(len(before) - 40) < 4 * np.sqrt(200 * 0.2 * 0.8)


def noise(path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (4, 4), dtype=np.uint8)).save(path)


def images(data: Data) -> dict[str, set[bytes]]:
    """Split -> its images."""
    dataset = load(data)
    return {
        name: {image.tobytes() for image in getattr(dataset, name).arrays()["x"]}
        for name in ("train", "validation", "test")
    }


@pytest.mark.parametrize("placement", ["auto", "stream"])
def test_images_that_are_added_renamed_or_removed_move_no_other(tmp_path: Path, placement: str) -> None:
    root = tmp_path / "images"
    for i in range(60):
        noise(root / "cat" / f"{i}.png", i)
        noise(root / "dog" / f"{i}.png", 100 + i)
    data = Data(f"folder:{root}", placement=placement)
    before = images(data)
    noise(root / "cat" / "00.png", 1000)
    (root / "dog" / "7.png").rename(root / "dog" / "a.png")
    (root / "dog" / "8.png").unlink()
    (root / "cat").rename(root / "feline")
    after = images(data)
    for one, other in itertools.permutations(before, 2):
        assert not before[one] & after[other], (one, other)


def test_a_line_in_front_moves_no_other(tmp_path: Path) -> None:
    file = tmp_path / "own.tsv"
    lines = [f"text number {i}\t{i % 2}" for i in range(200)]
    file.write_text("\n".join(lines))
    before = load_text(Text(f"tsv:{file}", tokenizer="char"), "labelled")
    file.write_text("\n".join(["another\t1", *lines]))
    after = load_text(Text(f"tsv:{file}", tokenizer="char"), "labelled")
    assert not set(before.train.texts) & set(after.test.texts)
    assert len(set(before.test.texts) ^ set(after.test.texts)) <= 1
