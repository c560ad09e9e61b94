"""Every claim file: it loads, names cards that are there, says what it does, and each of its arms runs, shrunk."""

import ast
import dataclasses
import functools
import json
import os
import re

import jax
import jax.numpy as jnp
import pytest
from rich.console import Console

import zoo
from train.algorithms.cards import ALGORITHMS
from train.config.files import FOLDER
from train.data.images.catalog import names
from train.history.claims import Claim, MembersArm, TrainedArm, design, files, picture, results, table
from train.history.claims.claim import budget
from train.history.claims.claim_run import ClaimRun
from train.history.claims.tuning import trials
from train.tasks.check import check
from zoo.errors import UserError

NAMES = files.claim_names()


@functools.cache
def load(name: str) -> Claim:
    return files.load_claim(name)[0]


def experiments(claim: Claim) -> list:
    return [arm.experiment for arm in claim.arms.values() if isinstance(arm, TrainedArm)] + list(claim.starts.values())


@pytest.mark.parametrize("name", NAMES)
def test_a_claim_is_sound_and_says_how_to_repeat_it(name: str) -> None:
    claim = load(name)
    for model in claim.models:
        zoo.card(model)
    assert set(claim.algorithms) <= set(ALGORITHMS)
    settings = [claim, claim.small()]
    settings += [claim.at(full=True)] if claim.full or claim.full_arms or claim.full_seeds else []
    for experiment in (each for setting in settings for each in experiments(setting)):
        check(experiment)
    for arm in claim.arms.values():
        if isinstance(arm, TrainedArm) and arm.tune:
            for trial in trials(arm.experiment, arm.tune):
                check(trial.experiment)
    text = (FOLDER / "claims" / f"{name}.py").read_text(encoding="utf-8")
    lines = ast.get_docstring(ast.parse(text)).splitlines()
    for head in ("Paper:   ", f"Run:     zoo claim {name}", "Here:    ", "Departs: "):
        assert any(line.startswith(head) for line in lines), head


@pytest.mark.parametrize("name", NAMES)
def test_the_arms_of_a_claim_differ_in_one_thing_or_say_in_what(name: str) -> None:
    claim = load(name)
    for setting in [claim, claim.at(full=True)] if claim.full or claim.full_arms or claim.full_seeds else [claim]:
        setting.demand_one_difference()


def test_without_replay_the_agent_learns_from_each_transition_once() -> None:
    """It drew its batch of 32 from the newest 32 transitions at every fourth step: 8 times from each."""
    for setting in (load("dqn_ablation"), load("dqn_ablation").at(full=True)):
        arms = {name: arm.experiment for name, arm in setting.arms.items()}
        for own in (arms["target_only"], arms["neither"]):
            assert own.task.newest
            assert own.data.batch == own.task.replay == own.task.train_every
        assert arms["sabotaged"].task.replay == arms["sabotaged"].data.batch == arms["both"].data.batch
        assert setting.sabotaged.arm == "sabotaged"


def test_seq2seq_is_compared_with_another_network_at_every_setting() -> None:
    claim = load("seq2seq_reversal")
    for setting in (claim, claim.small(), claim.at(full=True)):
        both = {name: setting.arms[name].experiment.model.fields for name in ("forwards", "backwards")}
        assert both["forwards"] == both["backwards"] | {"reverse_source": False}


def test_texts_plots_and_budgets_are_those_of_the_setting() -> None:
    """At --full they had the small setting's figures: "129 images" of CIFAR-10, 40,000 of 1,000,000 updates."""
    vit, full = load("vit_data"), load("vit_data").at(full=True)
    assert vit.arms["resnet_much"].says == "ResNet, 2,000 scenes"
    assert full.arms["resnet_much"].says == "ResNet, 50,000 scenes"
    assert "2,000" not in " ".join(effect.says for effect in full.effects)
    assert full.plot.at["vit"] == {"vit_little": 500, "vit_much": 50_000}
    assert full.arms["vit_much"].experiment.data.images == 50_000
    at = load("seq2seq_attention").at(full=True).plot.at["plain"]
    assert at == {"plain_shorter": 30.4, "plain_longer": 82.1}
    dqn = load("dqn_ablation").at(full=True)
    assert budget(dqn).startswith(f"{dqn.arms['both'].experiment.steps:,} updates")
    assert dqn.models == ("dqn_minatar",)
    for claim in map(load, NAMES):
        if claim.full or claim.full_arms:
            assert claim.at(full=True).reason != claim.reason or not claim.reason


def test_the_full_setting_names_facts_of_a_claim() -> None:
    with pytest.raises(UserError, match="unknown fact of the full setting 'budgets'"):
        dataclasses.replace(load("vit_data"), full_facts={"budgets": ""})
    with pytest.raises(UserError, match="unknown arm of a text 'vit'"):
        dataclasses.replace(load("vit_data"), full_says={"vit": ""})


def test_arms_that_coincide_are_refused() -> None:
    claim = load("seq2seq_reversal")
    same = claim.arms["backwards"]
    with pytest.raises(UserError, match="backwards and forwards are one and the same run: nothing to compare"):
        dataclasses.replace(claim, arms=claim.arms | {"forwards": dataclasses.replace(same, says="other words")})


def is_of_ensembles(claim: Claim, name: str) -> bool:
    """Whether an arm has a value for each ensemble, and not for each seed."""
    return any(isinstance(arm, MembersArm) and name in (arm.like, own) for own, arm in claim.arms.items())


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_every_arm_runs(name: str, tmp_path) -> None:
    claim = load(name).small()
    there = names()
    missing = {each.data.name for each in experiments(claim) if each.data.name.isidentifier()} - set(there)
    missing -= {"python_docs", "digits"}
    if missing:
        pytest.skip(f"not prepared in TFDS_DATA_DIR={os.environ.get('TFDS_DATA_DIR')}: {', '.join(sorted(missing))}")
    trial = ClaimRun(name, claim, tmp_path, Console(quiet=True))
    trial.check()
    found = json.loads(json.dumps(trial.run(), allow_nan=False))
    assert [arm["name"] for arm in found["arms"]] == list(claim.arms)
    for arm in found["arms"]:
        assert len(arm["values"]) == (1 if arm.get("exact") else claim.seeds) or is_of_ensembles(claim, arm["name"])
    assert any(value is not None for arm in found["arms"] for value in arm["values"])
    assert found["plot"]["series"]
    picture.save(found, tmp_path / "claim.png")
    with Console(width=100).capture():
        Console(width=100).print(table.show(found))


@pytest.mark.parametrize("name", NAMES)
def test_the_seeds_of_a_claim_vary_what_it_says_and_its_margins_are_told(name: str) -> None:
    claim = load(name)
    assert claim.varying
    text = (FOLDER / "claims" / f"{name}.py").read_text(encoding="utf-8")
    effects = re.search(r"(?:effects=(?:tuple)?\(|def effects\()(.*?)\n(?:    \),|    \)|\n)", text, re.DOTALL)[1]
    assert "#" in effects, "no comment says where the margins are from"
    assert "pilot" not in ast.get_docstring(ast.parse(text)) or claim.pilots
    assert design.digest(claim) == design.digest(files.load_claim(name)[0])


def test_an_ensemble_is_compared_with_its_members() -> None:
    """S1: it was compared with one of its three nets, paired by the number of the ensemble."""
    (effect,) = (effect for effect in load("ensembles").effects if effect.arm == "vote")
    members = load("ensembles").arms[effect.against]
    assert isinstance(members, MembersArm)
    assert (members.of, members.like) == ("net", "vote")


def test_the_longest_chain_of_dependent_products_is_counted() -> None:
    """The claim timed a processor, which says little of how many operations wait for each other."""
    claim = load("transformer_step_time")
    chain = claim.arms["recurrent_32"].value.__globals__["longest_chain"]

    def two_in_turn_beside_one(x):
        return (x @ x) @ x + jnp.sin(x) @ x

    def five_in_turn(x):
        return jax.lax.scan(lambda carry, row: (jax.nn.relu(carry @ row), carry), x, jnp.ones((5, 3, 3)))

    for function, wanted in ((two_in_turn_beside_one, [2]), (five_in_turn, [5, 4])):
        program = jax.make_jaxpr(function)(jnp.ones((3, 3))).jaxpr
        assert chain(program, [0]) == wanted
    # Layer by layer: the first has 32 products in turn, each next one starts with the product of its inputs.
    assert claim.arms["recurrent_32"].value(0) == 3 * 32 + 1
    assert claim.arms["transformer_32"].value(0) == 2 * 6 + 1


def test_recorded_results_are_of_claims_that_are_there_and_of_their_arms() -> None:
    for name, found in results.read().items():
        claim = load(name)
        if files.is_earlier(found):
            continue  # it is shown as such, with the arms that it had
        claim = claim if found["setting"] == "small" else claim.at(full=True)
        assert [arm["name"] for arm in found["arms"]] == list(claim.arms)
        wanted = [(effect.arm, effect.against, effect.expected, effect.says) for effect in claim.effects]
        assert [(e["arm"], e["against"], e["expected"], e["says"]) for e in found["effects"]] == wanted
        assert found["verdict"] == "holds" or found["reason"], f"{name}: the file gives no likely reason"
        assert (found["year"], found["paper"], found["says"]) == (claim.year, claim.paper, claim.says)


def test_the_csv_has_every_value_of_every_seed_of_what_is_recorded() -> None:
    recorded = list(results.read().values())
    assert results.FILE.with_suffix(".csv").read_text(encoding="utf-8") == results.csv_text(recorded)
