"""Lines, bands and intervals of a study's charts, as SVG."""

from __future__ import annotations

import re
from typing import Any

from tailor_rl.bench.estimates import Estimate
from tailor_rl.bench.findings import BandPoint
from tailor_rl.bench.report.charts import ArmLine, arms_chart, make_axis, row_chart, swatch


def test_a_chart_has_a_line_for_each_arm_and_a_band_for_each_with_runs() -> None:
    points = tuple(BandPoint(x, x / 10, x / 20, x / 5) for x in range(1, 5))
    bare = tuple(BandPoint(x, 0.1, None, None) for x in range(5))
    lines = [ArmLine("a", 0, points), ArmLine("b", 1, bare), ArmLine("c", 9, points)]
    svg = arms_chart("t", lines, x_label="x", y_label="y", percent=True, top=1.0)
    assert re.findall(r'<polyline class="line ([^"]*)"', svg) == ["a0", "a1", "a1 again"]
    assert re.findall(r'<polygon class="band (a\d)', svg) == ["a0", "a1"]
    assert ">0 %</text>" in svg and ">100 %</text>" in svg


def test_a_ninth_arm_has_a_colour_again_but_no_other_arms_line_and_mark() -> None:
    swatches = [str(swatch(place)) for place in range(24)]
    assert len(set(swatches)) == 24
    lines = [re.sub("<(path|circle).*", "", each) for each in swatches]
    marks = [re.sub(".*?<(path|circle)", "", each) for each in swatches]
    assert lines[0] != lines[8] and marks[0] != marks[8]


def test_both_axes_of_a_chart_begin_at_zero() -> None:
    points = (BandPoint(500.0, 0.8, None, None), BandPoint(900.0, 0.9, None, None))
    svg = arms_chart("t", [ArmLine("a", 0, points)], x_label="x", y_label="y", percent=True, top=0)
    assert ">0 %</text>" in svg
    assert ">0</text>" in svg


def test_a_band_that_is_cut_leaves_the_axis_to_the_lines() -> None:
    line = ArmLine("a", 0, tuple(BandPoint(x, 0.5, -30.0, 30.0) for x in range(3)))
    labels: dict[str, Any] = {"x_label": "x", "y_label": "y", "percent": False, "top": 0.0}
    svg = arms_chart("t", [line], **labels, cut_bands=True)
    assert ">0.5</text>" in svg and ">30</text>" not in svg
    heights = re.search(r'<polygon class="band a0" points="([^"]*)"', svg)
    assert heights
    inside = [float(pair.split(",")[1]) for pair in heights[1].split()]
    assert min(inside) >= 0 and max(inside) <= 226
    assert ">40</text>" in arms_chart("t", [line], **labels)


def test_a_figure_without_interval_is_a_hollow_dot() -> None:
    known, unknown = Estimate(0.1, 0.05, 0.2, 3, 3), Estimate(0.1, None, None, 1, 1)
    axis = make_axis([known, unknown])
    assert 'class="full main"' in row_chart(known, axis, css="main", title="", span=None)
    hollow = row_chart(unknown, axis, css="main", title="", span=None)
    assert 'class="hollow main"' in hollow and 'class="interval' not in hollow


def test_an_axis_spans_zero_and_every_interval() -> None:
    axis = make_axis([Estimate(0.1, 0.05, 0.32, 3, 3)], also=[-0.04])
    assert axis.marks[0] <= -0.04 and axis.marks[-1] >= 0.32 and 0 in axis.marks
    assert axis.x(0.1) < axis.x(0.32)
