"""Charts of a study as inline SVG: curves of several arms with bands, and intervals on an axis.

An arm keeps its colour, dash and marker on every chart: the class names a0, a1, ... of the style
sheet, by its place in the study. Knows nothing about runs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from tailor_rl.bench.estimates import Estimate
from tailor_rl.bench.findings import BandPoint
from tailor_rl.report.curves import Box, Frame, Point, count, share, svg, ticks, x_axis, y_axis

STYLES = 8  # colours, and as many dashes and marks; a ninth arm has the first colour again,
# with another dash and mark
AGAIN = ("", " again", " again2")
CURVES = Box(width=360, height=226, left=46, right=12, top=24, bottom=38)
ROW = Box(width=360, height=22, left=10, right=10, top=0, bottom=0)
MARKERS_A_CURVE = 5


@dataclass(frozen=True, slots=True)
class ArmLine:
    """One arm's curve. `place` is the arm's in the study."""

    label: str
    place: int
    points: tuple[BandPoint, ...]
    stairs: bool = False  # the value holds until the next point


@dataclass(frozen=True, slots=True)
class Dot:
    """A cell on a scatter of two differences of shares."""

    label: str
    place: int
    x: float
    y: float


@dataclass(frozen=True, slots=True)
class Axis:
    """Round numbers that span what is shown on a row."""

    marks: tuple[float, ...]

    def x(self, value: float) -> float:
        low, high = self.marks[0], self.marks[-1]
        inside = min(max(value, low), high)
        span = ROW.width - ROW.left - ROW.right
        return round(ROW.left + span * (inside - low) / (high - low), 1)


def make_axis(estimates: Sequence[Estimate], *, also: Sequence[float] = ()) -> Axis:
    """Spans zero, every figure and every finite end of its interval."""
    ends = [0.0, *also]
    for each in estimates:
        ends += [v for v in (each.value, each.low, each.high) if v is not None and math.isfinite(v)]
    return Axis(tuple(ticks(min(ends), max(ends), most=6)))


def arms_chart(
    title: str,
    lines: Sequence[ArmLine],
    *,
    x_label: str,
    y_label: str,
    percent: bool,
    top: float,
    x_percent: bool = False,
    cut_bands: bool = False,
) -> Markup:
    """An SVG element. Both axes start at 0 unless something is below; `top` is at least shown.

    `cut_bands`: bands end at the chart's edge, where two runs' interval would flatten the lines.
    """
    drawn = [point for line in lines for point in line.points]
    heights = [p.value for p in drawn]
    if not cut_bands:
        heights += [v for p in drawn for v in (p.low, p.high) if v is not None]
    y_ticks = ticks(min(0.0, *heights), max(top, *heights))
    x_range = (min(0.0, *(p.x for p in drawn)), max(p.x for p in drawn))
    frame = Frame(x_range, y_ticks, CURVES)
    parts = [
        y_axis(frame, y_ticks, share if percent else count),
        x_axis(frame, x_range, x_label, share if x_percent else count),
        f'<text class="axis" x="0" y="11">{escape(y_label)}</text>',
    ]
    parts += [_band(frame, line, y_ticks) for line in lines]
    parts += [_line(frame, line, percent) for line in lines]
    last = "; ".join(f"{line.label}: {line.points[-1].value:.4g}" for line in lines if line.points)
    return svg(f"{title} against {x_label}. At the end {last}.", CURVES.height, parts, css="arms")


def css_of(place: int) -> str:
    return f"a{place % STYLES}{AGAIN[place // STYLES % len(AGAIN)]}"


def _band(frame: Frame, line: ArmLine, y_ticks: Sequence[float]) -> str:
    bottom, top = y_ticks[0], y_ticks[-1]
    bounded = [
        (p.x, p.low, p.high) for p in line.points if p.low is not None and p.high is not None
    ]
    if len(bounded) < 2:
        return ""
    upper = [Point(x, min(max(high, bottom), top)) for x, _, high in bounded]
    lower = [Point(x, min(max(low, bottom), top)) for x, low, _ in reversed(bounded)]
    return f'<polygon class="band {css_of(line.place)}" points="{frame.path([*upper, *lower])}"/>'


def _line(frame: Frame, line: ArmLine, percent: bool) -> str:
    if not line.points:
        return ""
    points = (
        list(_stairs(line.points)) if line.stairs else [Point(p.x, p.value) for p in line.points]
    )
    css = css_of(line.place)
    parts = [f'<polyline class="line {css}" points="{frame.path(points)}"/>']
    for point in _marked(line):
        said = f"{100 * point.value:.1f} %" if percent else f"{point.value:.4g}"
        title = escape(f"{line.label} at {_place(point.x)}: {said}")
        shape = marker(line.place, frame.x(point.x), frame.y(point.value))
        parts.append(f"<g><title>{title}</title>{shape}</g>")
    return "".join(parts)


def _place(x: float) -> str:
    return f"{x:,.0f}" if x >= 100 else f"{x:.4g}"


def _stairs(points: Sequence[BandPoint]) -> Iterator[Point]:
    before = points[0].value
    for point in points:
        yield Point(point.x, before)
        yield Point(point.x, point.value)
        before = point.value


def _marked(line: ArmLine) -> list[BandPoint]:
    """A few points of a long curve, not the same ones for every arm: markers would hide each
    other.
    """
    if len(line.points) <= 2 * MARKERS_A_CURVE:
        return list(line.points)
    first, last = line.points[0].x, line.points[-1].x
    apart = (last - first) / MARKERS_A_CURVE
    begin = first + apart * (line.place % STYLES) / STYLES
    targets = [begin + apart * i for i in range(MARKERS_A_CURVE)]
    nearest = [min(line.points, key=lambda p: abs(p.x - target)) for target in targets]
    return list(dict.fromkeys(nearest))


_MARK_CSS = ("", "", "", "", "", " open", " open", " ring")  # filled, strokes alone, a ring


def marker(place: int, x: float, y: float, size: float = 3.4) -> str:
    """The arm's own mark around a point, as markup."""
    shape = (place + place // STYLES) % STYLES
    css = f'class="mark{_MARK_CSS[shape]} a{place % STYLES}"'
    r = size
    paths = (
        None,
        f"M{-r * 0.9:.2f} {-r * 0.9:.2f}h{1.8 * r:.2f}v{1.8 * r:.2f}h{-1.8 * r:.2f}z",
        f"M0 {-1.2 * r:.2f}L{1.15 * r:.2f} {0.9 * r:.2f}H{-1.15 * r:.2f}z",
        f"M0 {-1.3 * r:.2f}L{1.3 * r:.2f} 0L0 {1.3 * r:.2f}L{-1.3 * r:.2f} 0z",
        f"M0 {1.2 * r:.2f}L{1.15 * r:.2f} {-0.9 * r:.2f}H{-1.15 * r:.2f}z",
        f"M{-r:.2f} {-r:.2f}L{r:.2f} {r:.2f}M{-r:.2f} {r:.2f}L{r:.2f} {-r:.2f}",
        f"M{-1.2 * r:.2f} 0H{1.2 * r:.2f}M0 {-1.2 * r:.2f}V{1.2 * r:.2f}",
        None,
    )
    path = paths[shape]
    if path is None:
        return f'<circle {css} cx="{x}" cy="{y}" r="{r}"/>'
    return f'<path {css} transform="translate({x} {y})" d="{path}"/>'


def swatch(place: int) -> Markup:
    """The piece of line with its mark that stands in a legend."""
    line = f'<line class="line {css_of(place)}" x1="1" x2="31" y1="7" y2="7"/>'
    inside = Markup(line + marker(place, 16, 7))
    return Markup(
        '<svg class="arms swatch" viewBox="0 0 32 14" aria-hidden="true">{}</svg>'
    ).format(inside)


def row_chart(
    estimate: Estimate | None, axis: Axis, *, css: str, title: str, span: tuple[float, float] | None
) -> Markup:
    """One line of a table of intervals; `span` is a shaded reach, as of a published claim."""
    middle = ROW.height / 2
    parts = [_grid(axis, ROW.height)]
    if span is not None:
        left, right = axis.x(span[0]), axis.x(span[1])
        parts.append(
            f'<rect class="claim" x="{left}" y="2" width="{right - left:.1f}" height="18"/>'
        )
    if estimate is not None:
        parts.append(interval_mark(estimate, axis.x, middle, css))
    return svg(title, ROW.height, parts, css="arms row-chart")


def interval_mark(estimate: Estimate, x: Callable[[float], float], y: float, css: str) -> str:
    """A line over the interval and a dot on the figure; hollow where there is no interval."""
    kind = "full" if estimate.low is not None else "hollow"
    parts = ""
    if estimate.low is not None and estimate.high is not None:
        ends = f'x1="{x(estimate.low)}" x2="{x(estimate.high)}"'
        parts = f'<line class="interval {css}" {ends} y1="{y}" y2="{y}"/>'
    return f'{parts}<circle class="{kind} {css}" cx="{x(estimate.value)}" cy="{y}" r="4"/>'


def _grid(axis: Axis, height: float) -> str:
    return "".join(
        f'<line class="{"zero" if mark == 0 else "grid"}" x1="{axis.x(mark)}" '
        f'x2="{axis.x(mark)}" y1="0" y2="{height}"/>'
        for mark in axis.marks
    )


def axis_chart(axis: Axis, text: Callable[[float], str], label: str) -> Markup:
    """The axis under the rows of a table of intervals."""
    parts = [
        f'<text class="tick" x="{axis.x(mark)}" y="12" text-anchor="middle">'
        f"{escape(text(mark))}</text>"
        for mark in axis.marks
    ]
    parts.append(f'<text class="axis" x="{ROW.width / 2}" y="28" text-anchor="middle">')
    parts.append(f"{escape(label)}</text>")
    return svg(label, 32, parts, css="arms row-chart")


def scatter(title: str, dots: Sequence[Dot], *, x_label: str, y_label: str) -> Markup:
    """An SVG element: differences of shares on both axes, with the line of equal figures."""
    x_ticks = ticks(min(0.0, *(d.x for d in dots)), max(0.0, *(d.x for d in dots)))
    y_ticks = ticks(min(0.0, *(d.y for d in dots)), max(0.0, *(d.y for d in dots)))
    frame = Frame((x_ticks[0], x_ticks[-1]), y_ticks, CURVES)
    low, high = max(x_ticks[0], y_ticks[0]), min(x_ticks[-1], y_ticks[-1])
    ends = f'x1="{frame.x(low)}" y1="{frame.y(low)}" x2="{frame.x(high)}" y2="{frame.y(high)}"'
    parts = [
        y_axis(frame, y_ticks, _points),
        f'<text class="axis" x="0" y="11">{escape(f"{y_label}, points")}</text>',
        f'<line class="equal" {ends}/>',
    ]
    bottom = CURVES.height - CURVES.bottom + 16
    parts += [
        f'<text class="tick" text-anchor="middle" x="{frame.x(v)}" y="{bottom}">{_points(v)}</text>'
        for v in x_ticks
    ]
    middle = (CURVES.left + CURVES.width - CURVES.right) / 2
    parts.append(
        f'<text class="axis" x="{middle}" y="{CURVES.height - 4}" text-anchor="middle">'
        f"{escape(f'{x_label}, points')}</text>"
    )
    for dot in dots:
        said = escape(f"{dot.label}: {x_label} {_points(dot.x)}, {y_label} {_points(dot.y)}")
        shape = marker(dot.place, frame.x(dot.x), frame.y(dot.y))
        parts.append(f"<g><title>{said}</title>{shape}</g>")
    return svg(f"{title}, {len(dots)} cells.", CURVES.height, parts, css="arms")


def _points(value: float) -> str:
    return f"{100 * value:.4g}"
