"""Films of an episode: an animated GIF, and a PNG with a few frames side by side. Both are drawn from observations."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from train.inference.episodes import Film
from zoo.files import atomic_file

SIZE = 200  # width and height of a frame in pixels
SUPERSAMPLING = 3  # a frame is drawn so many times larger and then reduced, for smooth edges
MAX_GIF_FRAMES = 600  # a longer episode is shown in so many evenly spaced frames
STRIP_FRAMES = 8
FRAME_MILLISECONDS = 33
LAST_FRAME_MILLISECONDS = 1500
PAPER, INK, SOFT, ACCENT = "#ffffff", "#22262b", "#b9bec5", "#c8642b"
PALETTE = ("#2f6db3", "#d8a31a", "#c8642b", "#3f8f5b", "#8d4fa8", "#b03a48", "#4fa3a5", "#7d6b57", "#e27fa8", "#9aa53b")
"""The colours of MinAtar's channels, one for each kind of object."""


def draw(name: str, observation: np.ndarray) -> Image.Image:
    """Draw an observation of the environment `name` as an image of SIZE x SIZE pixels."""
    if name.startswith("minatar/"):
        return _grid(observation)
    if name.startswith("atari/"):
        newest = Image.fromarray(np.asarray(observation)[..., -1])
        return newest.resize((SIZE, SIZE), Image.Resampling.NEAREST).convert("RGB")
    canvas = Image.new("RGB", (SIZE * SUPERSAMPLING, SIZE * SUPERSAMPLING), PAPER)
    draw_scene = SCENES.get(name.partition("-")[0], _bars)
    draw_scene(_Pen(canvas), observation)
    return canvas.resize((SIZE, SIZE), Image.Resampling.LANCZOS)


class _Pen:
    """Draws in coordinates from -1 to 1, with y pointing up."""

    def __init__(self, canvas: Image.Image) -> None:
        self._draw = ImageDraw.Draw(canvas)
        self._half = canvas.width / 2

    def _at(self, points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
        return [(self._half * (1 + x), self._half * (1 - y)) for x, y in points]

    def line(self, *points: tuple[float, float], width: float = 0.02, color: str = INK) -> None:
        self._draw.line(self._at(points), color, round(width * self._half), joint="curve")

    def box(self, x: float, y: float, width: float, height: float, color: str) -> None:
        low, high = self._at([(x - width / 2, y + height / 2), (x + width / 2, y - height / 2)])
        self._draw.rectangle((*low, *high), color)

    def dot(self, x: float, y: float, radius: float, color: str) -> None:
        low, high = self._at([(x - radius, y + radius), (x + radius, y - radius)])
        self._draw.ellipse((*low, *high), color)


def _cart_pole(pen: _Pen, observation: np.ndarray) -> None:
    position, _, angle, _ = map(float, observation)
    x, y = position / 2.6, -0.35
    pen.line((-1, y - 0.1), (1, y - 0.1), color=SOFT)
    for edge in (-2.4, 2.4):
        pen.line((edge / 2.6, y - 0.15), (edge / 2.6, y - 0.05), color=SOFT)
    pen.box(x, y, 0.36, 0.18, INK)
    top = y + 0.06
    pen.line((x, top), (x + 0.8 * math.sin(angle), top + 0.8 * math.cos(angle)), width=0.07, color=ACCENT)
    pen.dot(x, top, 0.045, SOFT)


def _acrobot(pen: _Pen, observation: np.ndarray) -> None:
    angle1 = math.atan2(observation[1], observation[0])
    angle2 = angle1 + math.atan2(observation[3], observation[2])
    joint = (0.42 * math.sin(angle1), -0.42 * math.cos(angle1))
    tip = (joint[0] + 0.42 * math.sin(angle2), joint[1] - 0.42 * math.cos(angle2))
    pen.line((-1, 0.42), (1, 0.42), color=SOFT)  # the height that the tip must reach
    pen.line((0, 0), joint, width=0.09, color=INK)
    pen.line(joint, tip, width=0.09, color=ACCENT)
    for x, y in ((0, 0), joint):
        pen.dot(x, y, 0.06, SOFT)


def _mountain_car(pen: _Pen, observation: np.ndarray) -> None:
    def on_hill(position: float) -> tuple[float, float]:
        return (position + 0.3) / 0.95, 0.45 * math.sin(3 * position) - 0.15

    pen.line(*(on_hill(-1.2 + 1.8 * i / 60) for i in range(61)), color=SOFT, width=0.03)
    flag = on_hill(0.5)
    pen.line(flag, (flag[0], flag[1] + 0.25), color=INK)
    pen.box(flag[0] + 0.06, flag[1] + 0.2, 0.12, 0.1, ACCENT)
    x, y = on_hill(float(observation[0]))
    pen.dot(x, y + 0.08, 0.08, ACCENT)


def _bars(pen: _Pen, observation: np.ndarray) -> None:
    """Draw one bar for each number of any observation, up if positive. The heights are squashed to below 1."""
    heights = np.tanh(np.asarray(observation, np.float64).ravel())
    width = 2 / len(heights)
    pen.line((-1, 0), (1, 0), color=SOFT)
    for i, height in enumerate(heights):
        pen.box(-1 + (i + 0.5) * width, height / 2, 0.8 * width, abs(height), ACCENT)


SCENES: dict[str, Callable[[_Pen, np.ndarray], None]] = {
    "CartPole": _cart_pole,
    "Acrobot": _acrobot,
    "MountainCar": _mountain_car,
}


def _grid(observation: np.ndarray) -> Image.Image:
    """Draw a grid (10, 10, C) bool. Where several channels are set, the last one is visible."""
    picture = np.full((*observation.shape[:2], 3), 16, np.uint8)
    for channel, color in zip(range(observation.shape[-1]), PALETTE, strict=False):
        picture[np.asarray(observation)[..., channel].astype(bool)] = [int(color[i : i + 2], 16) for i in (1, 3, 5)]
    return Image.fromarray(picture).resize((SIZE, SIZE), Image.Resampling.NEAREST)


def write_gif(name: str, film: Film, path: Path) -> None:
    """Write the film as a GIF that plays once; raise UserError if the file cannot be written."""
    steps = _evenly_spaced(len(film.observations), MAX_GIF_FRAMES)
    frames = [draw(name, film.observations[step]).quantize(64) for step in steps]
    times = [FRAME_MILLISECONDS] * (len(frames) - 1) + [LAST_FRAME_MILLISECONDS]
    _save(path, frames[0], "GIF", save_all=True, append_images=frames[1:], duration=times, loop=0)


def write_strip(name: str, film: Film, path: Path) -> None:
    """Write STRIP_FRAMES frames of the film side by side as a PNG, each with its step and the return so far."""
    steps = _evenly_spaced(len(film.observations), STRIP_FRAMES)
    gap, caption_height = 8, 18
    width = gap + len(steps) * (SIZE + gap)
    height = SIZE + caption_height + 2 * gap
    strip = Image.new("RGB", (width, height), "#eceef0")
    captions = ImageDraw.Draw(strip)
    for column, step in enumerate(steps):
        left = gap + column * (SIZE + gap)
        strip.paste(draw(name, film.observations[step]), (left, gap))
        captions.text((left, gap + SIZE + 5), f"step {step}, return {film.total[step]:g}", INK)
    _save(path, strip, "PNG")


def _evenly_spaced(count: int, most: int) -> list[int]:
    """Return at most `most` of the numbers below `count`, evenly spaced, with the first and the last."""
    return sorted({round(i) for i in np.linspace(0, count - 1, min(count, most))})


def _save(path: Path, image: Image.Image, kind: str, **how: object) -> None:
    with atomic_file(path) as temporary:
        image.save(temporary, kind, **how)
