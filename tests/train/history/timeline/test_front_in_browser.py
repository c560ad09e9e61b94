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


def test_what_is_saved_shows_all_its_words(browser, front) -> None:
    drawings = front.evaluate("""() => [...document.querySelectorAll('.as-svg')].map((link) =>
        new TextDecoder().decode(Uint8Array.from(atob(link.href.split(',')[1]), (one) => one.charCodeAt(0))))""")
    alone = browser.new_page()
    for drawing in drawings:
        alone.set_content(drawing)
        cut = alone.evaluate("""() => { const frame = document.querySelector('svg').getBoundingClientRect();
            return [...document.querySelectorAll('svg text')].filter((text) => {
                const box = text.getBoundingClientRect();
                return box.left < frame.left || box.right > frame.right || box.bottom > frame.bottom; })
                .map((text) => text.textContent); }""")
        assert cut == []
    alone.close()


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


COVERED = """() => {
  const covers = (box) => {
    const head = box.querySelector("tbody th");
    if (!head || box.scrollWidth <= box.clientWidth + 1 || getComputedStyle(head).position !== "sticky") return false;
    return head.getBoundingClientRect().width > 0.4 * box.clientWidth;
  };
  document.querySelectorAll("details").forEach((one) => { one.open = true; });
  return [document.querySelector("main"), ...ROOMS].flatMap((shown) => {
    shown.showModal?.();  // without the plots that a visitor's way opens
    const found = [...shown.querySelectorAll(".scroll")].filter(covers);
    shown.close?.();
    return found.map((box) => `${shown.id} ${box.getAttribute("aria-label")}`);
  });
}"""


def test_no_column_that_stays_covers_a_table(front) -> None:
    """On a phone the first column covered effects, intervals and verdicts, and in seq2seq's room every translation."""
    for width, height in SIZES:
        front.set_viewport_size({"width": width, "height": height})
        assert front.evaluate(COVERED) == [], width
        front.evaluate("openRoom('model-seq2seq')")
        said = front.locator("dialog[open] td", has_text="people are walking down a sidewalk").first
        said.scroll_into_view_if_needed()
        assert said.evaluate("""(cell) => { const box = cell.getBoundingClientRect();
            return cell.contains(document.elementFromPoint(box.left + box.width / 2, box.top + box.height / 2)); }""")
        front.evaluate("document.querySelector('dialog[open]').close()")


@pytest.mark.parametrize(("words", "rooms"), [
    ("convolution", ["model-lenet5", "model-resnet50", "model-alexnet"]),
    ("translation", ["model-transformer_base", "model-seq2seq"]),
    ("backprop", ["model-mlp"]),
    ("agent", ["model-dqn_2013"]),
])  # fmt: skip
def test_a_search_finds_what_it_is_about(front, words: str, rooms: list[str]) -> None:
    front.fill("#search", words)
    for room in rooms:
        assert front.locator(f"#mark-{room}").is_visible()
    assert not front.locator("#mark-model-perceptron").is_visible()


def test_the_title_is_that_of_the_room(front) -> None:
    title = front.title()
    front.evaluate("openRoom('model-lenet5')")
    assert front.title() == f"LeNet-5 – {title}"
    front.keyboard.press("ArrowRight")
    assert front.title() != f"LeNet-5 – {title}"
    front.keyboard.press("Escape")
    assert front.title() == title


def test_names_of_pictures_and_buttons_tell_them_apart(front) -> None:
    names = front.evaluate("[...document.images].map((image) => image.alt)")
    assert len(names) == len(set(names))
    copies = front.evaluate("[...document.querySelectorAll('button.copy')].map((one) => one.textContent.trim())")
    assert len(set(copies)) > 0.8 * len(copies)


def test_plots_say_which_way_is_better(front) -> None:
    for plot in ("#comparison-plot", "#curves-plot"):
        front.locator(plot).scroll_into_view_if_needed()
        front.locator(f"{plot} .annotation-text", has_text="↑ higher is better").first.wait_for()
