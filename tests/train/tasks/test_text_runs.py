"""Runs on text from end to end: what each task writes, resume to the bit, fine-tuning from another run."""

import dataclasses
import json
from functools import partial
from pathlib import Path

import jax
import numpy as np
import pytest
from cases import slow_except
from interruption import Interruption
from rich.console import Console

import train.loop.run
from train.config import Classify, Experiment, Language, Masked, Model, Optim, Text, Translate
from train.core import State
from train.core.signals import Stopped
from train.data.text.dataset import Corpus, Examples
from train.loop.checkpoints import Checkpoints
from train.loop.fit import fit
from train.loop.restore import assemble_run
from train.loop.run import Run
from train.loop.transfer import start_from
from train.tasks.setup import Setup
from zoo.errors import UserError

QUIET = Console(quiet=True)
NUMBERS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
GPT = Model("gpt_char_mini", {"width": 32, "depth": 1, "heads": 2, "dropout": 0.1})
BERT = Model("bert_tiny", {"width": 32, "depth": 1, "heads": 2, "context": 32})
TRANSFORMER = Model("transformer_mini", {"width": 32, "depth": 1, "heads": 2, "hidden": 32})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Numbers in words: as running text, with their value, and as small or large."""
    folder = tmp_path_factory.mktemp("text")
    named = [
        (f"{ten} {unit}", str(10 * i + j)) for i, ten in enumerate(TENS, 2) for j, unit in enumerate(NUMBERS[:9], 1)
    ]
    text = " ".join(words for words, _ in named * 10)
    (folder / "numbers.txt").write_text(text, encoding="utf-8")
    (folder / "pairs.tsv").write_text("".join(f"{a}\t{b}\n" for a, b in named * 3), encoding="utf-8")
    sized = [(words, "small" if int(value) < 60 else "large") for words, value in named]
    (folder / "sized.tsv").write_text("".join(f"{a}\t{b}\n" for a, b in sized * 3), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def experiments(folder: Path) -> dict[str, Experiment]:
    words = {"tokenizer": "wordpiece", "vocab": 200, "length": 16}
    optim = Optim("adam", lr=1e-2)
    return {
        "language": Experiment(
            GPT, Text(f"text:{folder / 'numbers.txt'}", 16, "char", length=16), optim, 40, 20, Language()
        ),
        "translate": Experiment(
            TRANSFORMER,
            Text(f"tsv:{folder / 'pairs.tsv'}", 16, "char", length=20, buckets=(12, 16)),
            optim,
            40,
            20,
            Translate(label_smoothing=0.1, beams=2),
        ),
        "masked": Experiment(BERT, Text(f"tsv:{folder / 'sized.tsv'}", 16, **words), optim, 40, 20, Masked()),
        "classify": Experiment(BERT, Text(f"tsv:{folder / 'sized.tsv'}", 16, **words), optim, 40, 20, Classify()),
    }


class Runs(dict):
    """A finished run of each task, trained when it is first asked for."""

    def __init__(self, experiments: dict[str, Experiment], workdir: Path) -> None:
        super().__init__()
        self.experiments, self.workdir = experiments, workdir

    def __missing__(self, task: str) -> Run:
        experiment = self.experiments[task]
        setup = assemble_run(experiment)
        run = self[task] = train.loop.run.create(task, experiment, self.workdir, setup.tokenizer)
        fit(run, setup, QUIET)
        return run


@pytest.fixture(scope="module")
def runs(experiments: dict[str, Experiment], tmp_path_factory: pytest.TempPathFactory) -> Runs:
    return Runs(experiments, tmp_path_factory.mktemp("runs"))


METRICS = {
    "language": {"loss", "accuracy", "perplexity", "bits_per_byte", "count"},
    "translate": {"loss", "accuracy", "perplexity", "bleu", "chrf", "exact_match", "count"},
    "masked": {"loss", "accuracy", "masked_loss", "next_sentence_loss", "next_sentence_accuracy", "count"},
    "classify": {"loss", "accuracy", "count"},
}


@pytest.mark.parametrize("task", slow_except(["language", "masked"], METRICS))
def test_a_run_measures_what_its_task_is_judged_by(task: str, runs: dict[str, Run]) -> None:
    summary = train.loop.run.read_summary(runs[task].path)
    assert set(summary.test) == METRICS[task]
    assert summary.task == task
    lines = [line for line in train.loop.run.read_metrics(runs[task].path) if line["split"] == "train"]
    assert lines[-1]["loss"] < lines[0]["loss"]
    assert train.loop.run.load(runs[task].path).experiment == runs[task].experiment
    assert (runs[task].path / "tokenizer.json").is_file()


@pytest.mark.slow
def test_the_loss_of_a_validation_is_what_is_trained(runs: dict[str, Run]) -> None:
    """It was that of the guesses alone, so the best checkpoint ignored half of what is trained."""
    for line in train.loop.run.read_metrics(runs["masked"].path):
        np.testing.assert_allclose(line["loss"], line["masked_loss"] + line["next_sentence_loss"], rtol=1e-5)


def test_perplexity_and_bits_follow_from_the_loss(runs: dict[str, Run]) -> None:
    test = train.loop.run.read_summary(runs["language"].path).test
    np.testing.assert_allclose(test["perplexity"], np.exp(test["loss"]))
    # One byte a character, and every character but the first is predicted.
    np.testing.assert_allclose(test["bits_per_byte"] * (test["count"] + 1) / test["count"], test["loss"] / np.log(2))


def test_a_language_model_shows_what_it_writes(runs: dict[str, Run]) -> None:
    samples = (runs["language"].samples / "samples.txt").read_text(encoding="utf-8")
    assert samples.count("-" * 60) == 2


@pytest.mark.slow
def test_a_translator_shows_what_it_writes(runs: dict[str, Run]) -> None:
    header, *rows = (runs["translate"].samples / "test.tsv").read_text(encoding="utf-8").splitlines()
    assert header == "source\treference\ttranslation"
    assert {len(row.split("\t")) for row in rows} == {3}
    assert "version" in train.loop.run.read_summary(runs["translate"].path).notes["bleu"]


def state_of(run: Run, which: str = "last") -> State:
    parts = assemble_run(run.experiment, run.path)
    return Checkpoints(run.checkpoints, read_only=True).restore(parts.abstract, which)[0]


@pytest.mark.parametrize("task", slow_except(["language"], ["language", "translate", "masked"]))
def test_a_stopped_run_resumes_to_the_same_bits(
    task: str, runs: dict[str, Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment = runs[task].experiment
    parts = assemble_run(experiment)
    run = train.loop.run.create("stopped", experiment, tmp_path, parts.tokenizer)
    with monkeypatch.context() as patch:
        patch.setattr("train.loop.fit.Watch", Interruption)
        with pytest.raises(Stopped):
            fit(run, parts, QUIET)
    fit(run, assemble_run(experiment, run.path), QUIET, resume=True)
    jax.tree.map(np.testing.assert_array_equal, state_of(runs[task]), state_of(run))


def test_fine_tuning_takes_the_encoder_and_the_tokenizer(
    runs: dict[str, Run], experiments: dict[str, Experiment], tmp_path: Path
) -> None:
    before = state_of(runs["masked"], "best").params["net"]
    still = Optim("sgd", lr=1e-9)
    tuned = dataclasses.replace(
        experiments["classify"], init_from=str(runs["masked"].path), optim=still, steps=1, eval_every_steps=1
    )
    parts = assemble_run(tuned)
    run = train.loop.run.create("tuned", tuned, tmp_path, parts.tokenizer)
    fit(run, parts, QUIET)
    after = state_of(run).params["net"]
    np.testing.assert_allclose(after["tokens"]["embedding"], before["tokens"]["embedding"], atol=1e-6)
    np.testing.assert_allclose(
        after["block0"]["mlp"]["up"]["kernel"], before["block0"]["mlp"]["up"]["kernel"], atol=1e-6
    )
    assert "masked" not in after
    assert (run.path / "tokenizer.json").read_text() == (runs["masked"].path / "tokenizer.json").read_text()


def test_frozen_parts_stay_and_others_have_their_own_rate(
    runs: dict[str, Run], experiments: dict[str, Experiment], tmp_path: Path
) -> None:
    optim = Optim("sgd", lr=0.1, freeze=("tokens/*", "block0/attention/*"), rates=("head/*=10",))
    experiment = dataclasses.replace(
        experiments["classify"], init_from=str(runs["masked"].path), optim=optim, steps=3, eval_every_steps=3
    )
    parts = assemble_run(experiment)
    run = train.loop.run.create("frozen", experiment, tmp_path, parts.tokenizer)
    fit(run, parts, QUIET)
    before, after = state_of(runs["masked"], "best").params["net"], state_of(run).params["net"]
    np.testing.assert_array_equal(after["tokens"]["embedding"], before["tokens"]["embedding"])
    np.testing.assert_array_equal(
        after["block0"]["attention"]["qkv"]["kernel"], before["block0"]["attention"]["qkv"]["kernel"]
    )
    assert np.any(after["block0"]["mlp"]["up"]["kernel"] != before["block0"]["mlp"]["up"]["kernel"])


WRONG = [
    ("language", {"model": BERT}, "bert_tiny cannot do the task 'language' on text; models that can: "),
    ("translate", {"model": GPT}, "gpt_char_mini cannot do the task 'translate' on text; models that can: "),
    ("masked", {"model": Model("vit_mini_patch4")}, "vit_mini_patch4 cannot do the task 'masked' on text"),
    ("language", {"model": Model("gpt_char_mini", {"vocab": 5})}, "model.vocab is 5, but text:"),
    ("language", {"data.length": 65}, "gpt: 65 tokens do not fit its context of 64"),
    ("language", {"data.length": 4}, "data.length must be at least 5 tokens, not 4"),
    ("language", {"data.buckets": (8,)}, "data.buckets are for sentences"),
    ("translate", {"data.buckets": (16, 8)}, "data.buckets must rise and lie between 1 and data.length 20"),
    ("translate", {"data.batch": 1000}, "data.batch 1000 is larger than the 156 training examples"),
    ("translate", {"data.batch": 1000, "data.buckets": (12,)}, "data.batch 1000 is larger than the 156 training"),
    ("masked", {"data.batch": 1000}, "data.batch 1000 is larger than the 162 training examples"),
    ("classify", {"data.batch": 1000}, "data.batch 1000 is larger than the 138 training examples"),
    ("classify", {"data.batch": 100, "data.labels": 0.5}, "data.batch 100 is larger than the 60 training examples"),
    ("translate", {"task": Translate(beams=0)}, "task.beams must be at least 1, not 0"),
    ("translate", {"task": Translate(label_smoothing=1.0)}, "task.label_smoothing must be at least 0 and below 1"),
    ("masked", {"task": Masked(share=1.0)}, "task.share must be at least 0 and below 1, not 1.0"),
    ("masked", {"data.tokenizer": "char"}, "this tokenizer has no [CLS]"),
    ("classify", {"init_from": "nowhere"}, "init_from: no run folder at nowhere"),
    ("masked", {"task": Masked(left_to_right=True)}, "task.left_to_right and the model's field `causal` go together"),
    ("masked", {"model": Model("bert_tiny", {"causal": True})}, "task.left_to_right and the model's field `causal`"),
    ("classify", {"optim": Optim(rates=("head/*",))}, "optim.rates must be PATTERN=FACTOR"),
    ("classify", {"optim": Optim(freeze=("heads/*",))}, "optim: no parameter is called 'heads/*'"),
]


@pytest.mark.parametrize(("task", "changes", "message"), WRONG)
def test_what_cannot_be_is_one_line(task: str, changes: dict, message: str, experiments: dict[str, Experiment]) -> None:
    experiment = experiments[task]
    for name, value in changes.items():
        part, _, field = name.partition(".")
        value = dataclasses.replace(getattr(experiment, part), **{field: value}) if field else value
        experiment = dataclasses.replace(experiment, **{part: value})
    with pytest.raises(UserError) as error:
        assemble_run(experiment)
    assert str(error.value).startswith(message) or message in str(error.value)
    assert "\n" not in str(error.value)


@pytest.fixture
def paired(experiments: dict[str, Experiment], monkeypatch: pytest.MonkeyPatch) -> Experiment:
    """A classifier of pairs of sentences, as GLUE has them."""
    count = 40
    parts = Examples(["a b c", "b c"] * 20, ["c d", "d d a"] * 20, np.arange(count, dtype=np.int32) % 2)
    corpus = Corpus("glue/fake", "", {"train": parts, "test": parts}, ("no", "yes"))
    monkeypatch.setattr("train.data.text.catalog.find", lambda name, form: corpus)
    data = Text("glue/fake", 8, "wordpiece", vocab=40, length=12)
    return dataclasses.replace(experiments["classify"], data=data, steps=1, eval_every_steps=1)


def distinct(setup: Setup) -> State:
    """A state in which two segments differ as much as in a trained network."""
    draw = np.random.default_rng(0)
    state = jax.jit(setup.task.init)(jax.random.key(0))
    return state.replace(
        params=jax.tree.map(lambda leaf: jax.numpy.float32(draw.normal(0, 0.3, leaf.shape)), state.params)
    )


def logits_of(setup: Setup, state: State, *, segmented: bool) -> np.ndarray:
    """The logits of the first pair, with the segments written out by hand."""
    tokens = setup.dataset.test.arrays["tokens"][:1].astype(np.int32)
    first, second = np.flatnonzero(tokens[0] == setup.tokenizer.token_to_id("[SEP]"))
    segments = np.zeros_like(tokens)
    segments[0, first + 1 : second + 1] = segmented
    variables = {"params": state.params["net"]}
    return setup.model.apply(variables, tokens, mask=tokens != 0, segments=segments, train=False)


def test_pairs_of_sentences_are_classified_with_their_segments(paired: Experiment) -> None:
    setup = assemble_run(paired)
    state = distinct(setup)
    example = {"tokens": setup.dataset.test.arrays["tokens"][:1]}
    assert setup.task.predict is not None
    found = setup.task.predict(state, example)
    np.testing.assert_allclose(found, logits_of(setup, state, segmented=True), rtol=1e-4, atol=1e-5)
    assert np.abs(found - logits_of(setup, state, segmented=False)).max() > 0.01
    assert not setup.remarks


def test_a_run_on_pairs_from_before_segments_is_judged_as_it_was_trained(paired: Experiment, tmp_path: Path) -> None:
    run = train.loop.run.create("old", paired, tmp_path)
    content = json.loads((run.path / "config.json").read_text(encoding="utf-8"))
    del content["data"]["segments"]
    (run.path / "config.json").write_text(json.dumps(content), encoding="utf-8")
    experiment = train.loop.run.load(run.path).experiment
    assert experiment == dataclasses.replace(paired, data=dataclasses.replace(paired.data, segments=False))
    setup = assemble_run(experiment)
    state = distinct(setup)
    assert setup.task.predict is not None
    found = setup.task.predict(state, {"tokens": setup.dataset.test.arrays["tokens"][:1]})
    np.testing.assert_allclose(found, logits_of(setup, state, segmented=False), rtol=1e-4, atol=1e-5)
    assert np.abs(found - logits_of(setup, state, segmented=True)).max() > 0.01
    assert setup.remarks == (setup.notes["accuracy"],)
    assert "without segments" in setup.notes["accuracy"]


@pytest.mark.parametrize("name", ["tsv:sized.tsv", "python_docs/topic"])
def test_a_run_on_single_sentences_from_before_segments_is_the_same_run(
    name: str, experiments: dict[str, Experiment], tmp_path: Path
) -> None:
    experiment = dataclasses.replace(experiments["classify"], data=Text(name))
    run = train.loop.run.create("old", experiment, tmp_path)
    text = (run.path / "config.json").read_text(encoding="utf-8")
    (run.path / "config.json").write_text(text.replace('"segments": true,', ""), encoding="utf-8")
    assert train.loop.run.load(run.path).experiment == experiment


def split_text(folder: Path, train: str, validation: str, test: str) -> Text:
    """Running text in characters, with the three splits as they are given."""
    folder.mkdir(exist_ok=True)
    for name, text in {"train": train, "validation": validation, "test": test}.items():
        (folder / f"{name}.txt").write_text(text, encoding="utf-8")
    return Text(f"text:{folder}", 4, "char", length=16)


def test_a_split_shorter_than_a_window_is_measured_whole(experiments: dict[str, Experiment], tmp_path: Path) -> None:
    data = split_text(tmp_path / "short", "the cat sat on the mat " * 9, "the cat sat", "the")
    setup = assemble_run(dataclasses.replace(experiments["language"], data=data))
    state = jax.jit(setup.task.init)(jax.random.key(0))
    for split in (setup.dataset.validation, setup.dataset.test):
        tokens = split.arrays["tokens"].astype(np.int32)
        logits = jax.jit(partial(setup.model.apply, train=False))({"params": state.params["net"]}, tokens[None, :-1])[0]
        expected = -np.take_along_axis(np.asarray(jax.nn.log_softmax(logits)), tokens[1:, None], 1).mean()
        name = "validation" if split is setup.dataset.validation else "test"
        evaluate = setup.evaluator(name, None)
        assert evaluate is not None
        measured = evaluate(state)
        assert measured["count"] == len(tokens) - 1
        np.testing.assert_allclose(measured["loss"], expected, rtol=1e-6)


@pytest.mark.parametrize("split", ["validation", "test"])
def test_a_split_with_nothing_to_predict_is_refused(
    split: str, experiments: dict[str, Experiment], tmp_path: Path
) -> None:
    texts = {"train": "the cat sat on the mat " * 9, "validation": "the cat", "test": "the mat"} | {split: "t"}
    for task, changes in {"language": {}, "masked": {"tokenizer": "wordpiece", "vocab": 40}}.items():
        data = dataclasses.replace(split_text(tmp_path / task, **texts), **changes)
        with pytest.raises(UserError, match=f"its {split} split is too short to predict anything"):
            assemble_run(dataclasses.replace(experiments[task], data=data))


def test_a_run_of_which_nothing_fits_cannot_start_another(runs: dict[str, Run], experiments: dict) -> None:
    other = State(np.int32(0), {"net": {"conv": {"kernel": jax.numpy.zeros((3, 3))}}}, {}, {})
    with pytest.raises(UserError, match=r"^init_from: no parameter of .* [(]bert_tiny[)] fits this model$"):
        start_from(other, dataclasses.replace(experiments["classify"], init_from=str(runs["masked"].path)))
