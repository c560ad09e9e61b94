"""The front of the page in a real browser, with what is recorded: on a phone, a tablet and a desk."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from train.history.claims import results
from train.history.timeline import exhibits, findings
from train.history.timeline.page import write_page

pytestmark = pytest.mark.browser
SIZES = ((390, 844), (820, 1180), (1280, 900))


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The page of all that came with the project."""
    found = findings.read_all(results.FILE)
    return write_page(exhibits.read_all(exhibits.FOLDER), found, tmp_path_factory.mktemp("front")).as_uri()


@pytest.fixture
def front(browser, recorded: str) -> Iterator[object]:
    context = browser.new_context(viewport={"width": 1280, "height": 900}, accept_downloads=True)
    opened = context.new_page()
    complaints: list[str] = []
    opened.on("console", lambda message: complaints.append(message.text))
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    opened.goto(recorded)
    yield opened
    context.close()
    assert complaints == []


OVERLAPS = """() => {
  const meet = (a, b) => Math.min(a.right, b.right) - Math.max(a.left, b.left) > 1 &&
    Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 3;
  const found = [];
  for (const chart of document.querySelectorAll("svg.chart")) {
    const texts = [...chart.querySelectorAll("text")].map((one) => [one.textContent, one.getBoundingClientRect()]);
    const frame = chart.getBoundingClientRect();
    texts.forEach(([text, box], i) => {
      if (box.left < frame.left - 1 || box.right > frame.right + 1) found.push(text + " leaves its chart");
      texts.slice(i + 1).forEach(([other, its]) => meet(box, its) && found.push(text + " meets " + other));
    });
  }
  return found;
}"""


def test_charts_can_be_read_at_every_width(front) -> None:
    for width, height in SIZES:
        front.set_viewport_size({"width": width, "height": height})
        assert front.evaluate(OVERLAPS) == [], width
        sizes = front.evaluate("""() => [...document.querySelectorAll('svg.chart')].map((one) =>
            12 * one.getBoundingClientRect().width / one.viewBox.baseVal.width)""")
        assert min(sizes) >= 10.5  # pixels of a letter
        assert front.evaluate("document.documentElement.scrollWidth") <= width


def test_the_first_screen_has_a_finding_and_its_picture(front) -> None:
    for width, height in SIZES:
        front.set_viewport_size({"width": width, "height": height})
        finding, picture = (front.locator(one).first.bounding_box() for one in ("#finding", ".living .readings"))
        assert finding["y"] + finding["height"] < height
        assert picture["y"] + picture["height"] < height + 30


def test_nothing_moves_for_who_wants_no_motion(browser, recorded: str) -> None:
    for motion, moves in (("no-preference", True), ("reduce", False)):
        context = browser.new_context(reduced_motion=motion)
        opened = context.new_page()
        opened.goto(recorded)
        names = opened.evaluate("document.getAnimations().length")
        assert (names > 0) == moves
        if not moves:
            assert opened.locator(".living .word").last.evaluate("word => getComputedStyle(word).opacity") == "1"
        context.close()


def test_it_reads_without_scripts(browser, recorded: str) -> None:
    context = browser.new_context(java_script_enabled=False, accept_downloads=True)
    opened = context.new_page()
    opened.goto(recorded)
    assert opened.locator("svg.chart").first.is_visible()
    assert "rose from" in opened.locator(".line h3").first.text_content()
    with opened.expect_download() as saved:
        opened.locator(".downloads a").first.click()
    assert Path(saved.value.path()).read_text().startswith("year,model,run,accuracy,low,high")
    opened.locator(".line details summary").first.click()
    assert opened.locator(".line details table").first.is_visible()
    context.close()


def test_a_chart_is_saved_as_png(front) -> None:
    for where in (".line .downloads button", "section:has(#claims) .downloads button"):
        with front.expect_download() as saved:
            front.locator(where).first.click()
        assert saved.value.suggested_filename.endswith(".png")
        assert Path(saved.value.path()).read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


def test_a_row_of_the_claims_leads_to_its_room(front) -> None:
    link = front.locator(".forest li a").first
    room = link.get_attribute("data-room")
    link.click()
    assert front.evaluate("document.querySelector('dialog[open]').id") == room
    front.keyboard.press("Escape")
    assert front.evaluate("document.activeElement.dataset.room") == room
    for width, height in SIZES:
        front.set_viewport_size({"width": width, "height": height})
        rows = front.locator(".forest li").evaluate_all("rows => rows.map((row) => [row.scrollWidth, row.clientWidth])")
        assert all(inside <= outside for inside, outside in rows), width
