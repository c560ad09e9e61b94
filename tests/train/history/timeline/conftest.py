"""A browser for the tests of the page: Chromium, driven by Playwright; one for all tests.

Skipped where there is no Chromium: CHROMIUM names one that is not where Debian, Fedora or Playwright put it.
"""

import os
import shutil
from collections.abc import Iterator

import pytest

PLACES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def chromium() -> str | None:
    named = os.environ.get("CHROMIUM")
    return named or next((found for name in PLACES if (found := shutil.which(name))), None)


@pytest.fixture(scope="session")
def browser() -> Iterator[object]:
    playwright = pytest.importorskip("playwright.sync_api", reason="browser tests need playwright (the dev extra)")
    path = chromium()
    if path is None:
        pytest.skip("no Chromium: install it (apt-get install chromium), or name it in the variable CHROMIUM")
    with playwright.sync_playwright() as driver:
        # Without a sandbox of its own: it shows one file that this test wrote, and as root it starts in no other way.
        opened = driver.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield opened
        opened.close()
