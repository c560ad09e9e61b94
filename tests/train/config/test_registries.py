"""The tables of metrics, ways of learning and losses are complete, and open to a user's own."""

import dataclasses
import json
import subprocess
import sys
from typing import Literal

import pytest

import train.algorithms
import train.metrics
import train.tasks
from train.config import Classify, Data, Experiment, Language, Model, Text, World, metrics, override, ranges
from train.config.losses import LOSSES
from train.config.metrics import METRICS, Metric
from train.config.parse import parse_experiment
from train.config.registry import Registry, registering
from train.config.ways import WAYS, resolve
from train.history.claims import metric as claim_metric
from train.tasks.check import check
from zoo.errors import UserError


@dataclasses.dataclass(frozen=True)
class Regress:
    """Images to numbers."""

    name: Literal["regress"] = "regress"
    scale: float = 1.0
    """What labels are divided by."""


@dataclasses.dataclass(frozen=True)
class Mine:
    """Another way of learning."""

    name: Literal["mine"] = "mine"


@dataclasses.dataclass(frozen=True)
class Nothing:
    """A command without options."""


@pytest.fixture
def clean():
    """Takes out of every table what a test entered."""
    tables: tuple[Registry, ...] = (METRICS, WAYS, LOSSES)
    before = [set(table) for table in tables]
    yield
    for table, names in zip(tables, before, strict=True):
        for name in set(table) - names:
            table.remove(name)


@pytest.fixture
def regress(clean):
    """An own way of learning with an own metric."""
    train.metrics.register("rmse", better="lower", title="RMSE", low=0.0, digits=3)
    return train.tasks.register(
        "regress", config=Regress, setup="mine:assemble", learns_from=(Data,), metrics=("rmse", "loss")
    )


@pytest.mark.parametrize("name", METRICS)
def test_every_metric_has_a_title_and_a_figure(name: str) -> None:
    metric = METRICS[name]
    assert metric.name == name
    assert metric.title
    assert "_" not in metric.title
    assert metric.better in ("higher", "lower", None)
    assert metric.bounds.low is None or metric.bounds.high is None or metric.bounds.low < metric.bounds.high
    assert metrics.figure(name, 0.5) == ("50.00 %" if metric.share else f"{0.5:.{metric.digits}f}")


@pytest.mark.parametrize("name", WAYS)
def test_every_way_of_learning_is_complete(name: str) -> None:
    way = WAYS[name]
    assert way.config().name == name
    assert {metrics.direction(way.best), metrics.direction(way.compared_by)} <= {"higher", "lower"}
    assert {way.best, way.compared_by} <= set(way.metrics) <= set(METRICS)
    assert set(way.learns_from) <= {Data, Text, World}
    assert way.counts
    for target in (*way.setups.values(), way.check, way.blueprint):
        assert target is None or callable(resolve(target))


@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_is_a_function(name: str) -> None:
    assert callable(resolve(LOSSES[name]))


def test_the_tables_are_filled_without_jax() -> None:
    code = "import sys, train.tasks; sys.exit('jax' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_figures_are_as_people_write_them() -> None:
    assert metrics.figure("accuracy", 0.98765) == "98.77 %"
    assert metrics.figure("perplexity", 12.345) == "12.35"
    assert metrics.figure("bleu", 40.0) == "40.00"
    assert metrics.figure("loss", 0.123456) == "0.1235"
    assert metrics.title("bits_per_byte") == "bits per byte"
    assert metrics.title("chrf") == "chrF"


def test_a_name_that_ends_with_a_known_one_is_printed_like_it() -> None:
    assert metrics.figure("untrained_knn_accuracy", 0.5) == "50.00 %"
    assert metrics.title("untrained_knn_accuracy") == "untrained k-NN accuracy"
    with pytest.raises(UserError, match="unknown metric"):
        metrics.direction("untrained_knn_accuracy")


def test_an_interval_ends_where_its_metric_ends() -> None:
    assert metrics.inside("accuracy", (0.9, 1.1), (0.99,), "digits") == (0.9, 1)
    assert metrics.inside("bleu", (-3.0, 40.0), (18.0,), None) == (0, 40)
    assert metrics.inside("perplexity", (0.5, 3.0), (1.7,), None) == (1, 3)
    assert metrics.inside("return", (380.0, 520.0), (450.0,), "CartPole-v1") == (380, 500)
    assert metrics.inside("return", (-600.0, -80.0), (-300.0,), "Acrobot-v1") == (-500, -80)
    assert metrics.inside("return", (380.0, 520.0), (450.0,), "minatar/breakout") == (380, 520)
    assert metrics.inside("return", (700.0, 900.0), (800.0,), "CartPole-v1") == (700, 900)  # another time limit
    assert metrics.inside("loss", (-0.1, 0.3), (0.1,), None) == (-0.1, 0.3)


def test_an_own_metric_without_direction_is_one_line(clean) -> None:
    with pytest.raises(UserError, match=r"^the metric 'rmse' needs a direction: better='higher' or better='lower'"):
        train.metrics.register("rmse")
    with pytest.raises(UserError, match=r"needs a direction: .*, not 'up'"):
        train.metrics.register("rmse", better="up")
    train.metrics.register("rmse", better=None)
    with pytest.raises(UserError, match=r"^the metric 'rmse' has no direction, so nothing can be scored"):
        metrics.score("rmse", 1.0)
    with pytest.raises(UserError, match="the metric 'rmse' has no direction"):
        train.tasks.register("regress", config=Regress, setup=print, learns_from=(Data,), metrics=("rmse",))
    with pytest.raises(UserError, match="the metric 'rmse' has no direction"):
        claim_metric("test rmse")


def test_taken_names_are_one_line(regress) -> None:
    with pytest.raises(UserError, match=r"^the metric name 'accuracy' is taken: choose another name$"):
        train.metrics.register("accuracy", better="higher")
    with pytest.raises(UserError, match=r"^the task name 'regress' is taken: choose another name$"):
        train.tasks.register("regress", config=Regress, setup=print, learns_from=(Data,), metrics=("rmse",))
    with pytest.raises(UserError, match=r"^the loss name 'mse' is taken: choose another name$"):
        train.algorithms.register_loss("mse", print)


def test_the_same_file_may_register_again(clean) -> None:
    for digits in (2, 3):
        with registering("/home/me/mine.py"):
            train.metrics.register("rmse", better="lower", digits=digits)
    assert METRICS["rmse"].digits == 3


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"metrics": ("rsme",)}, "unknown metric 'rsme': did you mean rmse"),
        ({"metrics": ()}, "the task 'mine' must name the metrics that it measures"),
        ({"learns_from": ()}, "the task 'mine' must say what it learns from: some of Data, Text and World"),
        ({"config": Classify}, "the task 'mine': its config needs the field `name: Literal"),
        ({"config": int}, "the task 'mine' needs a frozen dataclass as its config"),
    ],
)
def test_an_own_task_that_cannot_work_is_one_line(regress, changes: dict, line: str) -> None:
    given = {"config": Mine, "setup": print, "learns_from": (Data,), "metrics": ("rmse",)} | changes
    with pytest.raises(UserError, match=line):
        train.tasks.register("mine", **given)


def test_an_own_task_is_on_the_command_line_and_in_config_json(regress) -> None:
    mine = Experiment(Model("lenet5"), Data("mnist"), task=Regress())
    parsed, _ = parse_experiment(["--task.scale", "9"], prog="zoo train", default=mine, options=Nothing)
    assert parsed.task == Regress(scale=9.0)
    assert type(parsed) is Experiment
    stored = json.loads(json.dumps(dataclasses.asdict(parsed)))
    assert override(Experiment(Model(""), Data("")), stored) == parsed
    with pytest.raises(UserError, match="Unrecognized options: --task"):
        parse_experiment(["--task.beams", "9"], prog="zoo train", default=mine, options=Nothing)
    with pytest.raises(UserError, match=r"^unknown task 'regres': did you mean regress\?$"):
        override(mine, {"task": {"name": "regres"}})
    with pytest.raises(UserError, match="the task 'regress' needs a set of images, and my is text"):
        check(dataclasses.replace(mine, data=Text("my")))


def test_an_own_loss_is_on_the_command_line(clean) -> None:
    mine = Experiment(Model("lenet5"), Data("mnist"))
    with pytest.raises(UserError, match=r"unknown task\.loss 'focal': choose from cross_entropy, hinge, mse"):
        parse_experiment(["--task.loss", "focal"], prog="zoo train", default=mine, options=Nothing)
    train.algorithms.register_loss("focal", lambda logits, labels: logits.sum(-1))
    parsed, _ = parse_experiment(["--task.loss", "focal"], prog="zoo train", default=mine, options=Nothing)
    assert parsed.task == Classify(loss="focal")
    assert override(mine, {"task": {"loss": "focal"}}).task == Classify(loss="focal")


def test_a_score_is_higher_where_the_metric_is_better() -> None:
    assert metrics.score("accuracy", 0.9) == 0.9
    assert metrics.score("loss", 0.9) == -0.9
    assert metrics.score("loss", metrics.score("loss", 0.9)) == 0.9


def test_claims_take_unit_and_direction_from_the_table() -> None:
    assert (claim_metric("test top5_accuracy").unit, claim_metric("test top5_accuracy").better) == ("share", "higher")
    assert (claim_metric("validation loss").unit, claim_metric("validation loss").better) == ("nats", "lower")
    with pytest.raises(UserError, match=r"^unknown metric 'acuracy': did you mean accuracy"):
        claim_metric("test acuracy")


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"steps": 0}, "steps must be at least 1, not 0"),
        ({"seed": -1}, "seed must not be negative, not -1"),
        ({"seed": 2**32}, "seed must be below 2^32, not 4294967296"),
        ({"data": {"validation": 1.0}}, "data.validation must be at least 0 and below 1, not 1.0"),
        ({"data": {"batch": 0}}, "data.batch must be at least 1, not 0"),
        ({"task": {"label_smoothing": float("nan")}}, "task.label_smoothing must be at least 0 and below 1, not nan"),
        ({"folds": 1}, "folds must be at least 2, not 1"),
    ],
)
def test_ranges_are_declared_at_the_fields(changes: dict, line: str) -> None:
    with pytest.raises(UserError) as error:
        ranges.check(override(Experiment(Model("lenet5"), Data("mnist")), changes))
    assert str(error.value) == line


def test_a_metric_of_ones_own_is_printed_by_its_own_rule(clean) -> None:
    train.metrics.register("rmse", better="lower", title="RMSE", digits=1)
    assert (metrics.title("rmse"), metrics.figure("rmse", 1.25)) == ("RMSE", "1.2")
    assert METRICS["rmse"] == Metric("rmse", "lower", "RMSE", "", digits=1)


def test_a_language_model_takes_no_buckets() -> None:
    experiment = Experiment(Model("gpt_char_mini"), Text("my", buckets=(16,)), task=Language())
    with pytest.raises(UserError, match="buckets are for sentences"):
        check(experiment)
