"""The Korean page in a browser, with what is recorded: it fits on a phone, and the axis is searched in Korean."""

from collections.abc import Iterator

import pytest

import zoo
from train.history.claims import results
from train.history.timeline import exhibits, findings
from train.history.timeline.page import write_page

pytestmark = pytest.mark.browser
SHOWN = ("lenet5", "seq2seq_attention_mini")
CUT = """() => [...document.querySelectorAll("dialog")].flatMap((room) => {
  room.showModal();
  const cut = [...room.querySelectorAll("p, h2, h3, h4, h5, dt, dd, li, figcaption, caption, label")]
    .filter((one) => !one.closest(".scroll, pre, svg, .drawings") && one.scrollWidth > one.clientWidth + 1
      && getComputedStyle(one).display !== "inline").map((one) => `${room.id}: ${one.textContent}`);
  if (room.scrollWidth > room.clientWidth) cut.push(`${room.id}: the room`);
  room.close();
  return cut;
})"""


@pytest.fixture(scope="module")
def page(browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[object]:
    shown = [exhibit for exhibit in exhibits.read_all(exhibits.FOLDER) if exhibit.model in SHOWN]
    cards = {name: zoo.CARDS[name] for name in SHOWN}
    folder = tmp_path_factory.mktemp("korean")
    path = write_page(shown, findings.read_all(results.FILE), folder, cards=cards, lang="ko")
    context = browser.new_context(viewport={"width": 390, "height": 800})
    opened = context.new_page()
    opened.goto(path.as_uri())
    yield opened
    context.close()


def test_no_text_is_cut_on_a_phone(page) -> None:
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert page.evaluate(CUT) == []


@pytest.mark.parametrize(
    ("words", "found"),
    [("지름길 연결", "claim-resnet_degradation"), ("정규화", "claim-batch_normalization"), ("합성곱", "claim-lenet")],
)
def test_the_axis_is_searched_in_korean(page, words: str, found: str) -> None:
    page.fill("#search", words)
    assert page.locator(f"#mark-{found}").is_visible()
    assert not page.locator("#mark-claim-xor").is_visible()
    page.fill("#search", "")
    assert page.locator("#mark-claim-xor").is_visible()
