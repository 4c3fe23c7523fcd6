"""Small charts as inline SVG: a line chart with bands, and dots with intervals.

Colours and fonts come from the page's style sheet through class names. Knows nothing about runs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

WIDTH, HEIGHT = 360, 200
LEFT, RIGHT, TOP, BOTTOM = 48, 14, 10, 36
SMOOTHED_FROM = 50  # points from which a running mean is drawn over the raw line


@dataclass(frozen=True, slots=True)
class Point:
    x: float
    y: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Series:
    """Points by ascending x. Those whose figures are not finite are not drawn."""

    label: str
    points: tuple[Point, ...]
    measured: bool = False  # few careful measurements: a dot on each, and no running mean

    def drawable(self) -> tuple[Point, ...]:
        return tuple(p for p in self.points if math.isfinite(p.x) and math.isfinite(p.y))


@dataclass(frozen=True, slots=True)
class Dot:
    """A figure with its interval; `main` dots are full, others hollow."""

    label: str
    value: float
    low: float
    high: float
    main: bool


def ticks(low: float, high: float, most: int = 5) -> list[float]:
    """At most `most` + 1 round numbers (1, 2 or 5 times a power of ten apart) that span the range.

    Example: ``ticks(0, 0.93) == [0, 0.2, 0.4, 0.6, 0.8, 1.0]``.
    """
    if high <= low:
        high = low + (abs(low) or 1.0)
    rough = (high - low) / most
    power = 10 ** math.floor(math.log10(rough))
    step = next(s for s in (power, 2 * power, 5 * power, 10 * power) if s >= rough * (1 - 1e-9))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    # Twelve digits, wherever the point is: a curve may be all of 1e-14.
    return [float(f"{i * step:.12g}") for i in range(first, last + 1)]


def count(value: float) -> str:
    """Axis numbers: 0.05, 120, 4k, 1.5M."""
    for size, unit in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:g}{unit}"
    return f"{value:g}"


def share(value: float) -> str:
    return f"{100 * value:g} %"


def running_mean(points: Sequence[Point], reach: int) -> tuple[Point, ...]:
    """Each y replaced by the mean over itself and up to `reach` points on either side.

    Centred, because a mean of the past alone would draw every rise later than it was.
    """
    means = []
    for i, point in enumerate(points):
        near = points[max(0, i - reach) : i + reach + 1]
        means.append(Point(point.x, sum(p.y for p in near) / len(near)))
    return tuple(means)


def smoothing_reach(series: Series) -> int:
    """Points on either side in the running mean drawn over a series; 0 where none is."""
    num = len(series.drawable())
    return 0 if series.measured or num < SMOOTHED_FROM else max(2, num // 30)


@dataclass(frozen=True, slots=True)
class Box:
    """A drawing and its margins, in its own units; the data fall inside the margins."""

    width: float = WIDTH
    height: float = HEIGHT
    left: float = LEFT
    right: float = RIGHT
    top: float = TOP
    bottom: float = BOTTOM


class Frame:
    """Where data fall on the drawing: a linear scale on each axis."""

    def __init__(
        self, x_range: tuple[float, float], y_ticks: Sequence[float], box: Box | None = None
    ) -> None:
        self.box = box or Box()
        self._x0, self._x1 = x_range
        if self._x1 <= self._x0:  # a single point stands in the middle
            self._x0, self._x1 = self._x0 - 0.5, self._x0 + 0.5
        self._y0, self._y1 = y_ticks[0], y_ticks[-1]

    def x(self, value: float) -> float:
        span = self.box.width - self.box.left - self.box.right
        return round(self.box.left + span * (value - self._x0) / (self._x1 - self._x0), 1)

    def y(self, value: float) -> float:
        span = self.box.height - self.box.top - self.box.bottom
        share = (value - self._y0) / (self._y1 - self._y0)
        return round(self.box.height - self.box.bottom - span * share, 1)

    def path(self, points: Sequence[Point]) -> str:
        return " ".join(f"{self.x(p.x)},{self.y(p.y)}" for p in points)


def line_chart(title: str, series: Sequence[Series], *, x_label: str, percent: bool) -> Markup:
    """An SVG element. Both axes start at 0 unless something is below; at least one point."""
    drawn = [p for s in series for p in s.drawable()]
    heights = [p.y for p in drawn] + [p.high for p in drawn if p.high is not None]
    lows = [p.y for p in drawn] + [p.low for p in drawn if p.low is not None]
    y_ticks = ticks(min(0.0, *lows), max(heights))
    x_range = (min(0.0, *(p.x for p in drawn)), max(p.x for p in drawn))
    frame = Frame(x_range, y_ticks)
    parts = [y_axis(frame, y_ticks, share if percent else count), x_axis(frame, x_range, x_label)]
    parts += [_drawn_series(frame, s, f"s{i}", percent) for i, s in enumerate(series)]
    last = "; ".join(f"{s.label}: {s.drawable()[-1].y:.4g}" for s in series if s.drawable())
    return svg(f"{title} against {x_label}. At the end {last}.", HEIGHT, parts)


def svg(
    description: str, height: float, parts: Sequence[str], *, width: float = WIDTH, css: str = ""
) -> Markup:
    """An SVG element around `parts`, which are markup; the description is escaped."""
    opening = Markup('<svg viewBox="0 0 {} {}" role="img" aria-label="{}"{}>').format(
        width, height, description, Markup(' class="{}"').format(css) if css else ""
    )
    return opening + Markup("".join(parts)) + Markup("</svg>")


def y_axis(frame: Frame, values: Sequence[float], text: Callable[[float], str]) -> str:
    """A line and a label for each value."""
    left, right = frame.box.left, frame.box.width - frame.box.right
    parts = []
    for value in values:
        y = frame.y(value)
        css = "zero" if value == 0 else "grid"
        parts.append(f'<line class="{css}" x1="{left}" x2="{right}" y1="{y}" y2="{y}"/>')
        label = f'<text class="tick" x="{left - 8}" y="{y + 3.5}" text-anchor="end">'
        parts.append(f"{label}{escape(text(value))}</text>")
    return "".join(parts)


def x_axis(
    frame: Frame,
    x_range: tuple[float, float],
    label: str,
    text: Callable[[float], str] = count,
) -> str:
    """Round numbers within the range, and what they count."""
    low, high = x_range
    box = frame.box
    values = [v for v in ticks(low, high, most=5) if low <= v <= high] if high > low else [low]
    y = box.height - box.bottom + 16
    opening = '<text class="tick" text-anchor="middle"'
    parts = [f'{opening} x="{frame.x(v)}" y="{y}">{escape(text(v))}</text>' for v in values]
    middle = (box.left + box.width - box.right) / 2
    place = f'x="{middle}" y="{box.height - 4}" text-anchor="middle"'
    return "".join(parts) + f'<text class="axis" {place}>{escape(label)}</text>'


def _drawn_series(frame: Frame, series: Series, css: str, percent: bool) -> str:
    points = series.drawable()
    if not points:
        return ""
    parts = []
    bounded = [p for p in points if p.low is not None and p.high is not None]
    if bounded:
        upper = [Point(p.x, p.high) for p in bounded if p.high is not None]
        lower = [Point(p.x, p.low) for p in reversed(bounded) if p.low is not None]
        parts.append(f'<polygon class="band {css}" points="{frame.path([*upper, *lower])}"/>')
    reach = smoothing_reach(series)
    raw = "raw" if reach else "line"
    parts.append(f'<polyline class="{raw} {css}" points="{frame.path(points)}"/>')
    if reach:
        mean = frame.path(running_mean(points, reach))
        parts.append(f'<polyline class="line {css}" points="{mean}"/>')
    if len(bounded) == 1:  # a band of one point has no area
        x, y1, y2 = frame.x(upper[0].x), frame.y(upper[0].y), frame.y(lower[0].y)
        parts.append(f'<line class="interval {css}" x1="{x}" x2="{x}" y1="{y1}" y2="{y2}"/>')
    if series.measured or len(points) == 1:
        parts += [_marker(frame, series.label, point, css, percent) for point in points]
    return "".join(parts)


def _marker(frame: Frame, label: str, point: Point, css: str, percent: bool) -> str:
    said = f"{100 * point.y:.1f} %" if percent else f"{point.y:.4g}"
    if percent and point.low is not None and point.high is not None:
        said += f" [{100 * point.low:.1f}, {100 * point.high:.1f}]"
    where = f'cx="{frame.x(point.x)}" cy="{frame.y(point.y)}"'
    title = escape(f"{label} at {point.x:,.0f}: {said}")
    return f'<circle class="dot {css}" {where} r="2.6"><title>{title}</title></circle>'


def interval_chart(title: str, rows: Sequence[tuple[str, Sequence[Dot]]], *, top: float) -> Markup:
    """An SVG element: one line of dots a row, on an axis from 0 to `top` (a share).

    Args:
        rows: (label, dots), from the top down; the last row is the accented one.
    """
    left, row_height, first = 66, 34, 20
    height = first + row_height * len(rows) + 18
    marks = ticks(0, top, most=5)

    def x(value: float) -> float:
        return round(left + (WIDTH - RIGHT - 8 - left) * value / marks[-1], 1)

    parts = []
    bottom = height - 24
    for mark in marks:
        css = "zero" if mark == 0 else "grid"
        parts.append(f'<line class="{css}" x1="{x(mark)}" x2="{x(mark)}" y1="4" y2="{bottom}"/>')
        where = f'x="{x(mark)}" y="{height - 8}" text-anchor="middle"'
        parts.append(f'<text class="tick" {where}>{escape(share(mark))}</text>')
    for i, (label, dots) in enumerate(rows):
        y = first + row_height * i
        css = "s0" if i == len(rows) - 1 else "s1"
        parts.append(f'<text class="row" x="0" y="{y + 4}">{escape(label)}</text>')
        for j, dot in enumerate(dots):
            parts.append(_interval(dot, x, y + 6 * (2 * j - len(dots) + 1), css))
    return svg(title, height, parts)


def _interval(dot: Dot, x: Callable[[float], float], y: float, css: str) -> str:
    low, high = 100 * dot.low, 100 * dot.high
    title = escape(f"{dot.label}: {100 * dot.value:.1f} % [{low:.1f}, {high:.1f}]")
    line = f'<line class="interval {css}" x1="{x(dot.low)}" x2="{x(dot.high)}" y1="{y}" y2="{y}"/>'
    kind = "full" if dot.main else "hollow"
    circle = f'<circle class="{kind} {css}" cx="{x(dot.value)}" cy="{y}" r="3.4"/>'
    return f"<g><title>{title}</title>{line}{circle}</g>"
