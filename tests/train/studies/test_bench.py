"""The benchmark measures what it says: fair rounds, ratios within a round, figures of the real loop."""

import dataclasses
import importlib.util
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import slow_except
from flax import linen as nn
from rich.console import Console

import zoo
from train.commands import bench
from train.inference.decode import generate
from train.studies.bench import BATCHES, FAMILIES, decode, peers, steps, table, workloads
from zoo.cards import Card
from zoo.errors import UserError

MEASURABLE = [
    card for card in zoo.CARDS.values() if workloads.measurable(card) and card.family not in workloads.WITHOUT_BATCHES
]
SMALLEST = {card.family: card for card in sorted(MEASURABLE, key=lambda card: -card.params)}
TEXTS = [card for card in SMALLEST.values() if workloads.text_length(card)]
SMALL = {"vocab": 40, "source_vocab": 30, "width": 8, "embed": 8, "hidden": 8, "align": 8, "maxout": 8}
TINY = SMALL | {"depth": 1, "heads": 2, "context": 8}


DECODING = [card for card in TEXTS if decode.decodes(card)]


def tiny(card: Card) -> Card:
    """The same architecture with fields that take no time."""
    fields = {field: value for field, value in TINY.items() if hasattr(card.config, field)}
    return dataclasses.replace(card, config=dataclasses.replace(card.config, **fields))


def name_of(value: Any) -> str | None:
    return value.family if isinstance(value, Card) else None


@pytest.fixture
def peak(monkeypatch: pytest.MonkeyPatch, brief_timings: None) -> None:
    monkeypatch.setattr(steps, "peak_flops", lambda: 1e9)  # the product of large matrices takes a while


@pytest.fixture
def kept_programs() -> Iterator[None]:
    """The command compiles everything anew; the tests after it do not."""
    before = jax.config.jax_enable_compilation_cache
    yield
    jax.config.update("jax_enable_compilation_cache", before)


@pytest.mark.usefixtures("peak")
def test_a_model_is_measured_in_the_loop_and_bare() -> None:
    (row,) = steps.bench(steps.plan(["perceptron"], batches=[2], steps=2, rounds=3))
    assert (row.name, row.batch, row.length, row.peer_ms, row.over_peer) == ("perceptron", 2, None, {}, None)
    assert len(row.loop_ms) == len(row.bare_ms) == 3
    assert min(row.loop_ms + row.bare_ms + [row.compile_seconds]) > 0
    state, images = 2 * 4 * 7850, 8 * 28 * 28  # parameters and momentum; four batches of two images
    assert state + images < row.memory_bytes < 10 * (state + images)
    assert state <= row.state_bytes <= state + 64  # and a few counters
    assert 0 < row.temporary_bytes < row.memory_bytes - row.state_bytes
    np.testing.assert_allclose(row.peak_share, 3 * 15_680 * 2 / (np.median(row.loop_ms) * 1e-3) / 1e9)


@pytest.mark.usefixtures("brief_timings")
@pytest.mark.parametrize("card", slow_except([SMALLEST["gpt"]], TEXTS), ids=name_of)
def test_every_family_of_text_is_measured(card: Card) -> None:
    row = steps.measure(steps.Trial(tiny(card), batch=2, length=8, steps=2, rounds=1), peak=1e9)
    assert (row.name, row.batch, row.length) == (card.name, 2, 8)
    assert min(row.loop_ms + row.bare_ms + [row.memory_bytes, row.peak_share]) > 0


@pytest.mark.usefixtures("brief_timings")
@pytest.mark.parametrize("card", slow_except([SMALLEST["gpt"]], DECODING), ids=name_of)
def test_decoding_is_measured_with_the_cache_and_without(card: Card, monkeypatch: pytest.MonkeyPatch) -> None:
    made: dict[str, Any] = {}

    def kept(way: str, call: Any) -> Any:
        return lambda *args, **kwargs: made.setdefault(way, call(*args, **kwargs))

    monkeypatch.setattr(decode, "generate", kept("cached", generate))
    monkeypatch.setattr(decode, "generate_uncached", kept("uncached", decode.generate_uncached))
    row = decode.measure_decoding(tiny(card), batch=2, length=8, rounds=3)
    assert (row.name, row.batch, row.length, len(row.cached), len(row.uncached)) == (card.name, 2, 8, 3, 3)
    assert min(row.cached + row.uncached) > 0
    np.testing.assert_array_equal(made["cached"][0], made["uncached"])


def test_decoding_of_the_default_models_leaves_out_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    row = decode.DecodeRow("a", 2, 8, [300.0, 4000.0], [100.0, 1000.0])
    monkeypatch.setattr(decode, "measure_decoding", lambda card, *_: dataclasses.replace(row, name=card.name))
    rows = steps.bench_decoding(steps.LINE)
    assert {"lstm_char", "transformer_mini", "gpt_char_mini"} <= {row.name for row in rows}
    assert "bert_mini" not in {row.name for row in rows}
    assert json.loads(decode.as_json(rows))["rows"][0]["over_uncached"] == 3.5
    console = Console(width=200)
    with console.capture() as capture:
        console.print(decode.as_table([row]))
    line = next(line for line in capture.get().splitlines() if line.strip().startswith("a "))
    assert " ".join(line.split()) == "a 2 × 8 2,150 550 3.5 times"


@pytest.mark.parametrize(
    ("args", "line"),
    [
        (["bert_mini", "--decode"], "zoo bench: bert_mini generates no sequences, so there is nothing to decode"),
        (["gpt_char_mini", "--decode", "--length", "65"], "zoo bench: length must be at most 64, the context of gpt"),
        (["--decode", "--peers"], "zoo bench: --decode measures no training steps, so that --peers and --steps"),
        (["--decode", "--rounds", "0"], "zoo bench: rounds must be at least 1, not 0"),
    ],
)
@pytest.mark.usefixtures("kept_programs")
def test_bad_input_of_decoding_is_one_line(args: list[str], line: str) -> None:
    with pytest.raises(UserError) as error:
        bench.bench_command(args)
    assert str(error.value).startswith(line)


@pytest.mark.parametrize("card", slow_except([SMALLEST["mlp"], SMALLEST["lstm"]], SMALLEST.values()), ids=name_of)
def test_a_model_is_shown_what_its_card_says(card: Card) -> None:
    length = workloads.text_length(card)
    task, data = workloads.training(card, 2)
    key, shown = jax.random.key(0), {}

    def note(call: Any, args: tuple, kwargs: dict, context: nn.module.InterceptorContext) -> Any:
        if not context.module.path and context.method_name in ("__call__", "generate"):
            shown.update(zip(card.inputs, args, strict=False), **kwargs)
        return call(*args, **kwargs)

    state = jax.eval_shape(task.init, key)
    with nn.intercept_methods(note):
        jax.eval_shape(lambda state: task.step(state, workloads.first_batch(data), key), state)
    for name, (shape, dtype) in card.inputs.items():
        views = 4 if card.family == "simclr" else 2  # two of each image
        assert (shown[name].shape, shown[name].dtype) == ((views, *(shape if length is None else (length,))), dtype)


def test_text_is_as_long_as_on_the_card_but_at_most_128() -> None:
    lengths = {name: workloads.text_length(zoo.card(name)) for name in ("seq2seq_mini", "bert_mini", "resnet20")}
    assert lengths == {"seq2seq_mini": 32, "bert_mini": 128, "resnet20": None}
    assert workloads.text_length(zoo.card("bert_mini"), 200) == 200


@pytest.mark.parametrize(
    "name", slow_except(["lstm_char"], ["resnet20", "gpt_char_mini", "transformer_mini", "lstm_char"])
)
def test_flops_are_those_of_the_card(name: str) -> None:
    card = zoo.card(name)
    assert workloads.forward_flops(*workloads.training(card, 2)) == 2 * card.flops


def test_rounds_interleave_and_the_first_is_not_counted() -> None:
    calls = []
    programs = {name: lambda n, name=name: calls.append((name, n)) for name in ("bare", "loop", "peer")}
    times = steps._interleave(programs, {"bare": 5, "loop": 5, "peer": 2}, 2)
    assert calls == [("bare", 5), ("loop", 5), ("peer", 2)] * 3
    assert [len(each) for each in times.values()] == [2, 2, 2]


def test_ratios_are_of_one_round_each() -> None:
    peer_ms = {"eager": [3.0, 6.0, 30.0], "compile": [4.0, 7.0, 20.0]}
    row = steps.Row("a", 10, 64, [1.0, 2.0, 100.0], [2.0, 4.0, 200.0], peer_ms, 1.0, 2**20, 0.5)
    assert (row.loop_over_bare, row.over_peer, row.examples_per_second) == (2.0, 3.0, 5000.0)
    assert row.best_peer == "eager"
    figures = json.loads(table.as_json([row]))["rows"][0]
    assert (figures["over_peer"], figures["loop_ms"]) == (3.0, [1.0, 2.0, 100.0])
    console = Console(width=200)
    with console.capture() as capture:
        console.print(table.as_table([row]))
    printed = capture.get()
    assert "examples × tokens of a text" in " ".join(printed.split())
    line = next(line for line in printed.splitlines() if line.strip().startswith("a "))
    assert " ".join(line.split()) == "a 10 × 64 2.00 ± 49.50 5,000 2.00 50 % 1 1.0 6.00 ± 13.50 eager 3.00"
    heads, cells = (re.split(r"\s{2,}", text) for text in (table.header(peers=True), table.line(row)))
    assert dict(zip(heads, cells, strict=True))["its best"] == "eager"


def test_a_round_is_filled_by_its_steps() -> None:
    assert 2 <= steps._fill(lambda: np.ones(10_000_000).sum()) < 1000


def test_the_state_moves_on_between_steps() -> None:
    seen = []
    run = steps._repeat(lambda state: seen.append(int(state)) or state + 1, jnp.zeros((), jnp.int32))
    run(2)
    run(1)
    assert seen == [0, 1, 2]


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"names": ["resnet21"]}, "unknown model 'resnet21': did you mean resnet"),
        ({"names": ["dqn_nat*"]}, "zoo bench: dqn_nat* has no task here: it measures classifiers, models of text"),
        ({"names": ["mlp"], "batches": [32, 0]}, "zoo bench: batch must be at least 1, not 0"),
        ({"names": ["mlp"], "length": 7}, "zoo bench: length must be at least 8, not 7"),
        (
            {"names": ["mlp", "gpt_char_mini"], "length": 65},
            "zoo bench: length must be at most 64, the context of gpt_char_mini, not 65",
        ),
        ({"names": ["mlp"], "steps": 1}, "zoo bench: steps must be at least 2, not 1"),
        ({"names": ["mlp"], "rounds": 0}, "zoo bench: rounds must be at least 1, not 0"),
    ],
)
def test_bad_input_is_one_line(options: dict, line: str) -> None:
    with pytest.raises(UserError) as error:
        steps.plan(**options)
    assert str(error.value).startswith(line)
    assert "\n" not in str(error.value)


@pytest.mark.usefixtures("kept_programs")
def test_peers_say_what_they_need(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(importlib.util, "find_spec", lambda name: None)
        with pytest.raises(UserError, match="needs PyTorch, the extra `peers`"):
            bench.bench_command(["perceptron", "--peers"])
    monkeypatch.setattr(peers, "FILE", Path("nowhere"))
    with pytest.raises(UserError, match="needs a clone of the repository"):
        bench.bench_command(["perceptron", "--peers"])


def test_peers_are_compared_in_a_model_of_each_family_and_two_batches() -> None:
    trials = steps.plan(steps.LINE, batches=BATCHES, peers=True)
    assert {trial.card.family for trial in trials} == {card.family for card in zoo.CARDS.values()}
    assert [(trial.card.name, trial.batch) for trial in trials[:2]] == [("perceptron", 32), ("perceptron", 128)]
    assert len(trials) == 2 * len(FAMILIES)


@pytest.mark.usefixtures("peak")
def test_the_agent_is_measured_in_its_environment() -> None:
    (row,) = steps.bench(steps.plan(["dqn*"], batches=[2], steps=2, rounds=1))
    assert (row.name, row.batch, row.peak_share) == ("dqn_mlp", 2, None)
    assert min(row.loop_ms + row.bare_ms + [row.memory_bytes]) > 0
    assert "–" in table.line(row)


@pytest.mark.usefixtures("peak", "kept_programs")
def test_the_command_prints_json(capsys: pytest.CaptureFixture[str]) -> None:
    bench.bench_command(["perceptron", "--batch", "2", "--steps", "2", "--rounds", "1", "--json"])
    printed = json.loads(capsys.readouterr().out)
    assert printed["jax"] == jax.__version__
    assert [row["name"] for row in printed["rows"]] == ["perceptron"]
