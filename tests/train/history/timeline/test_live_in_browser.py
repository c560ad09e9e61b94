"""The live exhibits in a real browser: the answers are JAX's, keyboard and touch are enough, nothing is asked for."""

import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from PIL import Image
from runs_by_hand import run_folder
from sklearn.datasets import load_digits

import zoo
from train.algorithms.optimizers import make_optimizer
from train.config import Data, Optim
from train.data.images import catalog
from train.history.timeline import exhibits
from train.history.timeline.live import nets, traces
from train.history.timeline.page import write_page
from zoo.weights import Loaded
from zoo.weights.preprocessing import Images

pytestmark = pytest.mark.browser
GREY = Images((28, 28), mean=(0.13,), std=(0.31,))
COUNT = 200
RUN = "async ([net, images]) => { const it = await readNet(net); return images.map((x) => [...runNet(it, x).logits]); }"
SEEN = """() => {
  const { data } = document.querySelector(".seen canvas").getContext("2d").getImageData(0, 0, 28, 28);
  return Array.from({ length: 784 }, (_, i) => data[4 * i]);
}"""
STATUS = "#draw-a-digit [role=status]"


@pytest.fixture(scope="session")
def live_address(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A page with our own networks, and a run of a generator whose pictures got lighter in three moments."""
    root = tmp_path_factory.mktemp("live")
    cards = {name: zoo.card(name) for name in ("perceptron", "mlp", "lenet5", "gan")}
    run = run_folder(root / "runs", "gan", None, name="mine", task="adversarial")
    rows = [np.full((10, 80, 3), shade, np.uint8) for shade in (40, 120, 200)]
    (run / "samples").mkdir()
    Image.fromarray(np.concatenate(rows)).save(run / "samples" / "growth.png")
    expected = [[[letter, 0.5 - i / 10] for i, letter in enumerate(" to,b")] for _ in "To be, "]
    trace = traces.Trace("a.test", "gpt_char_mini", 1.0, [traces.Text("To be, ", 5, expected)])
    runs = [exhibits.of_run(run)]
    return write_page(runs, [], root, nets=nets.own_nets(), traces=[trace], cards=cards).as_uri()


@pytest.fixture
def page(browser: Any, live_address: str) -> Iterator[Any]:
    """The page, opened; afterwards it has said nothing on the console and asked for nothing outside itself."""
    context = browser.new_context(viewport={"width": 1280, "height": 1400}, has_touch=True)
    opened = context.new_page()
    complaints: list[str] = []
    opened.on("console", lambda message: complaints.append(f"{message.type}: {message.text}"))
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    opened.on("request", lambda asked: asked.url.startswith(("data:", live_address)) or complaints.append(asked.url))
    opened.goto(live_address)
    yield opened
    context.close()
    assert complaints == []


def has_mnist() -> bool:
    return (Path(os.environ.get("TFDS_DATA_DIR", "")) / "mnist").is_dir()


@pytest.fixture(scope="module")
def digits() -> np.ndarray:
    """Test digits, uint8 (COUNT, 28, 28): MNIST's where they are, else scikit-learn's, enlarged."""
    if has_mnist():
        return np.asarray(catalog.load(Data("mnist", batch=8)).test.arrays()["x"])[:COUNT, ..., 0]
    images = load_digits(return_X_y=True)[0].reshape(-1, 8, 8)[:COUNT]
    small = [Image.fromarray((image * 255 / 16).astype(np.uint8)) for image in images]
    large = [np.asarray(image.resize((20, 20), Image.Resampling.BICUBIC)) for image in small]
    return np.pad(np.stack(large), ((0, 0), (4, 4), (4, 4)))


def compare(page: Any, loaded: Loaded, name: str, digits: np.ndarray) -> tuple[float, float]:
    """Return the share of digits with the same class in browser and JAX, and the largest difference of logits, over
    their span."""
    assert isinstance(loaded.preprocessing, Images)
    x = np.stack([loaded.preprocessing(Image.fromarray(digit)) for digit in digits])
    apply = jax.jit(lambda variables, x: loaded.model.apply(variables, x, train=False))
    ours = np.asarray(apply(loaded.variables, x))
    net = nets.of_loaded(loaded, name, data="mnist", figure=None)
    theirs = np.asarray(page.evaluate(RUN, [net, digits.reshape(len(digits), -1).tolist()]))
    same, apart = (ours.argmax(1) == theirs.argmax(1)).mean(), np.abs(ours - theirs).max()
    print(f"{name}: same class in {same:.1%}, logits within {apart:.3f} of a span of {np.ptp(ours):.1f}")
    return float(same), float(apart / np.ptp(ours))


@pytest.mark.parametrize("name", ["perceptron.mnist", "mlp.mnist", "lenet5.mnist"])
def test_answers_are_those_of_jax(page: Any, digits: np.ndarray, name: str) -> None:
    same, apart = compare(page, zoo.pretrained(name), name, digits)
    assert same >= (0.99 if has_mnist() else 0.95)  # other digits than it learned from are nearer to a border
    assert apart < 0.03


@pytest.mark.parametrize(
    ("card", "fields"),
    [
        ("mlp", {"widths": (64,), "batch_norm": True, "activation": "gelu"}),
        ("lenet5", {"pooling": "max", "activation": "swish"}),
        ("alexnet_cifar", {}),
        ("resnet20", {"stem_stride": 2}),
        ("resnet20", {"depths": (1, 1, 1), "bottleneck": True, "shortcut": "B", "stem_pool": True}),
        ("plain20", {"depths": (1, 1, 1)}),
        ("vit_mini_patch4", {"patch": 7, "width": 32, "depth": 2}),
        ("vit_mini_patch4", {"patch": 7, "width": 32, "depth": 1, "pool": "mean", "positions": "sine", "gelu": "tanh",
                             "representation": 16}),
    ],
)  # fmt: skip
def test_every_kind_of_layer_is_that_of_jax(page: Any, digits: np.ndarray, card: str, fields: dict[str, Any]) -> None:
    model, draw = zoo.create(card, **fields), np.random.default_rng(0)
    start = model.init(jax.random.key(0), np.zeros((1, 28, 28, 1), np.float32), train=False)
    variables = jax.tree.map(lambda leaf: leaf + 0.1 * draw.normal(size=leaf.shape).astype(np.float32), start)
    if "batch_stats" in variables:
        variables["batch_stats"] = jax.tree.map(lambda leaf: np.abs(leaf) + 0.1, variables["batch_stats"])
    loaded = Loaded(model, variables, card, "zoo", "a test", GREY, None, (), None, {})
    _, apart = compare(page, loaded, card, digits[:20])
    assert apart < 0.08  # its weights are noise, in 8 bits


def until(page: Any, holds: str) -> None:
    """Wait until an expression is true; Playwright's own waiting needs eval, which the page forbids."""
    for _ in range(200):
        if page.evaluate(holds):
            return
        page.wait_for_timeout(20)
    raise AssertionError(f"not within 4 s: {holds}; {page.text_content(STATUS)}")


def ready(page: Any) -> None:
    page.locator("#draw-a-digit").scroll_into_view_if_needed()
    page.locator("#draw-a-digit[data-ready]").wait_for()


def test_samples_are_read_by_all(page: Any) -> None:
    ready(page)
    for digit in range(10):
        page.click(f".samples button[value='{digit}']")
        expected = [f"reads {digit},"] * 3
        until(page, f"document.querySelector('{STATUS}').textContent.includes('LeNet-5 reads {digit}')")
        said = page.text_content(STATUS).split("; ")
        assert all(want in one for want, one in zip(expected, said, strict=True)), said
    assert page.locator(".maps canvas").count() == 4


def test_drawing_by_mouse_touch_and_keyboard(page: Any) -> None:
    ready(page)
    page.click("#draw-a-digit .clear")
    until(page, f"document.querySelector('{STATUS}').textContent === 'Nothing is drawn.'")
    assert page.locator(".maps").is_hidden()
    box = page.locator(".pad").bounding_box()
    middle = box["x"] + box["width"] / 2
    page.mouse.move(middle, box["y"] + 40)
    page.mouse.down()
    page.mouse.move(middle, box["y"] + 240, steps=8)
    page.mouse.up()
    one = f"document.querySelector('{STATUS}').textContent.includes('LeNet-5 reads 1,')"
    until(page, one)
    page.focus(".pad")
    page.keyboard.press("Delete")
    until(page, f"document.querySelector('{STATUS}').textContent === 'Nothing is drawn.'")
    for _ in range(8):
        page.keyboard.press("ArrowUp")
    for _ in range(17):
        page.keyboard.press("Shift+ArrowDown")
    until(page, one)
    page.keyboard.press("Backspace")
    page.keyboard.press(" ")
    until(page, f"!document.querySelector('{STATUS}').textContent.includes('Nothing')")
    page.click("#draw-a-digit .clear")
    page.touchscreen.tap(middle, box["y"] + 100)
    until(page, f"document.querySelector('{STATUS}').textContent.includes('reads')")


def test_a_small_drawing_in_a_corner_is_scaled_and_centred(page: Any) -> None:
    ready(page)
    page.click("#draw-a-digit .clear")
    box = page.locator(".pad").bounding_box()
    page.mouse.move(box["x"] + 20, box["y"] + 20)
    page.mouse.down()
    page.mouse.move(box["x"] + 20, box["y"] + 120, steps=8)
    page.mouse.up()
    until(page, f"document.querySelector('{STATUS}').textContent.includes('reads')")
    image = np.asarray(page.evaluate(SEEN), float).reshape(28, 28)
    lit = np.flatnonzero(image.max(1))
    assert lit[-1] - lit[0] + 1 == 20
    assert abs((image.sum(1) @ np.arange(28)) / image.sum() - 14) <= 0.6
    assert abs((image.sum(0) @ np.arange(28)) / image.sum() - 14) <= 0.6
    page.uncheck(".centred")
    until(page, f"({SEEN})().slice(0, 28 * 3).some((v) => v > 0)")


def test_a_room_leads_to_the_exhibit(page: Any) -> None:
    page.click("#mark-model-lenet5")
    page.click("dialog[open] a.out")
    until(page, "!document.querySelector('dialog[open]')")
    assert page.evaluate("document.activeElement.id") == "draw-a-digit"
    page.click(".contents a[href='#axis']")  # a place on the page is no room


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_is_as_wide_as_the_window_and_accessible(page: Any, scheme: str) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe-playwright-python (dev extra)")
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    for width in (390, 820, 1280):
        page.set_viewport_size({"width": width, "height": 844})
        ready(page)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        parts = "[...document.querySelectorAll('.live :not(pre *)')].map((one) => one.getBoundingClientRect().right)"
        assert max(page.evaluate(parts)) <= width
    found = axe.Axe().run(page, context="section:has(#try)").response["violations"]
    assert [one["id"] for one in found if one["impact"] in ("serious", "critical")] == []


def xor_ready(page: Any) -> None:
    page.locator("#learn-xor").scroll_into_view_if_needed()
    page.locator("#learn-xor[data-ready]").wait_for()


def test_the_network_learns_xor_and_the_unit_does_not(page: Any) -> None:
    page.emulate_media(reduced_motion="reduce")  # it is shown where it ends
    xor_ready(page)
    page.focus("#learn-xor .play")
    ends = []
    for _ in range(4):  # four starts, by keyboard alone
        page.keyboard.press("Enter")
        ends.append(page.text_content("#learn-xor [role=status]"))
        page.focus("#learn-xor .again")
        page.keyboard.press("Enter")
        page.focus("#learn-xor .play")
    assert all("the network answers 4 of 4" in said and "the single unit 0 of 4 (loss 0.69" in said for said in ends), (
        ends
    )
    assert len(set(ends)) == 4


def test_xor_is_the_same_for_a_seed(page: Any) -> None:
    xor_ready(page)
    status, seen = "#learn-xor [role=status]", []
    for _ in range(2):
        page.click("#learn-xor .reset")
        for _ in range(3):
            page.click("#learn-xor .one")
        seen.append((page.text_content(status), page.locator("#learn-xor tbody").inner_text()))
    assert seen[0] == seen[1]
    assert "After 3 steps" in seen[0][0]
    page.select_option("#learn-xor .rate", "1")
    page.click("#learn-xor .play")
    assert page.text_content("#learn-xor .play") == "Pause"
    # Read and pressed at once: a slow machine would have learned it all before.
    steps = "Number(document.querySelector('#learn-xor .steps').textContent.split(' ')[1])"
    until(page, f"{steps} > 20 && (document.querySelector('#learn-xor .play').click(), true)")
    assert page.text_content("#learn-xor .play") == "Play"


def test_rules_run_down_as_those_that_train(page: Any) -> None:
    page.locator("#run-down").scroll_into_view_if_needed()
    page.locator("#run-down[data-ready]").wait_for()
    page.focus("#run-down .one")
    for _ in range(30):
        page.keyboard.press("Enter")
    shown = [float(text) for text in page.locator("#run-down .loss").all_text_contents()]

    def height(point: jax.Array) -> jax.Array:
        x, y = point
        return 0.1 * (1 - x) ** 2 + (y - x * x) ** 2

    for name, value in zip(("sgd", "momentum", "adam"), shown, strict=True):
        rule = make_optimizer(Optim(name, lr=0.03), 30)
        point: Any = {"kernel": jnp.asarray([-1.5, 2.2])}
        state = rule.init(point)
        for _ in range(30):
            change, state = rule.update({"kernel": jax.grad(height)(point["kernel"])}, state, point)
            point = optax.apply_updates(point, change)
        assert value == pytest.approx(float(height(point["kernel"])), rel=0.01), name
    page.focus("#run-down canvas")
    page.keyboard.press("ArrowRight")
    assert page.text_content("#run-down .steps") == "step 0"
    page.select_option("#run-down .rate", "0.3")
    page.emulate_media(reduced_motion="reduce")
    page.click("#run-down .play")
    assert "Momentum left the map" in page.text_content("#run-down [role=status]")


def test_a_slider_goes_through_the_growth(page: Any) -> None:
    page.locator("#watch-growth").scroll_into_view_if_needed()
    page.locator("#watch-growth[data-ready]").wait_for()

    def shade() -> object:
        with Image.open(io.BytesIO(page.locator(".frames").screenshot())) as picture:
            return picture.convert("L").getpixel((picture.width // 2, picture.height // 2))

    assert (page.text_content("#watch-growth output"), shade()) == ("moment 1 of 3", 40)
    page.focus("#watch-growth .moment")
    page.keyboard.press("End")
    assert page.text_content("#watch-growth output") == "moment 3 of 3"
    assert shade() == 200
    assert page.get_attribute("#watch-growth .moment", "aria-valuetext") == "moment 3 of 3"


def test_the_next_letter_has_its_bars(page: Any) -> None:
    page.focus("#what-is-next .letter")
    page.keyboard.press("ArrowRight")
    assert page.text_content("#what-is-next .writing").startswith("To be,")
    assert page.text_content("#what-is-next .taken-letter") == "Drawn: ␣"
    assert page.locator("#what-is-next .next-bars .best span").text_content() == "50 %"
    assert "␣ 50 %" in page.get_attribute("#what-is-next .letter", "aria-valuetext")
    page.focus("#what-is-next .one")
    page.keyboard.press("Enter")
    assert page.text_content("#what-is-next .taken-letter") == "Here the recording ends."
