"""tools/claim_coverage.py: intervals hold the truth, and equal arms are told apart, as often as the document says."""

from pathlib import Path
from types import ModuleType

import pytest
import tools_by_name

from train.metrics import statistics

ROOT = Path(__file__).parents[4]


@pytest.fixture
def tool(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    module = tools_by_name.tool("claim_coverage")
    monkeypatch.setattr(statistics, "RESAMPLES", 300)
    return module


@pytest.mark.slow
@pytest.mark.parametrize(
    ("law", "seeds"), [("normal", 3), ("normal", 8), ("exponential", 5), ("Student, 3 degrees", 8)]
)
def test_equal_arms_give_a_false_verdict_in_one_of_twenty_claims_at_most(
    tool: ModuleType, law: str, seeds: int
) -> None:
    found = tool.cell(law, seeds, claims=200)
    assert found.holds + found.contradicted <= 0.05 + 0.03  # two standard errors of 200 claims
    assert (0.91 if law != "exponential" else 0.82) <= found.covered <= 0.99


@pytest.mark.slow
def test_the_pair_of_failures_and_other_seeds_covers_where_no_interval_of_a_mean_does(tool: ModuleType) -> None:
    law = "one seed in ten fails"
    assert tool.cell(law, 8, claims=200).covered < 0.85
    found = tool.pair(law, 8, claims=200)
    assert found.covered > 0.91
    assert found.rate_covered > 0.95
    assert found.holds + found.contradicted <= 0.05 + 0.03


def test_the_document_is_that_of_the_tool(tool: ModuleType) -> None:
    text = (ROOT / "docs" / "claim_statistics.md").read_text(encoding="utf-8")
    assert all(part in text for part in (tool.HEAD, tool.EQUAL, tool.PAIRS))
    for law in tool.SEED_LAWS:
        assert text.count(f"| {law} |") == 2 + sum(seeds >= 8 for seeds in tool.SEEDS)
