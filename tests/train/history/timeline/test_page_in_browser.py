"""The museum's page in a real browser (conftest.py). One page file for all tests."""

import dataclasses
import json
from collections.abc import Iterator

import numpy as np
import pytest
from PIL import Image
from runs_by_hand import EVIL, claim, line, run_folder
from small_grid import NETS, RULES, result

import zoo
from train.history.timeline import exhibits, findings, grids
from train.history.timeline.page import SCRIPTS, write_page

pytestmark = pytest.mark.browser
SHOWN = (
    *("perceptron", "mlp", "lecun1989", "lenet5", "resnet20", "plain20"),
    *("lstm_char", "transformer_mini", "vit_mini_patch8"),
)


@pytest.fixture(scope="session")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A page with a run of several seeds and pictures, a hostile run, three claims, and architectures drawn."""
    root = tmp_path_factory.mktemp("museum")
    replicas = [{"accuracy": [0.5 + step / 1000, 0.6, float("nan")]} for step in (0, 100, 200)]
    common = {"split": "validation", "seconds": 1.0, "loss": 1}
    lines = "".join(
        json.dumps({"step": 100 * i, **common, "accuracy": 0.6 + i / 10, "replicas": each}) + "\n"
        for i, each in enumerate(replicas)
    )
    (root / "runs").mkdir()
    good = {"lines": lines, "task": "classify"}
    runs = [run_folder(root / "runs", name, 0.8 + i / 100, params=100 * 7**i, name=f"digits_{name}", **good)
            for i, name in enumerate(("perceptron", "mlp", "lenet5", "resnet20"))]  # fmt: skip
    (runs[3] / "samples").mkdir()
    Image.fromarray(np.full((30, 60, 3), 99, np.uint8)).save(runs[3] / "samples" / "growth.png")
    nan = {"loss": float("nan"), "accuracy": float("nan"), "count": 360}
    told = {"task": "classify", "params": None, "device": EVIL}
    runs.append(run_folder(root / "runs", EVIL, None, name=EVIL, test=nan, lines=line(0, float("nan")), **told))
    other = {"dataset": "a text", "task": "language"}
    for i, name in enumerate(("lstm_char", "transformer_mini")):
        runs.append(
            run_folder(
                root / "runs",
                name,
                0.4,
                name=f"text_{name}",
                test={"loss": 2 - i, "count": 9},
                lines=line(0, 0.3),
                **other,
            )
        )
    claims = [
        claim("xor", 1969, kind="bars"),
        claim("depth", 2015, "does not hold"),
        claim(EVIL, 2014, "undecided", "points"),
    ]
    cards = {name: card for name, card in zoo.CARDS.items() if name in SHOWN}
    found = [findings.read(one, "test") for one in claims]
    path = write_page([exhibits.of_run(run) for run in runs], found, root / "out", grids=made_grids(), cards=cards)
    assert path.stat().st_size < 10e6
    return path.as_uri()


def made_grids() -> list[grids.Grid]:
    """A heat map and a ladder, which has a hostile name."""
    values = {
        f"{net.name}/{rule.name}": [0.5 + i / 8, 0.51 + j / 4]
        for i, net in enumerate(NETS)
        for j, rule in enumerate(RULES)
    }
    heat, ladder = (grids.read(result(values, **own), "test", recorded=True) for own in ({}, {"rows": NETS[:1]}))
    return [heat, dataclasses.replace(ladder, name=f"ladder {EVIL}")]


@pytest.fixture
def page(browser, address: str) -> Iterator[object]:
    """The page, opened; afterwards it has said nothing on the console and asked for nothing outside itself."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    opened = context.new_page()
    complaints: list[str] = []
    opened.on("console", lambda message: complaints.append(f"{message.type}: {message.text}"))
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    opened.on("dialog", lambda dialog: (complaints.append(f"alert: {dialog.message}"), dialog.dismiss()))
    opened.on("request", lambda asked: asked.url.startswith(("data:", address)) or complaints.append(asked.url))
    opened.goto(address)
    yield opened
    context.close()
    assert complaints == []


def room(page) -> str | None:
    return page.evaluate("document.querySelector('dialog[open]')?.id ?? null")


def focused(page) -> str:
    return page.evaluate("document.activeElement.id || document.activeElement.textContent.trim()")


def test_it_answers_soon(page) -> None:
    ready = page.evaluate("Number(document.documentElement.dataset.ready)")
    assert page.evaluate("typeof Plotly") == "undefined"  # read when a plot is due
    began = page.evaluate("performance.now()")
    page.evaluate("document.getElementById('comparison').scrollIntoView()")
    page.locator("#comparison-plot .main-svg").first.wait_for()
    drawn = page.evaluate("performance.now()") - began
    print(f"the page answers after {ready:.0f} ms; the first plot is drawn {drawn:.0f} ms after it is asked for")
    assert ready > 0


def test_a_landmark_opens_by_mouse_and_its_room_is_furnished(page) -> None:
    page.click("#mark-model-resnet20")
    assert room(page) == "model-resnet20"
    shown = page.locator("dialog[open]")
    assert shown.locator(".drawing").count() >= 3
    assert shown.locator(".picture img").evaluate("image => image.complete && image.naturalWidth") == 60
    curve = shown.locator("[data-curve]").first
    curve.locator(".scatterlayer .trace").first.wait_for(state="attached")  # a plot is drawn when it is due
    assert curve.locator(".scatterlayer .trace").count() == 3  # mean, and the two edges of its band
    shown.locator("select.metric").first.select_option("loss")
    assert "Loss" in curve.locator(".ytitle").first.text_content()
    page.click("dialog[open] .close")
    assert room(page) is None
    assert focused(page) == "mark-model-resnet20"
    page.click(".overview .dot[data-room='model-lenet5']")
    assert room(page) == "model-lenet5"
    page.mouse.click(5, 5)  # on the shade
    assert room(page) is None


def test_the_axis_and_rooms_by_keyboard(page) -> None:
    page.focus("#search")
    page.keyboard.press("Tab")
    first = focused(page)
    assert first.startswith("mark-")
    page.keyboard.press("Home")
    page.keyboard.press("ArrowDown")  # within its lane
    assert focused(page) == "mark-optimizer-sgd"
    page.keyboard.press("ArrowRight")  # along time
    assert focused(page) == "mark-model-perceptron"
    ring = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert ring == "solid"
    page.keyboard.press("Enter")
    assert room(page) == "model-perceptron"
    assert focused(page) == "model-perceptron-title"
    page.keyboard.press("ArrowRight")
    later = room(page)
    assert later not in (None, "model-perceptron")
    page.keyboard.press("ArrowLeft")
    assert room(page) == "model-perceptron"
    for _ in range(60):  # Tab stays inside
        page.keyboard.press("Tab")
        assert page.evaluate(
            "document.activeElement === document.body || !!document.activeElement.closest('dialog[open]')"
        )
    page.keyboard.press("Escape")
    assert room(page) is None
    assert focused(page) == "mark-model-perceptron"
    page.keyboard.press("Tab")  # the axis is one stop
    assert not focused(page).startswith("mark-")


def test_filters_hide_landmarks(page) -> None:
    count = page.locator("#marks .mark")
    everything = count.count()
    page.locator("#lanes input[value=algorithm]").uncheck()
    assert not page.locator("#mark-optimizer-adam").is_visible()
    assert page.locator("#mark-model-mlp").is_visible()
    page.fill("#search", "he zhang residual")
    visible = [mark for mark in count.all() if mark.is_visible()]
    assert [mark.get_attribute("id") for mark in visible] == ["mark-model-resnet20"]
    assert page.text_content("#shown") == f"1 of {everything} landmarks shown"
    page.click("#mark-model-resnet20")
    assert room(page) == "model-resnet20"
    page.keyboard.press("ArrowRight")  # there is no other that is shown
    assert room(page) == "model-resnet20"
    page.keyboard.press("Escape")
    page.fill("#search", "")
    page.check("#only-shown")
    assert not page.locator("#mark-model-vit_mini_patch8").is_visible()
    assert page.locator("#mark-claim-depth").is_visible()


def test_axes_of_the_comparison(page) -> None:
    page.evaluate("document.getElementById('comparison').scrollIntoView()")
    plot = page.locator("#comparison-plot")
    assert plot.locator(".xtitle").first.text_content() == "Parameters"
    page.check("#axis-x input[value=seconds]")
    assert plot.locator(".xtitle").first.text_content() == "Seconds of the whole run"
    front = "document.getElementById('comparison-plot').data[0].y.map(Math.round)"
    page.check("#axis-x input[value=params]")
    assert page.evaluate(front) == [80, 81, 82, 83]  # each larger one is better, so all are on the front
    page.check("#axis-x input[value=year]")
    page.check("#axis-y input[value=params]")
    assert page.evaluate("document.getElementById('comparison-plot').data[0].x") == [1958]  # oldest and smallest
    page.check("#group input[value='1']")
    assert page.locator("#compare-1").is_visible()
    assert not page.locator("#compare-0").is_visible()
    assert page.locator("#axis-y input[value=value] + span").text_content() == "Loss"


def test_a_table_sorts(page) -> None:
    table = page.locator("#compare-0 table")
    names = lambda: [row.strip() for row in table.locator("tbody th").all_text_contents()]  # noqa: E731
    assert names()[0] == "perceptron"
    heading = table.locator("thead button", has_text="Parameters")
    heading.click()
    heading.click()  # the other way
    assert names()[0] == "resnet20"
    assert table.locator("th[aria-sort]").get_attribute("aria-sort") == "descending"
    table.locator("thead button", has_text="Accuracy").click()
    assert names()[-1] == EVIL  # without a figure, so last
    heading.focus()
    page.keyboard.press("Enter")
    assert names()[0] == "perceptron"


def test_claims_have_verdicts_and_plots(page) -> None:
    for name, kind in (("xor", 2), ("depth", 2)):
        page.click(f"#mark-claim-{name}")
        shown = page.locator("dialog[open]")
        assert shown.locator("[data-claim] .scatterlayer .trace").count() >= kind
        assert shown.locator(".verdict").first.text_content() in ("holds", "does not hold")
        page.keyboard.press("Escape")
    page.click("#mark-claim-depth")
    page.click("dialog[open] a[data-room='model-resnet20']")  # from room to room
    assert room(page) == "model-resnet20"
    page.keyboard.press("Escape")
    assert focused(page) == "mark-claim-depth"


def test_the_lineage_lights_up(page) -> None:
    node = page.locator(".lineage .node[data-room='model-lenet5']")
    node.hover()
    lit = page.locator(".lineage .node.on").evaluate_all("nodes => nodes.map(node => node.dataset.room).sort()")
    assert lit == ["model-lecun1989", "model-lenet5", "model-mlp", "model-perceptron"]
    node.click()
    assert room(page) == "model-lenet5"
    page.keyboard.press("Escape")
    assert page.evaluate("document.activeElement.dataset.room") == "model-lenet5"


def test_an_address_leads_into_a_room(page, address: str) -> None:
    page.goto(f"{address}#activation-gelu")
    page.reload()
    assert room(page) == "activation-gelu"
    page.locator("[data-activation=gelu] .main-svg").first.wait_for()  # a plot is drawn when it is due


def test_hostile_words_stay_words(page) -> None:
    page.locator("#marks .mark", has_text="<script>").click()
    shown = page.locator("dialog[open]")
    assert EVIL in shown.text_content()
    assert page.evaluate("document.querySelectorAll('script').length") == len(SCRIPTS) + 2  # data, plots
    page.keyboard.press("Escape")
    assert EVIL in page.text_content("#compare-0")


def test_axe_finds_nothing_serious(page) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe-playwright-python (dev extra)")

    def check(where: str) -> None:
        found = axe.Axe().run(page, context=where).response["violations"]
        grave = [
            (one["id"], one["nodes"][0]["html"][:200]) for one in found if one["impact"] in ("serious", "critical")
        ]
        assert grave == [], where

    page.emulate_media(reduced_motion="reduce")  # a room that is still fading in has no contrast yet
    check("html")
    page.emulate_media(color_scheme="dark")
    check("html")
    for mark, scheme in (("model-resnet20", "light"), ("claim-depth", "dark"), ("activation-gelu", "light")):
        page.emulate_media(color_scheme=scheme)
        page.click(f"#mark-{mark}")
        page.evaluate("document.querySelectorAll('dialog[open] details').forEach(one => { one.open = true; })")
        check("dialog[open]")
        page.keyboard.press("Escape")


def test_nothing_is_wider_than_the_window(page) -> None:
    for width in (360, 768, 1600):
        page.set_viewport_size({"width": width, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        page.click("#mark-model-resnet20")
        inside = page.locator("dialog[open] .inside")
        assert inside.evaluate("element => element.scrollWidth - element.clientWidth") <= 0
        assert all(plot.bounding_box()["width"] <= width for plot in page.locator("dialog[open] .plot").all())
        page.keyboard.press("Escape")


def test_it_prints_without_its_controls(page) -> None:
    page.emulate_media(media="print")
    assert not page.locator(".filters").is_visible()
    assert page.locator("#marks .idea").first.is_visible()
    page.emulate_media(media="screen")
    page.click("#mark-model-lenet5")
    page.emulate_media(media="print")
    assert page.locator("dialog[open] .drawing").first.is_visible()
    assert not page.locator("#marks").is_visible()
