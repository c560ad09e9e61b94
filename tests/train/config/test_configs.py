"""Every config is sound, builds at its data's size without any memory, and trains a few steps where its data are."""

import ast
import functools
import math
import os
import re
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import slow_except
from rich.console import Console
from tokenizers import Tokenizer, models

import train.data
import train.data.text
import train.loop.run
import zoo
from train.algorithms.optimizers import make_schedule
from train.config import Data, Experiment, Text, World, files, override
from train.core import run_chunk
from train.data.sources import Resident
from train.data.split import Arrays, Dataset, Split
from train.data.text import tokenizers
from train.data.text.dataset import Part, TextDataset
from train.loop.fit import fit
from train.tasks.assemble import assemble
from train.tasks.check import check
from train.tasks.setup import Setup

NAMES = files.names()
EXPERIMENTS = {name: files.load(name) for name in NAMES}
PROGRAMS = [name for name in NAMES if not name.endswith("_long")]
"""Every config but those that train another one for longer."""
ONE_OF_EACH_TASK = (
    "cartpole_dqn",
    "cifar10_alexnet",
    "mnist_gan",
    "cifar10_simclr",
    "multi30k_seq2seq",
    "python_docs_lstm_char",
    "sst2_bert_mini",
    "sst2_bert_mini_pretraining",
)
"""The configs that `make test` traces; `make test-all` traces every one."""
SETS = {
    "digits": ((8, 8, 1), 10),
    "scenes": ((16, 16, 1), 10),
    "mnist": ((28, 28, 1), 10),
    "cifar10": ((32, 32, 3), 10),
} | {
    "imagenet2012": ((None, None, 3), 1000)  # of every size
}
"""Shape of an image and number of classes, by the name of the data set."""


def of(*sets: str) -> list[str]:
    return [name for name, experiment in EXPERIMENTS.items() if experiment.data.name in sets]


def handle(experiment: Experiment) -> str:
    """The name of the data, WMT14's without what TFDS adds to it, an environment's without its version."""
    return experiment.data.name.replace("wmt14_translate", "wmt14").partition("-v")[0]


def smoke(name: str) -> Experiment:
    experiment = files.load(name)
    return override(experiment, experiment.smoke)


def cheapest_of_each_family(names: list[str]) -> list[str]:
    """The config with the fewest operations a step for each family of models."""
    cards = {name: zoo.card(EXPERIMENTS[name].model.name) for name in names}
    families = {card.family for card in cards.values()}
    return sorted(min((c.flops, n) for n, c in cards.items() if c.family == family)[1] for family in families)


@pytest.mark.parametrize("name", NAMES)
def test_a_config_is_sound_and_says_how_to_repeat_it(name: str) -> None:
    experiment = files.load(name)
    check(experiment)
    check(smoke(name))
    assert smoke(name).steps <= 10
    assert any(name.startswith(part.removesuffix("2012").lower()) for part in re.split("[:/]", handle(experiment)))
    lines = ast.get_docstring(ast.parse((files.FOLDER / f"{name}.py").read_text(encoding="utf-8"))).splitlines()
    assert f"Run:     zoo train {name}" in lines
    assert any(line.startswith("Expect:  ") for line in lines)


@pytest.mark.parametrize("name", NAMES)
def test_a_config_that_is_read_back_is_the_one_that_was_written(name: str, tmp_path: Path) -> None:
    """A search that was interrupted goes on only where they are equal."""
    run = train.loop.run.create(name, EXPERIMENTS[name], tmp_path)
    assert train.loop.run.load(run.path).experiment == EXPERIMENTS[name]


@pytest.mark.parametrize("name", NAMES)
def test_the_schedule_fits_the_run(name: str) -> None:
    experiment = files.load(name)
    rates = jax.vmap(make_schedule(experiment.optim, experiment.steps))(jnp.linspace(0, experiment.steps - 1, 1001))
    assert np.isclose(rates.max(), experiment.optim.lr, rtol=0.01)
    assert rates.min() >= 0
    if experiment.optim.schedule == "steps":
        assert np.isclose(
            rates[-1], experiment.optim.lr * experiment.optim.decay_factor ** len(experiment.optim.decay_at)
        )
    assert experiment.eval_every_steps <= experiment.steps


class Unread:
    """A Store of the right shape that cannot be read."""

    def __init__(self, shape: tuple[int, int, int], count: int) -> None:
        self.shape, self.count = shape, count

    def __len__(self) -> int:
        return self.count


def blank(data: Data) -> Dataset:
    """Stands in for the set that `data` names: its shape and classes, no images."""
    (height, width, channels), classes = SETS[data.name]
    shape = (data.image_size or height, data.image_size or width, channels)
    split = Split(Unread(shape, 10_000), np.arange(10_000))
    names = tuple(str(label) for label in range(classes))
    moments = np.zeros(channels, np.float32), np.ones(channels, np.float32)
    return Dataset(data.name, "", shape, names, split, split, split, *moments)


def blank_text(data: Text, form: str, tokenizer: None) -> TextDataset:
    """Stands in for the text that `data` names: a vocabulary of the size asked for, a few empty examples."""
    marks = [*tokenizers.SPECIAL, *tokenizers.BERT]
    size = 65 if data.tokenizer == "char" else data.vocab
    words = [*marks, *(f"word{i}" for i in range(size - len(marks)))]
    vocabulary = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="[UNK]"))
    half = (data.length - 3) // 2
    widths = {
        "stream": {"tokens": ()},
        "passages": {"a": (half,), "b": (half,)},
        "pairs": {"source": (data.length,), "target": (data.length + 1,)},
        "labelled": {"tokens": (data.length,), "y": ()},
    }[form]
    rows = max(2 * data.length + 2, data.batch)
    arrays = {name: np.zeros((rows, *width), np.uint16) for name, width in widths.items()}
    part = Part(arrays, ([""], [""]) if form == "pairs" else (), 1, 0)
    return TextDataset(data.name, "", form, vocabulary, ("a", "b"), part, part, part)


def batch_of(experiment: Experiment, parts: Setup) -> dict[str, jax.ShapeDtypeStruct] | None:
    """Shapes of what a step of the config's task is given; an agent makes its own experience."""
    if isinstance(experiment.data, World):
        return None
    size = experiment.data.batch * getattr(experiment.task, "critic_steps", 1)
    if isinstance(experiment.data, Data):
        shapes = {"x": (parts.dataset.shape, jnp.uint8), "y": ((), jnp.int32)}
        if experiment.task.name == "segment":
            shapes["y"] = (parts.dataset.shape[:2], jnp.uint8)
    elif experiment.task.name == "language":
        shapes = {"tokens": ((experiment.data.length + 1,), jnp.int32)}
    else:
        shapes = {name: (leaf.shape[1:], leaf.dtype) for name, leaf in parts.dataset.train.arrays.items()}
    return {name: jax.ShapeDtypeStruct((size, *shape), dtype) for name, (shape, dtype) in shapes.items()}


@functools.cache  # tracing a network takes most of the time of these tests
def built(name: str) -> tuple[Experiment, Setup]:
    """A config, and what it assembles at the size of its data where none of them are read."""
    experiment = files.load(name)
    if isinstance(experiment.data, World):  # the whole memory would have to be free on this machine
        experiment = override(experiment, {"task": {"replay": 1_000}})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(train.data, "load", blank)
        patch.setattr("train.data.text.load", blank_text)
        return experiment, assemble(experiment)


@pytest.mark.parametrize("name", slow_except(ONE_OF_EACH_TASK, PROGRAMS))
def test_a_config_builds_and_its_step_keeps_the_shape_of_its_state(name: str) -> None:
    if EXPERIMENTS[name].data.name.startswith("atari/"):
        pytest.importorskip("ale_py", reason="the extra `atari` is not installed")
    experiment, parts = built(name)
    batch = batch_of(experiment, parts)
    after, metrics = jax.eval_shape(parts.task.step, parts.abstract, batch, jax.random.key(0))
    shapes = [jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), state) for state in (parts.abstract, after)]
    assert shapes[0] == shapes[1]
    assert {(value.shape, value.dtype) for value in jax.tree.leaves(metrics)} == {((), jnp.dtype("float32"))}
    assert any(name.endswith("loss") for name in metrics)
    if batch is None:
        episodes = jax.eval_shape(lambda key: jax.random.split(key, 3), jax.random.key(0))
        sums = jax.eval_shape(parts.task.evaluate, parts.abstract, episodes)
        assert {value.shape for value in sums.values()} == {()}
        assert {"return", "count"} <= set(sums)
        return
    words = (experiment.data.length,) if experiment.task.name == "language" else ()
    mask = jax.ShapeDtypeStruct((*next(iter(batch.values())).shape[:1], *words), jnp.float32)
    sums = jax.eval_shape(parts.task.evaluate, parts.abstract, batch | {"mask": mask})
    assert {value.shape for value in jax.tree.leaves(sums)} == {()}
    assert "count" in sums
    assert any(name.endswith("loss") for name in sums)


@pytest.mark.parametrize("name", slow_except(["imagenet_alexnet"], of("imagenet2012")))
def test_on_imagenet_a_model_has_the_size_on_its_card(name: str) -> None:
    experiment, parts = built(name)
    card = zoo.card(experiment.model.name)
    freed = 768 * 198 if experiment.model.fields.get("positions") == "sine" else 0  # no class token, no table
    assert parts.params == card.params - freed
    assert abs(parts.flops / card.flops - 1) < 0.07  # other strides, 224 for 227 pixels, 196 tokens for 197


@pytest.mark.parametrize("name", slow_except(["digits_mlp"], of("digits")))
def test_smoke_on_digits(name: str, tmp_path: Path) -> None:
    experiment = smoke(name)
    run = train.loop.run.create(name, experiment, tmp_path)
    summary = fit(run, assemble(experiment), Console(quiet=True))
    assert summary.steps == experiment.steps
    assert summary.test["count"] == 359
    assert all(math.isfinite(value) for value in summary.test.values())


@pytest.mark.slow  # what a run on text writes is shown by tests/train/tasks/test_text_runs.py
@pytest.mark.parametrize("name", cheapest_of_each_family(of("python_docs", "python_docs/topic")))
def test_smoke_on_text_that_comes_with_python(name: str, tmp_path: Path) -> None:
    experiment = smoke(name)
    parts = assemble(experiment)
    run = train.loop.run.create(name, experiment, tmp_path, parts.tokenizer)
    assert math.isfinite(fit(run, parts, Console(quiet=True)).test["loss"])


@pytest.mark.slow  # what a run of an agent writes is shown by tests/train/tasks/test_q_learning.py
@pytest.mark.parametrize("name", of("CartPole-v1", "MountainCar-v0", "minatar/breakout"))
def test_smoke_in_a_world(name: str, tmp_path: Path) -> None:
    experiment = smoke(name)
    run = train.loop.run.create(name, experiment, tmp_path)
    summary = fit(run, assemble(experiment), Console(quiet=True))
    assert (summary.steps, summary.test["count"]) == (experiment.steps, 2)
    assert train.loop.run.load(run.path).experiment == experiment


@pytest.fixture
def decoded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Decoded sets are kept between runs of the tests, beside the compiled programs."""
    monkeypatch.setenv("ZOO_CACHE_DIR", str(Path(__file__).parents[3] / ".cache" / "zoo"))


@pytest.mark.slow
@pytest.mark.parametrize("name", cheapest_of_each_family(of("mnist", "cifar10")))
def test_smoke_on_real_images(name: str, decoded_once: None) -> None:
    experiment = smoke(name)
    if not Path(os.environ.get("TFDS_DATA_DIR", ""), experiment.data.name).is_dir():
        pytest.skip(f"TFDS_DATA_DIR does not name a folder with a prepared {experiment.data.name}")
    parts = assemble(experiment)
    few = Arrays(**parts.dataset.train.batch(np.arange(2 * experiment.data.batch)))
    data = Resident({"x": jnp.asarray(few.x), "y": jnp.asarray(few.y)}, experiment.data.batch)
    state = jax.jit(parts.task.init)(jax.random.key(0))
    before = jax.tree.map(jnp.copy, state.params)
    state, metrics = run_chunk(parts.task, state, data, jax.random.key(1), experiment.steps)
    assert all(np.isfinite(values).all() for values in metrics.values())
    moved = [np.any(a != b) for a, b in zip(*map(jax.tree.leaves, (before, state.params)), strict=True)]
    assert any(moved)
