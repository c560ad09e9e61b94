"""The pictures of the museum's page in README.md and docs/, taken in Chromium.

Run:     zoo timeline && python tools/screenshots.py
Needs:   the dev extra (playwright) and a Chromium; CHROMIUM names one that is not on the path
"""

import io
import os
import shutil
import sys
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

PAGE, DOCS = Path("runs/timeline/index.html"), Path(__file__).parent.parent / "docs"
COLORS = 128  # of a picture: the page has few, and files stay small
MOST = 300_000  # bytes of a picture
ROOM, STOP = "model-transformer_base", 4  # the room that is shown, and the stop of the tour
WAIT = 1_500  # milliseconds


def main(page: Path = PAGE, folder: Path = DOCS) -> None:
    chromium = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, ("chromium", "google-chrome"))), None)
    if chromium is None or not page.is_file():
        sys.exit(
            "screenshots: " + ("no Chromium was found" if chromium is None else f"no page at {page}: zoo timeline")
        )
    folder.mkdir(exist_ok=True)
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        tab = browser.new_page(viewport={"width": 1280, "height": 860}, reduced_motion="reduce")
        address = page.resolve().as_uri()
        tab.goto(address)
        save(tab, folder / "front.png")
        tab.evaluate("document.getElementById('try').scrollIntoView()")
        tab.wait_for_timeout(WAIT)  # the nets read the digit that stands there
        save(tab, folder / "try.png")
        tab.goto(f"{address}#tour-{STOP}")
        save(tab, folder / "tour.png")
        tab.keyboard.press("Escape")
        tab.emulate_media(color_scheme="dark")
        tab.evaluate(f"openRoom('{ROOM}')")
        tab.locator("dialog[open] .drawings").first.scroll_into_view_if_needed()
        tab.evaluate("document.querySelector('dialog[open] .drawings').closest('section').scrollIntoView()")
        save(tab, folder / "room_transformer.png")
        browser.close()


def save(tab: Page, path: Path) -> None:
    tab.wait_for_timeout(400)  # plots follow the window a frame later
    image = Image.open(io.BytesIO(tab.screenshot())).convert("RGB")
    image.quantize(COLORS, dither=Image.Dither.NONE).save(path, optimize=True)
    print(f"{path} ({path.stat().st_size:,} bytes)")
    if path.stat().st_size > MOST:
        sys.exit(f"{path} is larger than {MOST:,} bytes")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
