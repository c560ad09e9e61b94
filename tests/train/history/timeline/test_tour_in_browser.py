"""The tour in a real browser, with what was recorded: keys, addresses, focus, phones, paper, no JavaScript."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import zoo
from train.history.claims import results
from train.history.timeline import exhibits, findings, tour, words
from train.history.timeline.page import write_page

pytestmark = pytest.mark.browser
COUNT = len(tour.load_stops())
SHOWN = ("perceptron", "mlp", "lenet5", "lstm_small", "gan", "seq2seq_attention")


@pytest.fixture(scope="module")
def addresses(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The page in each language: all that was recorded, and the rooms of a few models."""
    runs, found = exhibits.read_all(exhibits.FOLDER), findings.read_all(results.FILE)
    cards = {name: zoo.CARDS[name] for name in SHOWN}
    folder = tmp_path_factory.mktemp("tour")
    return {lang: write_page(runs, found, folder / lang, cards=cards, lang=lang).as_uri() for lang in words.languages()}


@pytest.fixture
def page(browser, addresses: dict[str, str]) -> Iterator[object]:
    """The English page, opened; afterwards it has said nothing on the console."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, reduced_motion="reduce")
    opened = context.new_page()
    complaints: list[str] = []
    opened.on("console", lambda message: complaints.append(f"{message.type}: {message.text}"))
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    opened.goto(addresses["en"])
    yield opened
    context.close()
    assert complaints == []


def stop(page) -> str | None:
    """The stop that is seen, if the tour is open."""
    seen = page.locator("#tour:modal .stop").evaluate_all("stops => stops.filter(s => s.offsetHeight).map(s => s.id)")
    assert len(seen) <= 1
    return seen[0] if seen else None


def focused(page) -> str:
    return page.evaluate("document.activeElement.id || document.activeElement.className")


def test_it_opens_from_the_first_screen_and_goes_on_by_keys(page) -> None:
    link = page.locator("a[data-tour]")
    assert link.bounding_box()["y"] < 900
    assert stop(page) is None
    link.focus()
    page.keyboard.press("Enter")
    assert stop(page) == "tour-1"
    assert focused(page) == "tour-1-title"
    assert page.locator("#tour [data-step='-1']").is_disabled()
    page.keyboard.press("ArrowLeft")  # there is none before
    assert stop(page) == "tour-1"
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    assert stop(page) == "tour-3"
    assert page.evaluate("location.hash") == "#tour-3"
    assert page.locator(".progress a.done").count() == 3
    assert page.locator(".progress [aria-current=step]").get_attribute("href") == "#tour-3"
    page.keyboard.press("ArrowLeft")
    assert stop(page) == "tour-2"
    page.locator("#tour .step").last.click()
    assert stop(page) == "tour-3"
    page.locator(".progress a").last.click()
    assert stop(page) == f"tour-{COUNT}"
    page.keyboard.press("Escape")
    assert stop(page) is None
    assert page.evaluate("location.hash") == ""
    assert page.evaluate("document.activeElement.matches('a[data-tour]')")


def test_an_address_leads_to_a_stop(page, addresses: dict[str, str]) -> None:
    page.goto(f"{addresses['en']}#tour-3")
    page.reload()
    assert stop(page) == "tour-3"
    assert focused(page) == "tour-3-title"
    assert page.locator("#tour .inside").evaluate("element => element.scrollTop") == 0
    page.evaluate("location.hash = '#tour-5'")
    page.locator("#tour-5").wait_for()
    page.keyboard.press("Escape")
    assert page.evaluate("document.activeElement.matches('a[data-tour]')")


def test_a_room_opens_over_its_stop_and_leads_back(page) -> None:
    page.evaluate("location.hash = '#tour-3'")
    link = page.locator("#tour-3 a[data-room='model-lenet5']")
    link.click()
    assert page.evaluate("document.querySelector('dialog.room[open]').id") == "model-lenet5"
    page.keyboard.press("Escape")
    assert page.locator("dialog.room[open]").count() == 0
    assert stop(page) == "tour-3"
    page.wait_for_url("**#tour-3")
    assert page.evaluate("document.activeElement.dataset.room") == "model-lenet5"
    for _ in range(40):  # Tab stays inside
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement === document.body || !!document.activeElement.closest('#tour')")


def test_a_picture_is_in_the_page_once(page, addresses: dict[str, str]) -> None:
    borrowed = page.locator("img[data-lender]")
    assert borrowed.count() >= 2
    html = Path(addresses["en"].removeprefix("file://")).read_text(encoding="utf-8")
    for source in borrowed.evaluate_all("images => images.map(image => image.src)"):
        assert source.startswith("data:image/")
        assert html.count(source) == 1


@pytest.mark.parametrize("lang", words.languages())
def test_no_stop_is_wider_than_a_phone(browser, addresses: dict[str, str], lang: str) -> None:
    context = browser.new_context(viewport={"width": 390, "height": 844})
    page = context.new_page()
    page.goto(f"{addresses[lang]}#tour-1")
    for number in range(1, COUNT + 1):
        assert stop(page) == f"tour-{number}"
        inside = page.locator("#tour .inside")
        assert inside.evaluate("element => element.scrollWidth - element.clientWidth") <= 0, number
        beyond = page.locator(f"#tour-{number} *").evaluate_all(
            "all => all.filter(one => !one.closest('.hidden') && one.getBoundingClientRect().right > innerWidth)"
            ".map(one => one.outerHTML.slice(0, 90))"
        )
        assert beyond == [], number
        page.keyboard.press("ArrowRight")
    context.close()


@pytest.mark.parametrize("lang", words.languages())
def test_it_prints_one_stop_a_page(browser, addresses: dict[str, str], lang: str) -> None:
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"{addresses[lang]}#tour-4")
    paper = page.pdf(prefer_css_page_size=True)
    assert len(re.findall(rb"/Type\s*/Page\b", paper)) == COUNT
    page.locator("#tour:modal").wait_for()  # the tour goes on
    assert stop(page) == "tour-4"
    page.keyboard.press("Escape")
    assert stop(page) is None
    context.close()


def test_without_javascript_all_stops_can_be_read(browser, addresses: dict[str, str]) -> None:
    context = browser.new_context(java_script_enabled=False, viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.goto(addresses["en"])
    assert all(title.is_visible() for title in page.locator(".stop h2").all())
    tops = [page.locator(f"#tour-{number}").bounding_box()["y"] for number in range(1, COUNT + 1)]
    assert tops == sorted(tops)
    assert page.locator("#tour .hero img").first.is_visible()
    context.close()


def test_axe_finds_nothing_serious_in_the_tour(page) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe-playwright-python (dev extra)")
    for scheme, numbers in (("light", (1, 5, 7)), ("dark", (1, 5, 9))):
        page.emulate_media(color_scheme=scheme)
        for number in numbers:
            page.evaluate(f"location.hash = '#tour-{number}'")
            page.locator(f"#tour-{number}").wait_for()
            found = axe.Axe().run(page, context="#tour").response["violations"]
            grave = [
                (one["id"], one["nodes"][0]["html"][:200]) for one in found if one["impact"] in ("serious", "critical")
            ]
            assert grave == [], number
