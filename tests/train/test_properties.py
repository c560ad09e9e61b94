"""Properties that hold for whatever hypothesis draws: of caches, weights, overrides, plans, replay, tokenizers, search.

None of them compiles more than two small programs.
"""

import dataclasses
import tempfile
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.traverse_util import flatten_dict, unflatten_dict
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import zoo
from train.config import Experiment, Model, Text, files, override
from train.data.sources import Resident, Windows, sorted_by_length
from train.data.text import catalog, tokenizers
from train.tasks.q_learning.replay import sample_by_priority
from zoo.weights import layouts
from zoo.weights.fit import IN_TRAINING, expected_shapes, inputs_for

# Each set of data is a place, its texts and their labels; beside it the version of the code that encodes it.
SETS = st.tuples(
    st.sampled_from(["text:/a/own", "text:/b/own"]),
    st.lists(st.tuples(st.sampled_from(["a", "b", "ab"]), st.integers(0, 2)), min_size=1, max_size=3),
    st.integers(0, 1),
)


@settings(max_examples=20)
@given(st.lists(SETS, max_size=8))
def test_a_cache_gives_what_would_be_built_now(sets) -> None:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setenv("ZOO_CACHE_DIR", folder)
        patch.setattr(catalog, "LONG", 0)
        for place, examples, version in sets:
            texts, labels = map(list, zip(*examples, strict=True))
            now = np.array([*map(len, texts), *labels, version]), np.frombuffer("|".join(texts).encode(), np.uint8)
            held = catalog._cached(place, texts, [version], lambda now=now: {"x": now[0], "y": now[1]}, labels)
            np.testing.assert_array_equal(held["x"], now[0])
            np.testing.assert_array_equal(held["y"], now[1])


SIZES = {
    **{"width": 8, "widths": (4, 8), "units": (4,), "hidden": 8, "heads": 2, "depth": 1, "depths": (1, 1), "latent": 3},
    **{"embed": 6, "vocab": 11, "source_vocab": 9, "align": 5, "maxout": 4, "context": 8, "classes": 5, "actions": 3},
}
SMALL = [name for name in zoo.CARDS if not name.startswith(("simclr", "alexnet", "vgg1"))]


@st.composite
def models(draw: Any) -> tuple[str, dict[str, Any]]:
    """A card, and fields of its Config by their types: tiny sizes, and choices and switches as they come."""
    name = draw(st.sampled_from(SMALL))
    config = zoo.card(name).config
    fields = {}
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if field.name in SIZES and type(SIZES[field.name]) is type(value):
            fields[field.name] = SIZES[field.name]
        elif field.name in SIZES and isinstance(value, tuple):
            fields[field.name] = (SIZES[field.name],) * len(value)
        elif isinstance(value, bool) and field.name not in IN_TRAINING:
            fields[field.name] = draw(st.sampled_from([value, value, not value]))
        elif isinstance(value, float) and 0 < value < 1 and field.name not in IN_TRAINING:
            fields[field.name] = draw(st.sampled_from([value, 0.25]))
    return name, fields


@settings(max_examples=12)
@given(models(), st.sampled_from([".safetensors", ".npz"]))
def test_what_any_config_saves_loads_bit_by_bit(model: tuple[str, dict[str, Any]], extension: str) -> None:
    name, fields = model
    try:
        module = zoo.create(name, **fields)
        shapes = expected_shapes(module, inputs_for(zoo.card(name), module.cfg, layouts.own(type(module)), {}))
    except zoo.UserError:  # fields that exclude each other
        assume(False)
    assume(sum(map(np.prod, shapes.values())) < 300_000)
    draw = np.random.default_rng(0)
    arrays = {path: draw.normal(size=shape).astype(np.float32) for path, shape in shapes.items()}
    variables = unflatten_dict(arrays, sep="/")
    with tempfile.TemporaryDirectory() as folder:
        path = zoo.save_weights(Path(folder) / f"w{extension}", module, variables)
        back = flatten_dict(zoo.load_weights(module, path), sep="/")
        assert back.keys() == arrays.keys()
        for key, array in arrays.items():
            np.testing.assert_array_equal(back[key], array)
        if extension == ".safetensors":  # which says whose weights they are
            assert zoo.load_model(name, path).model == module


FIELDS = st.recursive(
    st.integers() | st.booleans() | st.lists(st.integers(0, 9), max_size=3).map(tuple),
    lambda inner: st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=6,
)
MAPPINGS = st.dictionaries(st.sampled_from("abc"), FIELDS, max_size=3)


@given(MAPPINGS, MAPPINGS)
def test_an_override_takes_its_own_fields_and_keeps_all_others(old: dict[str, Any], new: dict[str, Any]) -> None:
    def require_merged(merged: Any, old: Any, new: Any) -> None:
        assert merged.keys() == old.keys() | new.keys()
        for name, value in merged.items():
            if name in new and name in old and isinstance(old[name], dict) and isinstance(new[name], dict):
                require_merged(value, old[name], new[name])
            else:
                assert value == (new[name] if name in new else old[name])

    base = Experiment(Model("mlp", old), Text("python_docs"))
    changed = override(base, {"model": {"fields": new}})
    require_merged(changed.model.fields, old, new)
    assert dataclasses.replace(changed, model=base.model) == base
    assert override(changed, {"model": {"fields": new}}) == changed


@given(st.sampled_from(files.names()), st.integers(1, 999), st.sampled_from([0.5, 1e-4]))
def test_an_override_of_a_shipped_config_changes_only_what_it_names(name: str, steps: int, lr: float) -> None:
    base = files.load(name)
    changed = override(base, {"steps": steps, "optim": {"lr": lr}})
    assert (changed.steps, changed.optim.lr) == (steps, lr)
    assert override(changed, {"steps": base.steps, "optim": {"lr": base.optim.lr}}) == base


LENGTHS = np.array([3, 9, 4, 7, 2, 8, 5, 10, 3, 6, 1, 9, 10])
BUCKETED = Resident({"x": jnp.asarray(LENGTHS)}, 3, None, sorted_by_length({"x": LENGTHS}, LENGTHS, (4, 7, 10))[1])
WINDOWS = Windows(jnp.arange(40), batch=3, length=5)
PLANS = {name: jax.jit(lambda seed, step, source=source: source.plan(jax.random.key(seed), step, 8))
         for name, source in (("buckets", BUCKETED), ("windows", WINDOWS))}  # fmt: skip


@given(st.sampled_from(list(PLANS)), st.integers(0, 2**31), st.integers(0, 1000), st.integers(0, 7))
def test_a_plan_does_not_depend_on_where_it_begins(name: str, seed: int, step: int, later: int) -> None:
    whole, part = PLANS[name](np.uint32(seed), np.int32(step)), PLANS[name](np.uint32(seed), np.int32(step + later))
    for key, planned in whole.items():
        np.testing.assert_array_equal(planned[later:], part[key][: 8 - later])


@given(st.integers(0, 2**31), st.integers(0, 200))
def test_an_epoch_of_buckets_draws_no_example_twice_and_fits_its_lengths(seed: int, epoch: int) -> None:
    batches = len(LENGTHS) // 3
    plan = PLANS["buckets"](np.uint32(seed), np.int32(epoch * batches))
    index, bucket = np.asarray(plan["index"])[:batches], np.asarray(plan["bucket"])[:batches]
    assert len(np.unique(index)) == batches * 3
    bounds = np.array([4, 7, 10])[bucket]
    assert (np.sort(np.minimum(LENGTHS, 10))[index] <= bounds[:, None]).all()
    starts = PLANS["windows"](np.uint32(seed), np.int32(epoch))["start"]
    assert ((starts >= 0) & (starts + WINDOWS.length < 40)).all()


CAPACITY, BATCH = 10, 4
SAMPLE = jax.jit(sample_by_priority)
PRIORITIES = st.one_of(st.just(0.0), st.floats(2**-20, 2**20, width=32))
BITS = st.one_of(st.sampled_from([0, 2**32 - 1, 2**31]), st.integers(0, 2**32 - 1))


@given(
    st.lists(PRIORITIES, min_size=1, max_size=CAPACITY), st.lists(BITS, min_size=BATCH, max_size=BATCH), st.floats(0, 1)
)
def test_replay_draws_what_has_a_priority_in_the_right_order(
    priorities: list[float], noise: list[int], beta: float
) -> None:
    assume(any(priorities))
    padded = np.zeros(CAPACITY, np.float32)
    padded[: len(priorities)] = priorities
    drawn = SAMPLE(padded, np.int32(len(priorities)), np.array(noise, np.uint32), np.float32(beta))
    indices, weights = map(np.asarray, drawn)
    assert (padded[indices] > 0).all()
    assert (np.diff(indices) >= 0).all()  # one of each of the equal ranges of the running sum
    assert np.isfinite(weights).all()
    assert weights.max() == pytest.approx(1, abs=1e-6)
    share = padded[indices].astype(np.float64)
    expected = (share / share.min()) ** -beta
    np.testing.assert_allclose(weights, expected, rtol=1e-3, atol=1e-6)


LEARNED = {kind: tokenizers.learn(kind, ["the cat sat on a mat é\n\t 12", "the hat"] * 3, 300, specials=kind != "char")
           for kind in ("char", "bpe", "wordpiece")}  # fmt: skip


@given(st.text(alphabet="the cat son mé\n\t12"))
def test_known_characters_come_back_exactly(text: str) -> None:
    for kind in ("char", "bpe"):
        assert tokenizers.decode(LEARNED[kind], tokenizers.encode(LEARNED[kind], text)) == text


@settings(max_examples=30)
@given(st.text())
def test_any_text_comes_back_from_bytes_and_what_is_written_stays(text: str) -> None:
    assume(not any(token in text for token in ("[PAD]", "[EOS]", "[UNK]")))
    assert tokenizers.decode(LEARNED["bpe"], tokenizers.encode(LEARNED["bpe"], text)) == text
    for tokenizer in LEARNED.values():
        if len(text) < 50:
            written = tokenizers.as_written(tokenizer, text)
            ids = tokenizers.encode_many(tokenizer, [text]).flat
            assert ids.size == 0 or ids.max() < tokenizers.vocab_size(tokenizer)
            if "[UNK]" not in written:
                assert tokenizers.as_written(tokenizer, written) == written


@settings(max_examples=15)
@given(st.lists(st.tuples(st.integers(0, 2), st.sampled_from(["ask", "ask", "die"])), max_size=12))
def test_processes_of_a_search_draw_what_one_alone_would_whatever_dies(moves: list[tuple[int, str]]) -> None:
    """A process that dies leaves its trials to the others, and a new one takes its place."""
    optuna = pytest.importorskip("optuna", reason="the extra `search` is not installed")
    from train.loop.run import Run
    from train.studies.search.folder import TRIES, About, Folder, Worker

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    space = {"optim.lr": optuna.distributions.FloatDistribution(0.1, 1)}

    def settings_of(moves: list[tuple[int, str]]) -> list[float]:
        with tempfile.TemporaryDirectory() as path:
            experiment = Experiment(Model("mlp"), Text("python_docs"))
            folder = Folder(Run(Path(path), experiment), About(sampler="random"), 8, 1, "accuracy")
            study = optuna.create_study(direction="maximize")
            workers = [Worker(folder, study, space, {}).__enter__() for _ in range(3)]
            for number, move in moves:
                if move == "ask":
                    workers[number].ask(1)
                else:
                    workers[number].__exit__()
                    workers[number] = Worker(folder, study, space, {}).__enter__()
            while workers[0].ask(1):
                pass
            alive = [t for t in study.get_trials() if t.state == optuna.trial.TrialState.RUNNING]
            for worker in workers:
                worker.__exit__()
            return sorted(trial.params["optim.lr"] for trial in alive)

    assume(sum(move == "die" for _, move in moves) < TRIES)
    assert settings_of(moves) == settings_of([])
