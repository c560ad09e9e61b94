"""Exhibits and findings: what is kept of runs and claims comes back as it was, and what is broken is one line."""

import dataclasses
import json
import shlex
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from runs_by_hand import EVIL, claim, line, run_folder

from train import cli
from train.commands.train import TrainOptions
from train.config import files as configs
from train.config.parse import parse_experiment
from train.history.claims import results
from train.history.timeline import cells, exhibits, findings, words
from train.history.timeline.comparison import compare
from train.loop import older
from zoo.errors import UserError

INSIDE = {"fields": {"depths": [2], "widths": [8], "stem_stride": 2}, "widths": [32, 64]}  # a network in a network


def picture(path: Path, width: int = 40, height: int = 20, noise: bool = False) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    shape = (height, width, 3)
    pixels = np.random.default_rng(0).integers(0, 256, shape, np.uint8) if noise else np.zeros(shape, np.uint8)
    Image.fromarray(pixels).save(path)
    return path


def several(root: Path) -> Path:
    """A run of three seeds with a curve, pictures, translations and what a judge said."""
    replicas = {"accuracy": [0.5, 0.6, 0.7]}
    lines = json.dumps({"step": 10, "split": "validation", "seconds": 1, "accuracy": 0.6, "replicas": replicas}) + "\n"
    spread = {"accuracy": {"deviation": 0.1, "low": 0.4, "high": 0.8}}
    best = {"setting": {}, "seeds": [0, 1, 2], "test_spread": spread, "best": True}
    run = run_folder(root, "resnet20", 0.6, lines=lines + line(20, 0.7), settings=[best], notes={"accuracy": "shares"})
    picture(run / "samples" / "growth.png")
    (run / "samples" / "test.tsv").write_text("source\treference\ttranslation\na\tb\tc\nbroken\n")
    (run / "judge").mkdir()
    judged = {"parzen": {"log_likelihood": 151.4, "standard_error": 1.7}, "features": {"made": {"precision": 0.75}}}
    (run / "judge" / "last.json").write_text(json.dumps(judged))
    return run


def test_an_exhibit_has_what_the_run_has(tmp_path: Path) -> None:
    exhibit = exhibits.of_run(several(tmp_path))
    assert (exhibit.name, exhibit.model, exhibit.seeds, exhibit.count) == ("digits_resnet20", "resnet20", 3, 360)
    assert exhibit.test == {"loss": 0.1, "accuracy": 0.6}
    assert exhibit.spread["accuracy"] == {"deviation": 0.1, "low": 0.4, "high": 0.8}
    curve = exhibit.curves["accuracy"]
    assert (curve.steps, curve.mean) == ((10, 20), (0.6, 0.7))
    half = 4.302653 * 0.1 / 3**0.5  # Student's t, two degrees of freedom
    assert (curve.low[0], curve.high[0]) == pytest.approx((0.6 - half, 0.6 + half), abs=1e-5)
    assert (curve.low[1], curve.high[1]) == (None, None)
    assert exhibit.more == {"log_likelihood": {"value": 151.4, "error": 1.7}, "precision": {"value": 0.75}}
    assert exhibit.translations == (("a", "b", "c"),)
    assert [(p.kind, p.width, p.height, p.suffix) for p in exhibit.pictures] == [("growth", 40, 20, "png")]


def test_the_command_makes_the_run_again(tmp_path: Path) -> None:
    usual = dataclasses.asdict(configs.load("digits_resnet20"))
    changed = [
        ({}, "zoo train digits_resnet20"),
        ({"seeds": 3, "optim": usual["optim"] | {"lr": 0.01}}, "zoo train digits_resnet20 --optim.lr 0.01 --seeds 3"),
        ({"model": {"name": "resnet20", "fields": {"depths": [1, 1, 1], "bottleneck": True}}},
         "zoo train digits_resnet20 --model.depths 1 1 1 --model.bottleneck"),
        ({"data": usual["data"] | {"normalize": False}, "init_from": "a b"},
         "zoo train digits_resnet20 --data.no-normalize --init-from 'a b'"),
        ({"model": {"name": "mlp", "fields": {"widths": [16]}}},
         "zoo train digits_resnet20 --model.name mlp --model.widths 16"),
        ({"model": {"name": "mlp", "fields": {}}},
         "zoo train digits_resnet20 --model.name mlp"),
    ]  # fmt: skip
    for change, expected in changed:
        run = run_folder(tmp_path, "resnet20", 0.9)
        (run / "config.json").write_text(json.dumps(usual | change))
        command = exhibits.of_run(run).command
        assert command == expected
        parsed, _ = parse_experiment(
            shlex.split(command)[3:], prog="zoo train", default=configs.load("digits_resnet20"), options=TrainOptions
        )
        assert json.loads(json.dumps(dataclasses.asdict(parsed))) == json.loads(json.dumps(usual | change))


@pytest.mark.parametrize(
    ("config", "change", "expected"),
    [
        # the fields of the config's model that are back to the value on the card
        ("digits_vit", {"model": {"name": "vit_mini_patch2", "fields": {}}}, "--model.width 128 --model.depth 6"),
        ("mnist_simclr", {"model": {"fields": INSIDE}},
         "--model.fields.depths 2 --model.fields.widths 8"),
        ("dates_seq2seq", {"optim": {"clip_norm": None}}, "--optim.clip-norm None"),
    ],
)  # fmt: skip
def test_the_command_is_of_the_same_network(config: str, change: dict, expected: str, tmp_path: Path) -> None:
    """Fields that are not set in the run but in its config, and None, were left out: another network was trained."""
    usual = configs.load(config)
    raw = dataclasses.asdict(usual)
    raw |= {part: raw[part] | values for part, values in change.items()}
    run = run_folder(tmp_path, raw["model"]["name"], 0.9, name=config)
    (run / "config.json").write_text(json.dumps(raw))
    command = exhibits.of_run(run).command
    parsed, _ = parse_experiment(shlex.split(command)[3:], prog="zoo train", default=usual, options=TrainOptions)
    assert json.loads(json.dumps(dataclasses.asdict(parsed))) == json.loads(json.dumps(raw))
    assert expected in command


@pytest.mark.parametrize(
    ("name", "shown", "changes"),
    [
        ("tsv:/home/me/data/multi30k/de-en", "tsv:multi30k/de-en", ""),  # the config's own set, elsewhere
        ("tsv:data/multi30k/de-en", "tsv:multi30k/de-en", ""),
        ("tsv:/home/me/mine", "tsv:me/mine", "--data.name tsv:me/mine"),
        ("dates/en-ko", "dates/en-ko", "--data.name dates/en-ko"),
    ],
)
def test_an_exhibit_does_not_say_whose_folder_the_data_lay_in(
    name: str, shown: str, changes: str, tmp_path: Path
) -> None:
    usual = dataclasses.asdict(configs.load("multi30k_transformer"))
    run = run_folder(tmp_path, "transformer_mini", 0.9, name="multi30k_transformer", dataset=name)
    (run / "config.json").write_text(json.dumps(usual | {"data": usual["data"] | {"name": name}}))
    exhibit = exhibits.of_run(run)
    assert (exhibit.dataset, exhibit.changes) == (shown, changes)


def test_weights_by_name_are_no_path() -> None:
    assert exhibits._placeless("hf://owner/name") == "hf://owner/name"
    assert exhibits._placeless("/home/me/runs/digits_mlp/last") == "digits_mlp/last"


def test_the_exhibit_of_a_sweep_is_its_best_setting(tmp_path: Path) -> None:
    """The curve and its band went over all settings, to 103 %; the rate in the recipe was the config's."""
    rates = [{"optim.lr": rate} for rate in (0.1, 0.01)]
    replicas = [{"setting": setting, "seed": seed} for setting in rates for seed in (0, 1)]
    settings = [{"setting": setting, "seeds": [0, 1], "best": number == 1} for number, setting in enumerate(rates)]
    each = {"accuracy": [0.1, 0.3, 0.9, 0.92]}
    lines = json.dumps({"step": 10, "split": "validation", "seconds": 1, "accuracy": 0.555, "replicas": each}) + "\n"
    run = run_folder(tmp_path, "resnet20", 0.95, lines=lines, settings=settings, replicas=replicas)
    picture(run / "samples" / "filters.png")  # of the first replica, which has the other setting
    exhibit = exhibits.of_run(run)
    curve = exhibit.curves["accuracy"]
    half = 12.7062 * (0.02 / 2**0.5) / 2**0.5  # Student's t, one degree of freedom
    assert curve.mean == pytest.approx((0.91,))
    assert (curve.low[0], curve.high[0]) == pytest.approx((0.91 - half, 1.0), abs=1e-5)
    assert (exhibit.seeds, exhibit.recipe, exhibit.pictures) == (2, "adam 0.01", ())
    facts = dict(cells.exhibit_facts(exhibit, words.load("en"))[2].facts)
    assert facts["Setting"] == "optim.lr 0.01; best of 2 on validation"


def test_folds_are_not_seeds(tmp_path: Path) -> None:
    spread = {"accuracy": {"deviation": 0.1, "low": 0.4, "high": 0.8}}
    best = {"setting": {}, "seeds": [0, 0, 0], "folds": [0, 1, 2], "test_spread": spread, "best": True}
    replicas = [{"setting": {}, "seed": 0, "fold": fold} for fold in range(3)]
    exhibit = exhibits.of_run(run_folder(tmp_path, "resnet20", 0.6, settings=[best], replicas=replicas))
    assert (exhibit.seeds, exhibit.folds, exhibit.replicas) == (1, 3, 3)
    test, _, how = cells.exhibit_facts(exhibit, words.load("en"))
    assert "mean of 3 runs of a cross-validation" in dict(test.facts)["Accuracy"]
    assert dict(how.facts)["Seed"] == "0"


def test_an_exhibit_comes_back_as_it_was(tmp_path: Path) -> None:
    exhibit = exhibits.of_run(several(tmp_path))
    files = exhibits.write(exhibit, tmp_path / "kept")
    assert sorted(file.name for file in files) == ["digits_resnet20.growth.png", "digits_resnet20.json"]
    (back,) = exhibits.read_all(tmp_path / "kept")
    assert back.recorded
    assert not exhibit.recorded
    for field in exhibit.__dataclass_fields__:
        if field != "recorded":
            assert getattr(back, field) == getattr(exhibit, field), field


def test_long_curves_are_thinned_and_keep_their_ends(tmp_path: Path) -> None:
    lines = "".join(line(step, 0.5) for step in range(0, 1001, 5))
    steps = exhibits.of_run(run_folder(tmp_path, "resnet20", 0.9, lines=lines)).curves["accuracy"].steps
    assert len(steps) <= exhibits.POINTS + 1
    assert (steps[0], steps[-1]) == (0, 1000)


def test_heavy_pictures_become_light(tmp_path: Path) -> None:
    kept = exhibits.load_picture("samples", picture(tmp_path / "big.png", 1500, 700, noise=True))
    assert kept.suffix == "webp"
    assert max(kept.width, kept.height) == exhibits.SIDE
    assert len(kept.data) < (tmp_path / "big.png").stat().st_size / 3


def test_what_is_no_exhibit_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="not a finished run"):
        exhibits.of_run(tmp_path)
    file = tmp_path / "x.json"
    for text, line_ in (
        ("{}", "it names no run and model"),
        ("{", "not JSON"),
        (
            '{"name": "a", "model": "b", "pictures": [{"kind": "growth", "file": "../a.png"}]}',
            "must be a file name without a folder",
        ),
        (
            '{"name": "a", "model": "b", "pictures": [{"kind": "growth", "file": "no.png"}]}',
            "cannot be read as a picture",
        ),
        ('{"name": "a", "model": "b", "curves": {"loss": {"steps": [1], "mean": []}}}', "as many values as steps"),
    ):
        file.write_text(text)
        with pytest.raises(UserError, match=line_):
            exhibits.read(file)


def test_the_command_keeps_a_run_and_more_pictures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run, into = several(tmp_path), tmp_path / "kept"
    more = picture(tmp_path / "sentence.png", 30, 30)
    config = {"model": {"name": "resnet20"}, "data": {"name": "digits"}}
    (run / "config.json").write_text(json.dumps(config))
    assert cli.run(["exhibit", str(run), "--into", str(into), "--picture", f"alignment={more}"]) == 0
    (back,) = exhibits.read_all(into)
    assert [p.kind for p in back.pictures] == ["growth", "alignment"]
    assert "digits_resnet20.json" in capsys.readouterr().out
    assert cli.run(["exhibit", str(run), "--picture", "beauty=x.png"]) == 2
    assert "KIND one of growth" in capsys.readouterr().err
    assert cli.run(["exhibit"]) == 2


def test_recorded_exhibits_can_be_read() -> None:
    kept = exhibits.read_all(exhibits.FOLDER)
    assert len(kept) >= 8
    assert sum(file.stat().st_size for file in exhibits.FOLDER.iterdir()) < 1.2e6
    for exhibit in kept:
        assert exhibit.device
        assert exhibit.date
        assert exhibit.curves


def test_findings_are_read_and_figures_that_are_none_stay_out(tmp_path: Path) -> None:
    file = tmp_path / "claims.json"
    first = claim("depth", 2015, "does not hold")
    first["arms"][0] |= {"mean": None, "low": "NaN"}
    share = claim("share", 2016, metric={"name": "test accuracy", "unit": "share", "better": "higher"})
    share["plot"]["y"] = "test accuracy"
    share["effects"].append(share["effects"][0] | {"against": None, "unit": ""})  # of a slope, say
    file.write_text(json.dumps({"claims": [first, share]}))
    one, two = findings.read_all(file)
    assert (one.verdict, one.command, one.recorded) == ("does not hold", "zoo claim depth", True)
    assert (one.arms[0].mean, one.arms[0].low, one.arms[1].mean) == (None, None, 0.25)
    assert one.effects[0].measured == "+0.25 nats (0.2 to 0.3)"
    assert two.effects[0].measured == "+25.00 points (20.00 to 30.00)"
    assert two.effects[1].measured == "+0.25 (0.2 to 0.3)"
    assert [row[1] for row in cells.effect_rows(two, words.load("en"))] == ["deep, shallow", "deep"]
    assert (one.plot["share"], two.plot["share"]) == (False, True)
    assert findings.read_all(tmp_path / "none.json") == []


def test_bounds_exact_values_and_failures_of_a_finding_are_told() -> None:
    facts = claim("depth", 2015)
    (effect,) = facts["effects"]
    failures = [{"arm": arm, "failed": n, "of": 8, "low": 0.1, "high": 0.5} for arm, n in (("deep", 1), ("shallow", 0))]
    facts["effects"] = [
        effect | {"low": None, "bound": "at least", "against": 0.5},
        effect | {"low": None, "exact": True, "against": 0.0},
        effect | {"failures": failures, "unseen": 0.3, "why": "so"},
        effect | {"failures": [{"arm": 3, "failed": "x"}, 4], "unseen": "NaN", "against": None, "bound": 3},
    ]
    facts["arms"][0] |= {"exact": True}
    facts["arms"][1] |= {"at_least": [False, True]}
    found = findings.read(facts | {"parts": ["x"], "varies": 3, "smaller": None}, "here")
    assert (found.parts, found.varies, found.smaller) == ((0, 0), (), "")
    assert [one.measured for one in found.effects] == [
        "at least +0.25 nats",
        "+0.25 nats (exact)",
        "+0.25 nats (0.2 to 0.3); of the seeds that did not fail; failed: 1 of 8 (10 to 50 %) of deep and 0 of 8 "
        "(10 to 50 %) of shallow, and up to 30 % could fail unseen",
        "+0.25 nats (0.2 to 0.3)",
    ]
    assert [one.against for one in found.effects] == ["0.5", "", "shallow", ""]
    rows = cells.arm_rows(found, words.load("en"))
    assert [row[2:4] for row in rows] == [("exact", "0.5"), ("3", "at least 0.25")]
    assert cells.effect_rows(found, words.load("en"))[2][-1] == "holds (so)"


@pytest.mark.parametrize(
    ("facts", "message"),
    [({"verdict": "maybe"}, "its verdict is 'maybe'"), ({"year": "long ago"}, "no year"), ({"name": ""}, "no name")],
)
def test_what_is_no_finding_is_one_line(tmp_path: Path, facts: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        findings.read(claim("depth", 2015) | facts, "claims.json")
    (tmp_path / "claims.json").write_text('{"claims": 3}')
    with pytest.raises(UserError, match="expected"):
        findings.read_all(tmp_path / "claims.json")


def test_what_was_found_here_is_read_from_the_claims_own_folder(tmp_path: Path) -> None:
    for name, setting in (("depth", "small"), ("depth.full", "full")):
        folder = tmp_path / "claims" / name
        folder.mkdir(parents=True)
        (folder / "result.json").write_text(json.dumps(claim("depth", 2015, setting=setting)))
    (found,) = findings.read_own(tmp_path)
    assert not found.recorded


def test_runs_on_the_same_data_are_compared(tmp_path: Path) -> None:
    import zoo

    runs = [run_folder(tmp_path, name, value, task="classify") for name, value in (("resnet20", 0.95), ("mlp", 0.9))]
    runs += [run_folder(tmp_path, "lenet5", 1.5, task="classify"), run_folder(tmp_path, EVIL, 0.99, task="classify")]
    runs += [run_folder(tmp_path, "lenet5", 0.9, task="classify", dataset="mnist")]
    text = [run_folder(tmp_path, "lstm_char", 0.5, task="language", dataset="a text") for _ in range(2)]
    shown = [exhibits.of_run(run) for run in (*text, *runs)]
    group, other = compare(shown, zoo.CARDS)
    assert (group.task, other.task, other.metric.name) == ("classify", "language", "loss")
    assert [entry.label for entry in group.entries] == ["mlp", "lenet5", "resnet20", EVIL]
    assert [entry.value for entry in group.entries] == [0.9, None, 0.95, 0.99]
    assert group.best.label == EVIL
    assert [entry.label for entry in group.reaching] == []
    low, high = group.entries[2].low, group.entries[2].high
    assert low < 0.95 < high
    assert group.entries[3].low > high


def configured(root: Path, model: str, value: float, name: str, **changes: dict) -> exhibits.Exhibit:
    """A finished run of the config `name`, changed."""
    raw = dataclasses.asdict(configs.load(name))
    raw |= {part: raw[part] | values for part, values in changes.items()}
    test = {"accuracy": value, "loss": value, "count": 100}
    run = run_folder(root, model, value, name=name, task=raw["task"]["name"], dataset=raw["data"]["name"], test=test)
    (run / "config.json").write_text(json.dumps({"format": older.NEWEST, **raw}))
    return exhibits.of_run(run)


def test_a_run_of_before_documents_had_titles_is_not_compared_with_those_of_today(tmp_path: Path) -> None:
    new = configured(tmp_path, "lstm_char", 1.5, "python_docs_lstm_char")
    config = next(tmp_path.rglob("config.json"))
    config.write_text(json.dumps(dict(list(json.loads(config.read_text()).items())[1:])))
    assert exhibits.of_run(config.parent).terms == {**new.terms, "data.split_by": "position"}


def test_what_means_something_else_is_not_compared(tmp_path: Path) -> None:
    """Losses of characters stood beside those of pieces, and a tenth of the labels beside all of them."""
    import zoo

    t = words.load("en")
    pieces = {"data": {"tokenizer": "bpe", "vocab": 500}}
    runs = [configured(tmp_path, name, 1.5, "python_docs_lstm_char") for name in ("lstm_char", "gpt_char_mini")]
    runs += [configured(tmp_path, name, 3.5, "python_docs_lstm_char", **pieces) for name in ("gpt2", "lstm_char")]
    runs += [configured(tmp_path, name, 0.9, "digits_mlp") for name in ("mlp", "lenet5")]
    runs += [configured(tmp_path, name, 0.7, "digits_mlp", data={"labels": 0.1}) for name in ("mlp", "lenet5")]
    runs += [configured(tmp_path, name, 0.8, "python_docs_topic_bert_tiny") for name in ("bert_tiny", "lstm_char")]
    groups = {cells.group_title(group, t): [e.value for e in group.entries] for group in compare(runs, zoo.CARDS)}
    assert groups == {
        "Image classifiers on 8x8 digits": [0.9, 0.9],
        "Image classifiers on 8x8 digits (data.labels 0.1)": [0.7, 0.7],
        "Classifiers of sentences on python_docs/topic": [0.8, 0.8],
        "Language models on python_docs (characters)": [1.5, 1.5],
        "Language models on python_docs (data.vocab 500)": [3.5, 3.5],
    }


def test_runs_of_one_config_are_told_apart(tmp_path: Path) -> None:
    import zoo

    changes = [{}, {"optim": {"lr": 0.5}}, {"optim": {"lr": 0.5}}]
    runs = [configured(tmp_path, "mlp", 0.9, "digits_mlp", **change) for change in changes]
    (group,) = compare(runs, zoo.CARDS)
    start = "digits_mlp, seed 0"
    assert [e.label for e in group.entries] == [start, f"{start}, --optim.lr 0.5 (1)", f"{start}, --optim.lr 0.5 (2)"]


def test_an_arm_has_its_own_unit() -> None:
    """A ratio of 2.5 was "250.00 %" in a claim about shares."""
    facts = claim("ratios", 2015, kind="bars", metric={"name": "test accuracy", "unit": "share", "better": "higher"})
    facts["plot"]["y"] = "accuracy"
    facts["arms"][0] |= {"unit": "", "mean": 2.5, "low": 2.25, "high": 2.75}
    found = findings.read(facts, "here")
    assert [row[3] for row in cells.arm_rows(found, words.load("en"))] == ["2.5", "25.00 %"]
    assert not found.plot["share"]
    assert not results.in_percent(facts)
    assert results.in_percent(facts | {"arms": facts["arms"][1:]})
    del facts["arms"][0]["unit"]  # of before arms had one
    assert cells.arm_rows(findings.read(facts, "here"), words.load("en"))[0][3] == "250.00 %"
    mine = findings.read(facts | {"file": {"path": "/a b/xor.py"}}, "here")
    assert mine.command == "zoo claim '/a b/xor.py'"
