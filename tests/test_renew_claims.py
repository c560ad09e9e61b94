"""Records whose code was written anew: renewed where it does what it did, and stale where it does not."""

import contextlib
import dataclasses
import json
from pathlib import Path
from types import ModuleType

import pytest
import tools_by_name

from train.history.claims import files, provenance, results, table
from zoo import UserError


@pytest.fixture
def tool(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    module = tools_by_name.tool("renew_claims")
    monkeypatch.setattr(module, "tree_of", lambda commit: contextlib.nullcontext(Path(commit)))
    monkeypatch.setattr(provenance, "repository", lambda file: {"commit": "f" * 40, "clean": True})
    return module


@pytest.fixture
def stale(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict:
    """The record of lenet, of a file that was another one then, alone in a file of its own."""
    found = results.read()["lenet"]
    found = {**found, "code": {**found["code"], "zoo/lenet.py": "0" * 12}, "commit": "a" * 40, "clean": True}
    found.pop("renewed", None)
    monkeypatch.setattr(results.record, "__defaults__", (tmp_path / "claims.json",))
    results.record(found)
    return found


def recorded(tmp_path: Path) -> dict:
    return json.loads((tmp_path / "claims.json").read_text(encoding="utf-8"))["claims"][0]


def test_the_same_bits_renew_a_record_and_it_says_so(
    tool: ModuleType, stale: dict, tmp_path: Path, monkeypatch
) -> None:
    assert tool.is_of_other_code(stale)
    monkeypatch.setattr(tool, "steps_by", lambda folder, name: {"weights of net": "1", "values of net": [0.5, 0.25]})
    assert tool.renew(stale)
    now = recorded(tmp_path)
    assert now["code"] == provenance.code(files.load_claim("lenet")[0])
    assert not provenance.changed(now)
    assert now["arms"] == json.loads(json.dumps(stale["arms"]))
    said = f"the code of {'f' * 12} makes the same bits, over the first {tool.STEPS} steps of every arm"
    assert f"Since then: {said}" in table.notes(now)


def test_other_bits_leave_it_stale(tool: ModuleType, stale: dict, tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.setattr(tool, "steps_by", lambda folder, name: {"weights of net": str(folder), "values of net": [0.5]})
    assert not tool.renew(stale)
    assert "renewed" not in recorded(tmp_path)
    assert f"another result than by the code of {'a' * 12}: weights of net" in capsys.readouterr().out


def test_what_cannot_be_compared_is_one_line(tool: ModuleType, stale: dict, monkeypatch) -> None:
    with pytest.raises(UserError, match="lenet was recorded with changes that no commit has: zoo claim lenet --record"):
        tool.renew({**stale, "clean": False})
    with pytest.raises(UserError, match="lenet has another design now"):
        tool.renew({**stale, "design": "of another"})
    monkeypatch.setattr(provenance, "repository", lambda file: {"commit": "f" * 40, "clean": False})
    with pytest.raises(UserError, match="not committed"):
        tool.renew(stale)


@pytest.mark.slow
def test_the_first_steps_of_a_claim_are_those_of_any_run_and_another_rate_makes_others(tool: ModuleType) -> None:
    found = tool.first_steps("xor")
    assert found == tool.first_steps("xor")
    claim = tool.shortened(files.load_claim("xor")[0])
    arms = {arm for arm, own in claim.arms.items() if hasattr(own, "experiment")}
    assert {f"weights of {arm}" for arm in arms} <= found.keys()
    assert all(own.experiment.steps == tool.STEPS for own in claim.arms.values() if hasattr(own, "experiment"))
    assert dataclasses.is_dataclass(claim)
