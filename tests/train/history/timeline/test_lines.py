"""The lines: their configs are alike, their rates are those of the sweep, their tables say what is recorded."""

import dataclasses
import json
from pathlib import Path

import pytest
from tools_by_name import tool

from train.config import files
from train.history.timeline import cells, exhibits, lines, words
from train.history.timeline.comparison import compare
from train.history.timeline.terms import terms_of
from zoo import CARDS

ROOT = Path(__file__).parents[4]
SWEEP = ROOT / "results" / "line_sweep.json"


@pytest.mark.parametrize("names", [lines.SCENES, lines.LONGER])
def test_nets_of_a_line_differ_in_model_rate_and_length_alone(names: tuple[str, ...]) -> None:
    found = [files.load(name) for name in names]
    first = found[0]
    for own in found:
        alike = dataclasses.replace(
            own,
            model=first.model,
            data=dataclasses.replace(own.data, image_size=None),  # LeNet's enlarged pixels hold nothing new
            optim=dataclasses.replace(own.optim, lr=first.optim.lr),
            steps=first.steps,
            eval_every_steps=first.eval_every_steps,
        )
        assert alike == first


def test_rates_and_lengths_are_those_of_the_recorded_sweep() -> None:
    sweep = json.loads(SWEEP.read_text(encoding="utf-8"))
    for name, longer in zip(lines.SCENES, lines.LONGER, strict=True):
        short, long = files.load(name), files.load(longer)
        rates, lengths = sweep["rates"][name], sweep["lengths"].get(name)
        assert (short.optim.lr, short.steps) == (rates["best"], rates["steps"]), name
        assert long.optim.lr == short.optim.lr
        assert lengths is None or long.steps == lengths["best"], longer  # None: not tried to the end yet
        assert long.model == short.model
        used = set(range(short.seed, short.seed + 3)) | set(range(long.seed, long.seed + 3))
        assert not used & {*rates["seeds"]}
        tried = [row["rate"] for row in rates["tried"]]
        assert min(tried) < rates["best"] < max(tried), f"{name}: the best rate is an end of those tried"


def test_the_sweep_goes_on_where_the_best_is_an_end() -> None:
    sweep = tool("line_sweep")
    rising = {0.01: [0.5, 0.5], 0.03: [0.5, 0.6]}
    assert sweep.next_rate(rising) == 0.1
    assert sweep.next_rate(rising | {0.1: [0.9, None]}) is None  # a seed that diverged counts as none right
    assert sweep.next_rate({0.0003: [0.7], 0.001: [0.6]}) == 0.0001


def test_budgets_are_compared_apart() -> None:
    shown = exhibits.read(ROOT / "results" / "exhibits" / "scenes_mlp.json")
    quick = dataclasses.replace(shown, terms={"budget": "800 steps"})
    long = dataclasses.replace(shown, terms={"budget": "until validation stops rising"})
    found = compare([quick, quick, long, long], CARDS)
    assert [one.terms for one in found] == [("800 steps",), ("until validation stops rising",)]
    title = cells.group_title(found[0], words.load("en"))
    assert title == "Image classifiers on scenes composed from real digits (800 steps)"
    config = {"budget": "800 steps", "data": {"name": "digits"}, "task": {"name": "classify"}}
    assert terms_of(config) == {"budget": "800 steps"}
    assert terms_of(config | {"budget": ""}) == {}


def test_a_table_of_recipes_says_how_many_seeds_a_row_has() -> None:
    shown = exhibits.read(ROOT / "results" / "exhibits" / "mnist_lenet5.json")
    facts = {"examples": 1_077_760, "seconds": 600.0, "test": {"accuracy": 0.99}, "recipe": "adam 0.003"}
    one = dataclasses.replace(shown, **facts, seeds=1, spread={})
    three = dataclasses.replace(shown, **facts, seeds=3, spread={"accuracy": {"low": 0.989, "high": 0.991}})
    row = "| 1998 | `mnist_lenet5` | 61,706 | adam 0.003 | 1.1 M |"
    assert f"{row} 99.00 % | n = 1 | 10.0 |" in lines.recipes_table([one], lines.MNIST, "accuracy")
    assert f"{row} 99.00 % (98.90 % to 99.10 %) | n = 3 | 3.3 |" in lines.recipes_table(
        [three], lines.MNIST, "accuracy"
    )


def test_the_table_has_a_row_for_each_net_with_both_budgets() -> None:
    shown = exhibits.read(ROOT / "results" / "exhibits" / "scenes_mlp.json")
    facts = {"steps": 800, "seconds": 180.0, "seeds": 3, "test": {"accuracy": 0.75}}
    over = {"low": 0.731, "high": 0.769, "groups": 359.0, "seeds": 3.0}
    short = dataclasses.replace(shown, name="scenes_mlp", grouped=over, **facts)
    table = lines.scenes_table([short])
    assert "| 1986 | `mlp` |" in table
    assert table.endswith("| 800 | 75.0 % (73.1 to 76.9) | 1.0 | – | – | – |\n")
    longer = dataclasses.replace(short, name="scenes_mlp_long", steps=7_200)
    assert "| 800 | 75.0 % (73.1 to 76.9) | 1.0 | 7,200 | 75.0 %" in lines.scenes_table([short, longer])
    assert lines.longer_note([short]) == ""
    assert lines.longer_note([longer]).endswith("3 seeds each): mlp 75.0 % (73.1 to 76.9).")
