"""Contrastive runs from end to end: views, gradients through both, nearest neighbours, resume, fine-tuning."""

import dataclasses
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from interruption import Interruption
from PIL import Image
from rich.console import Console

import train.config.schema
import train.loop.run
import zoo
from train.algorithms.optimizers import make_optimizer
from train.commands.train import TrainOptions
from train.config import Classify, Contrast, Data, Experiment, Model, Optim
from train.config.parse import parse_experiment
from train.core import Mean, State
from train.core.signals import Stopped
from train.data.inputs import images, views
from train.loop.checkpoints import Checkpoints
from train.loop.fit import fit
from train.loop.restore import assemble_run
from train.loop.run import Run
from train.metrics import nearest_neighbors
from train.metrics.evaluation import means
from train.tasks.assemble import assemble
from train.tasks.contrast.task import contrast
from zoo.errors import UserError

QUIET = Console(quiet=True)
FIELDS = {"depths": (1,), "widths": (16,)}
SIMCLR = Model("simclr_resnet20", {"fields": FIELDS, "widths": (16, 8)})
EXPERIMENT = Experiment(
    SIMCLR,
    Data("digits", batch=32, augment=("shift_1", "cutout_3")),
    Optim("adam", lr=1e-2),
    40,
    20,
    Contrast(temperature=0.2),
)
KEY = jax.random.key(0)
X = jax.random.randint(KEY, (12, 8, 8, 3), 0, 256).astype(jnp.uint8)
SHOWN = images((8, 8, 3), ("resized_crop_8", "color_0.5"))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A finished run, stopped by no one."""
    run = train.loop.run.create("digits_simclr", EXPERIMENT, tmp_path_factory.mktemp("runs"))
    fit(run, assemble(EXPERIMENT), QUIET)
    return run


def state_of(run: Run, which: str = "last") -> State:
    return Checkpoints(run.checkpoints, read_only=True).restore(assemble(run.experiment).abstract, which)[0]


def test_views_of_an_image_are_two_draws_side_by_side() -> None:
    x = np.asarray(jax.jit(partial(views, SHOWN))(KEY, {"x": X})["x"])
    assert x.shape == (24, 8, 8, 3)
    assert np.abs(x[0::2] - x[1::2]).max((1, 2, 3)).min() > 0.01
    plain = np.asarray(jax.jit(partial(views, images((8, 8, 3))))(KEY, {"x": X})["x"])
    np.testing.assert_allclose(plain, np.repeat(np.asarray(X, np.float32) / 255, 2, axis=0), rtol=1e-6)


def made(temperature: float = 0.5):
    model = zoo.create("simclr_resnet20", fields=FIELDS, widths=(16, 8))
    return contrast(model, make_optimizer(Optim("sgd", lr=1.0), 10), SHOWN, temperature=temperature)


def test_a_step_does_not_look_at_labels_and_draws_its_views_from_the_key() -> None:
    task = made()
    step, state = jax.jit(task.step), jax.jit(task.init)(KEY)
    one, metrics = step(state, {"x": X}, KEY)
    again, _ = step(state, {"x": X, "y": jnp.arange(12)}, KEY)
    other, _ = step(state, {"x": X}, jax.random.key(1))
    jax.tree.map(np.testing.assert_array_equal, one, again)
    assert np.any(one.params["net"]["head"]["dense1"]["kernel"] != other.params["net"]["head"]["dense1"]["kernel"])
    assert set(metrics) == {"loss", "contrastive_accuracy"}
    moved = jax.tree.map(lambda a, b: bool(np.any(a != b)), state.params, one.params)
    assert all(jax.tree.leaves(moved))


def test_statistics_are_of_both_views_together() -> None:
    task = made()
    state = jax.jit(task.init)(KEY)
    new, _ = jax.jit(task.step)(state, {"x": X}, KEY)
    view_key, _ = jax.random.split(KEY)
    shown = views(SHOWN, view_key, {"x": X})
    _, updated = jax.jit(
        lambda: made_model().apply(
            {"params": state.params["net"], **state.vars["net"]}, **shown, train=True, mutable=["batch_stats"]
        )
    )()
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), new.vars["net"], dict(updated))


def made_model():
    return zoo.create("simclr_resnet20", fields=FIELDS, widths=(16, 8))


def mean(metric: Mean) -> float:
    return float(metric.total) / float(metric.count)


def test_evaluation_repeats_and_padding_counts_for_nothing() -> None:
    task = made()
    state, evaluate = jax.jit(task.init)(KEY), jax.jit(task.evaluate)
    mask = jnp.array([1.0] * 9 + [0.0] * 3)
    sums = evaluate(state, {"x": X, "mask": mask})
    jax.tree.map(np.testing.assert_array_equal, sums, evaluate(state, {"x": X, "mask": mask}))
    assert float(sums["count"]) == 9
    whole = evaluate(state, {"x": X, "mask": jnp.ones(12)})
    assert mean(sums["loss"]) < mean(whole["loss"])  # fewer others
    assert 0 <= mean(sums["contrastive_accuracy"]) <= 1


@pytest.mark.slow
def test_temperature_divides_the_similarities() -> None:
    batch, state = {"x": X, "mask": jnp.ones(12)}, jax.jit(made().init)(KEY)
    cold, warm, hot = (mean(jax.jit(made(t).evaluate)(state, batch)["loss"]) for t in (0.1, 1.0, 1e4))
    assert abs(hot - np.log(23)) < 1e-3
    assert len({round(loss, 3) for loss in (cold, warm, hot)}) == 3


def test_a_run_learns_and_is_judged_by_its_neighbours(run: Run) -> None:
    summary, lines = train.loop.run.read_summary(run.path), train.loop.run.read_metrics(run.path)
    assert set(summary.test) == {"loss", "contrastive_accuracy", "knn_accuracy", "count"}
    assert summary.test["count"] == 359
    assert summary.test["knn_accuracy"] > 0.6
    assert "labels" in summary.notes["knn_accuracy"]
    losses = [line["loss"] for line in lines if line["split"] == "validation"]
    assert losses[-1] < losses[0] < np.log(63)
    assert train.loop.run.load(run.path).experiment == run.experiment


def test_a_run_draws_its_views_and_a_map_of_its_features(run: Run) -> None:
    for name in ("views.png", "features.png"):
        with Image.open(run.samples / name) as picture:
            assert len(np.unique(np.asarray(picture.convert("RGBA")).view(np.uint32))) > 9
    assert sorted(path.name for path in run.samples.iterdir()) == ["features.png", "views.png"]


@pytest.mark.slow
def test_a_stopped_run_resumes_to_the_same_bits(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stopped = train.loop.run.create("stopped", EXPERIMENT, tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr("train.loop.fit.Watch", Interruption)
        with pytest.raises(Stopped, match="stopped at step 20"):
            fit(stopped, assemble(EXPERIMENT), QUIET)
    fit(stopped, assemble(EXPERIMENT), QUIET, resume=True)
    jax.tree.map(np.testing.assert_array_equal, state_of(run), state_of(stopped))


def test_fine_tuning_takes_the_encoder_with_its_statistics_and_says_so(run: Run, tmp_path: Path) -> None:
    tuned = Experiment(
        Model("resnet20", FIELDS),
        Data("digits", batch=32, labels=0.1),
        Optim("sgd", lr=1e-9),
        1,
        1,
        Classify(),
        init_from=str(run.path),
    )
    child, console = train.loop.run.create("tuned", tuned, tmp_path), Console(width=200, record=True, quiet=False)
    with console.capture() as capture:
        fit(child, assemble_run(tuned), console)
    assert f"took 15 of 17 arrays from {run.path} (simclr_resnet20)" in capture.get()
    assert "as they were: net/head/bias, net/head/kernel" in capture.get()
    before, after = state_of(run, "best"), state_of(child)
    encoder = {name: leaf for name, leaf in after.params["net"].items() if name != "head"}
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), encoder, before.params["net"]["encoder"])
    statistics = before.vars["net"]["batch_stats"]["encoder"]

    def moved_once(old: np.ndarray, new: np.ndarray) -> None:
        fresh = np.ones_like(old) if (old > 0).all() else np.zeros_like(old)
        assert np.abs(new - old).mean() < np.abs(new - fresh).mean()  # nearer to the run's than to those of a new net

    jax.tree.map(moved_once, statistics["s0b0"], after.vars["net"]["batch_stats"]["s0b0"])


def test_neighbours_vote_by_cosine_and_weight() -> None:
    bank, labels = np.array([[1.0, 0], [0.9, 0.1], [0, 5.0]]), np.array([0, 0, 1])
    queries = np.array([[10.0, 1], [0.1, 1], [0, 0.01]])
    np.testing.assert_array_equal(nearest_neighbors.vote(bank, labels, queries, 2), [0, 1, 1])
    # Two that are further outvote one that is near only where the temperature lets them.
    near = np.array([[1.0, 0], [0.8, 0.6], [0.8, -0.6]])
    votes = [nearest_neighbors.vote(near, np.array([1, 0, 0]), near[:1], 2, 3, t)[0] for t in (0.07, 10.0)]
    assert votes == [1, 0]
    assert nearest_neighbors.vote(near, np.array([1, 0, 0]), near[:1], 2, 1, 10.0)[0] == 1


def test_fields_of_the_encoder_come_from_the_command_line() -> None:
    line = ["--model.fields.depths", "2", "--model.widths", "4", "4", "--task.temperature=0.3"]
    experiment, _ = parse_experiment(line, prog="zoo train", default=EXPERIMENT, options=TrainOptions)
    assert experiment.model.fields == {"fields": {"depths": (2,), "widths": (16,)}, "widths": (4, 4)}
    assert type(experiment.model.fields["fields"]) is dict
    assert experiment.task == Contrast(temperature=0.3)


WRONG = [
    ({"model": Model("lenet5")}, "lenet5 cannot do the task 'contrast'; models that can: simclr_resnet50"),
    ({"data.augment": ()}, "the task 'contrast' needs data.augment: without it the two views of an image are the same"),
    ({"data.augment": ("flip", "mixup_1")}, "data.augment: mixup mixes labels, and the task 'contrast' has none"),
    (
        {"data.augment": ("flip", "mixup_or_cutmix_0.8")},
        "data.augment: mixup_or_cutmix mixes labels, and the task 'contrast' has none",
    ),
    ({"data.augment": ("color_0.5",)}, "data.augment 'color_0.5': color needs images of 3 channels, and these have 1"),
    ({"data.batch": 1}, "the task 'contrast' compares images: data.batch must be at least 2, not 1"),
    ({"data.batch": 5000}, "data.batch 5000 is larger than the 1295 training examples"),
    ({"data.labels": 0.5}, "the task 'contrast' learns without labels: data.labels must be 1, not 0.5"),
    ({"data.wrong_labels": 0.5}, "the task 'contrast' learns without labels: data.wrong_labels must be 0, not 0.5"),
    ({"task": Contrast(temperature=0.0)}, "task.temperature must be a number above 0, not 0.0"),
    (
        {"data": train.config.schema.Text("python_docs")},
        "the task 'contrast' needs a set of images, and python_docs is text",
    ),
]


@pytest.mark.parametrize(("changes", "line"), WRONG)
def test_what_cannot_be_is_one_line(changes: dict, line: str) -> None:
    experiment = EXPERIMENT
    for name, value in changes.items():
        part, _, field = name.partition(".")
        value = dataclasses.replace(getattr(experiment, part), **{field: value}) if field else value
        experiment = dataclasses.replace(experiment, **{part: value})
    with pytest.raises(UserError) as error:
        assemble(experiment)
    assert str(error.value).startswith(line)
    assert "\n" not in str(error.value)


def test_an_image_alone_in_its_batch_does_not_count() -> None:
    """There is nothing to tell it from: its loss would be 0 and its accuracy 1."""
    task = assemble(EXPERIMENT).task
    state = jax.jit(task.init)(KEY)
    run_evaluate = jax.jit(task.evaluate)
    x = X[:4, ..., :1]
    full, alone = (run_evaluate(state, {"x": x, "mask": jnp.array(mask)}) for mask in ([1.0] * 4, [1.0, 0.0, 0.0, 0.0]))
    both = means(jax.tree.map(lambda a, b: float(a) + float(b), full, alone))
    assert both["count"] == 5
    for name in ("loss", "contrastive_accuracy"):
        assert both[name] == means(full)[name]
    assert both["loss"] > 0
