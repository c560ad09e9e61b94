"""Which cases of a test run in `make test`; `make test-all` runs them all.

Only pytest finds this file. A test file that its own subprocess imports marks its slow cases with `pytest.param`."""

from collections.abc import Collection, Iterable
from typing import Any

import pytest


def slow_except(quick: Collection[Any], cases: Iterable[Any]) -> list[Any]:
    """The cases as parameters of a test, each marked as slow unless it is in `quick`.

    A quick case that does not exist is an error: otherwise renaming a config would silently drop its test."""
    cases = list(cases)
    unknown = [case for case in quick if case not in cases]
    assert not unknown, f"no such case: {unknown}"
    return [case if case in quick else pytest.param(case, marks=pytest.mark.slow) for case in cases]
