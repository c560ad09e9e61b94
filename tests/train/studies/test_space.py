"""The space of a search: what a field of it may be, and what is refused in one line."""

import pytest

optuna = pytest.importorskip("optuna", reason="the extra `search` is not installed")

from train.config import Data, Experiment, Model, Optim, files  # noqa: E402
from train.studies.search.samplers import distribution  # noqa: E402
from train.studies.search.space import Space, apply, read  # noqa: E402
from zoo.errors import UserError  # noqa: E402

SMALL = Experiment(Model("mlp", {"widths": (8,)}), Data("digits", batch=32), optim=Optim("momentum", lr=0.01))


def only(text: str, experiment: Experiment = SMALL) -> Space:
    (space,) = read(experiment, (text,))
    return space


def test_spaces_are_what_they_say() -> None:
    lr = only("optim.lr=log:1e-4..1e-1")
    assert distribution(lr) == optuna.distributions.FloatDistribution(1e-4, 1e-1, log=True)
    assert distribution(only("optim.weight_decay=0..0.1")) == optuna.distributions.FloatDistribution(0, 0.1)
    batch = only("data.batch=log:int:8..64")
    assert distribution(batch) == optuna.distributions.IntDistribution(8, 64, log=True)
    assert apply(SMALL, [batch], {"data.batch": 16}).data.batch == 16
    widths = only("model.fields.widths=8|16,4")
    assert widths.name == "model.widths"
    assert apply(SMALL, [widths], {"model.widths": "16,4"}).model.fields == {"widths": (16, 4)}
    normalize = only("data.normalize=true|false")
    assert not apply(SMALL, [normalize], {"data.normalize": "false"}).data.normalize
    augment = only("data.augment=|shift_1,cutout_2")
    assert apply(SMALL, [augment], {"data.augment": "shift_1,cutout_2"}).data.augment == ("shift_1", "cutout_2")
    assert [each.now(SMALL) for each in (lr, batch, widths, normalize, augment)] == [0.01, 32, "8", "true", ""]
    assert only("optim.lr=0.1..0.2").now(SMALL) is None
    assert only("optim.clip_norm=0.1..1").now(SMALL) is None


@pytest.mark.parametrize(
    ("space", "line"),
    [
        ((), "--space FIELD=… is missing"),
        (("optim.lr",), "--space must be FIELD=log:A..B, A..B"),
        (("optim.lx=1..2",), "unknown field in --space 'optim.lx': did you mean optim.lr"),
        (("model.width=8|9",), "unknown field in --space 'model.width': did you mean model.widths"),
        (("optim.lr=2..1",), "--space: optim.lr=2..1 is empty"),
        (("optim.lr=1..1",), "--space: optim.lr=1..1 is empty"),
        (("optim.lr=log:0..1",), "--space: optim.lr=log:0..1 is logarithmic, so it must start above 0"),
        (("optim.lr=-1..1",), "--space optim.lr=-1..1: optim.lr must be a number above 0, not -1.0"),
        (("optim.lr=a|b",), "--space optim.lr=a|b: --optim.lr must be a number, not 'a'"),
        (("optim.lr=a..b",), "--space: optim.lr must be a range A..B of numbers, not 'a..b'"),
        (("optim.lr=0.1",), "--space: optim.lr needs a range or two choices"),
        (("optim.lr=0.1|0.1",), "--space: optim.lr has a choice twice"),
        (("optim.lr=0.1|0.2", "optim.lr=1..2"), "--space: optim.lr is given twice"),
        (("optim.name=adam|adom",), "--space optim.name=adam|adom: unknown optim.name 'adom': did you mean adam"),
        (("optim.name=1..2",), "--space: optim.name is not a number, so it takes choices"),
        (("data.batch=8..16",), "--space: data.batch is a whole number: write data.batch=int:8..16"),
        (("data.batch=int:8..x",), "--space: data.batch must be a range A..B of whole numbers"),
        (("data.batch=int:0..16",), "--space data.batch=int:0..16: data.batch must be at least 1, not 0"),
        (("data.normalize=yes|no",), "--space: data.normalize is true|false"),
        (("model.dropout=0..1",), "--space model.dropout=0..1: mlp: dropout must be at least 0 and below 1"),
        (("seed=int:1..9",), "--space: seed decides how a trial is scored"),
        (("data.validation=0.1..0.2",), "--space: data.validation decides how a trial is scored"),
        (("folds=2|3",), "--space: folds decides how a trial is scored"),
        (("data.split_by=hash|position",), "--space: data.split_by decides how a trial is scored"),
    ],
)
def test_a_space_that_cannot_be_is_one_line(space: tuple[str, ...], line: str) -> None:
    with pytest.raises(UserError) as error:
        read(SMALL, space)
    assert str(error.value).startswith(line)


@pytest.mark.parametrize(
    ("config", "space"),
    [
        ("cartpole_dqn", "data.time_limit=int:5..8"),
        ("cartpole_dqn", "data.sticky=0..0.5"),
        ("cartpole_dqn", "task.eval_epsilon=0..0.5"),
        ("cartpole_dqn", "task.eval_episodes=int:5..8"),
        ("sst2_bert_mini_pretraining", "task.share=0.1..0.5"),
        ("sst2_bert_mini_pretraining", "task.next_sentence=true|false"),
        ("dates_seq2seq", "data.swap=true|false"),
        ("digits_gan", "data.image_size=int:4..8"),
        ("digits_mlp", "data.split_by=hash|position"),
    ],
)
def test_what_changes_the_judge_is_not_searched(config: str, space: str) -> None:
    name = space.partition("=")[0]
    with pytest.raises(UserError, match=f"--space: {name} decides how a trial is scored"):
        read(files.load(config), (space,))
