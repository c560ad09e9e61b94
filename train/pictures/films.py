"""Films of an agent at work: an animated GIF and a strip of moments as PNG, drawn from what the agent sees."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from train.inference.episodes import Film
from zoo.files import atomic_file

SIZE = 200  # pixels on a side of a frame
SCALE = 3  # drawn larger and reduced, for smooth edges
FRAMES = 600  # of a GIF at most; a longer episode is shown in so many steps at equal distances
MOMENTS = 8  # of a strip
MILLISECONDS = 33  # a frame
PAPER, INK, SOFT, ACCENT = "#ffffff", "#22262b", "#b9bec5", "#c8642b"
PALETTE = ("#2f6db3", "#d8a31a", "#c8642b", "#3f8f5b", "#8d4fa8", "#b03a48", "#4fa3a5", "#7d6b57", "#e27fa8", "#9aa53b")
"""Colours of MinAtar's kinds of objects, by channel."""


def draw(name: str, observation: np.ndarray) -> Image.Image:
    """SIZE x SIZE pixels of what the observation of environment `name` shows."""
    if name.startswith("minatar/"):
        return _grid(observation)
    if name.startswith("atari/"):
        newest = Image.fromarray(np.asarray(observation)[..., -1])
        return newest.resize((SIZE, SIZE), Image.Resampling.NEAREST).convert("RGB")
    canvas = Image.new("RGB", (SIZE * SCALE, SIZE * SCALE), PAPER)
    DRAWERS[name.partition("-")[0]](_Pen(canvas), observation)
    return canvas.resize((SIZE, SIZE), Image.Resampling.LANCZOS)


class _Pen:
    """Draws in a square of -1..1, y upwards."""

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
    first = math.atan2(observation[1], observation[0])
    both = first + math.atan2(observation[3], observation[2])
    elbow = (0.42 * math.sin(first), -0.42 * math.cos(first))
    hand = (elbow[0] + 0.42 * math.sin(both), elbow[1] - 0.42 * math.cos(both))
    pen.line((-1, 0.42), (1, 0.42), color=SOFT)  # what the hand is to rise above
    pen.line((0, 0), elbow, width=0.09, color=INK)
    pen.line(elbow, hand, width=0.09, color=ACCENT)
    for x, y in ((0, 0), elbow):
        pen.dot(x, y, 0.06, SOFT)


def _mountain_car(pen: _Pen, observation: np.ndarray) -> None:
    def at(position: float) -> tuple[float, float]:
        return (position + 0.3) / 0.95, 0.45 * math.sin(3 * position) - 0.15

    pen.line(*(at(-1.2 + 1.8 * i / 60) for i in range(61)), color=SOFT, width=0.03)
    flag = at(0.5)
    pen.line(flag, (flag[0], flag[1] + 0.25), color=INK)
    pen.box(flag[0] + 0.06, flag[1] + 0.2, 0.12, 0.1, ACCENT)
    x, y = at(float(observation[0]))
    pen.dot(x, y + 0.08, 0.08, ACCENT)


DRAWERS: dict[str, Callable[[_Pen, np.ndarray], None]] = {
    "CartPole": _cart_pole,
    "Acrobot": _acrobot,
    "MountainCar": _mountain_car,
}


def _grid(observation: np.ndarray) -> Image.Image:
    """(10, 10, C) bool: a colour for each kind of object, the last channel that is set on top."""
    picture = np.full((*observation.shape[:2], 3), 16, np.uint8)
    for channel, color in zip(range(observation.shape[-1]), PALETTE, strict=False):
        picture[np.asarray(observation)[..., channel].astype(bool)] = [int(color[i : i + 2], 16) for i in (1, 3, 5)]
    return Image.fromarray(picture).resize((SIZE, SIZE), Image.Resampling.NEAREST)


def write_gif(name: str, film: Film, path: Path) -> None:
    """The whole film, once, its end held for a second and a half. UserError where that cannot be written."""
    shown = _spread(len(film.observations), FRAMES)
    frames = [draw(name, film.observations[i]).quantize(64) for i in shown]
    times = [MILLISECONDS] * (len(frames) - 1) + [1500]
    _save(path, frames[0], "GIF", save_all=True, append_images=frames[1:], duration=times, loop=0)


def write_strip(name: str, film: Film, path: Path) -> None:
    """MOMENTS of the film at equal distances, side by side, each with its step and the return until then, as a PNG."""
    shown = _spread(len(film.observations), MOMENTS)
    gap, foot = 8, 18
    strip = Image.new("RGB", (gap + len(shown) * (SIZE + gap), SIZE + foot + 2 * gap), "#eceef0")
    pen = ImageDraw.Draw(strip)
    for number, i in enumerate(shown):
        left = gap + number * (SIZE + gap)
        strip.paste(draw(name, film.observations[i]), (left, gap))
        pen.text((left, gap + SIZE + 5), f"step {i}, return {film.total[i]:g}", INK)
    _save(path, strip, "PNG")


def _spread(count: int, most: int) -> list[int]:
    return sorted({round(i) for i in np.linspace(0, count - 1, min(count, most))})


def _save(path: Path, image: Image.Image, kind: str, **how: object) -> None:
    with atomic_file(path) as temporary:
        image.save(temporary, kind, **how)
