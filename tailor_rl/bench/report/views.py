"""Which charts of a study are drawn, from its results: titles, captions and SVG.

Knows nothing about HTML but that of charts.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from tailor_rl.bench.arm_figures import TOTAL_SPENT
from tailor_rl.bench.figures import SPENT
from tailor_rl.bench.findings import BandCurve, BandPoint, Compared, Results, Trended
from tailor_rl.bench.report.charts import (
    ArmLine,
    Axis,
    Dot,
    arms_chart,
    axis_chart,
    css_of,
    make_axis,
    row_chart,
    scatter,
    swatch,
)
from tailor_rl.bench.report.entries import figure_entry, points_entry
from tailor_rl.bench.report.spent_tables import view_label
from tailor_rl.bench.report.tables import seeds_alike
from tailor_rl.bench.wording import (
    METRICS,
    UNITS,
    compared_label,
    figure_label,
    p_equals,
    setting_label,
    share_text,
    signed,
)
from tailor_rl.printable import one_line
from tailor_rl.report.curves import share

FEW_PAIRS = 12  # that nobody planned: more of them would bury what comes after
PLANNED_LABELS = {
    "planned": "Planned before any run",
    "added": "Added after runs had begun",
    "not planned": "Not planned: every other pair, to look at and not to conclude from",
}


@dataclass(frozen=True, slots=True)
class Chart:
    title: str
    unit: str
    svg: Markup


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a table of intervals."""

    name: str
    where: str
    svg: Markup
    figure: str
    note: str
    remarks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Rows:
    """A table of intervals and the axis under it; `folded` ones open at a click."""

    title: str
    rows: tuple[Row, ...]
    axis: Markup
    folded: bool = False


@dataclass(frozen=True, slots=True)
class Legend:
    label: str
    swatch: Markup


def legend(results: Results) -> tuple[Legend, ...]:
    return tuple(Legend(arm, swatch(i)) for i, arm in enumerate(results.arms))


def forest(results: Results) -> Iterator[Rows]:
    """Paired differences: planned, added, not planned; all on one axis."""
    shown = [each for each in results.comparisons if each.difference is not None]
    if not shown:
        return
    differences = [each.difference for each in shown if each.difference is not None]
    axis = make_axis(differences, also=[end for each in shown for end in each.published or ()])
    bottom = axis_chart(axis, points_tick, "difference in points, 95 % interval")
    open_already = False
    for planned, label in PLANNED_LABELS.items():
        rows = [_forest_row(each, axis, results) for each in shown if each.planned == planned]
        if rows:
            many = planned == "not planned" and len(rows) > FEW_PAIRS
            yield Rows(label, tuple(rows), bottom, folded=open_already or many)
            open_already = True


def points_tick(value: float) -> str:
    return "0" if value == 0 else signed(100 * value).removesuffix(".0")


def _forest_row(each: Compared, axis: Axis, results: Results) -> Row:
    where = (compared_label(each, len(results.settings)), figure_label(each.figure))
    entry = points_entry(each.difference)
    remarks = [seeds_alike(each) if each.num_pairs else ""]
    if each.holm_p is not None:
        remarks.append(f"{p_equals(each.holm_p)} by Holm")
    elif each.p is not None:
        remarks.append(f"{p_equals(each.p)}, not corrected")
    svg = row_chart(
        each.difference,
        axis,
        css="main" if each.planned == "planned" else "side",
        title=f"{each.arm} minus {each.against}: {entry}",
        span=each.published,
    )
    name = f"{each.arm} \N{MINUS SIGN} {each.against}"
    return Row(name, ", ".join(filter(None, where)), svg, *_said(entry.text, entry.note, remarks))


def _said(text: str, note: str, remarks: Sequence[str]) -> tuple[str, str, tuple[str, ...]]:
    return text, note, tuple(filter(None, remarks))


def curve_charts(results: Results, *, total: bool) -> Iterator[tuple[str, tuple[Chart, ...]]]:
    """For each setting, a chart for each unit that was spent; one height for all."""
    tops = [p.high or p.value for c in results.curves for p in c.points]
    for setting in dict.fromkeys(c.setting for c in results.curves):
        charts = []
        for unit in TOTAL_SPENT if total else SPENT:
            curves = [
                c for c in results.curves if (c.setting, c.unit, c.total) == (setting, unit, total)
            ]
            if any(p.x > 0 for c in curves for p in c.points):
                charts.append(curve_chart(results, curves, top=max(tops)))
        if charts:
            yield setting_label(setting, len(results.settings)), tuple(charts)


def curve_chart(results: Results, curves: Sequence[BandCurve], *, top: float) -> Chart:
    first = curves[0]
    label = UNITS[first.unit]
    lines = [ArmLine(c.arm, results.arms.index(c.arm), c.points) for c in curves]
    chart = arms_chart(
        f"Validation accuracy, {view_label(first.total)}",
        lines,
        x_label=label,
        y_label="solved of the validation problems",
        percent=True,
        top=top,
    )
    return Chart(f"By {label}", "", chart)


def profile_charts(results: Results) -> Iterator[Chart]:
    """Performance profiles; () for a single run an arm, of which a profile says nothing."""
    rows = [each for each in results.profiles if each.num_runs > 1]
    if not rows:
        return
    lines = [ArmLine(each.arm, results.arms.index(each.arm), each.points) for each in rows]
    label = figure_label(rows[0].figure)
    title = "Runs above a score"
    svg = arms_chart(
        title, lines, x_label=label, y_label="share of runs", percent=True, top=1.0, x_percent=True
    )
    yield Chart(title, "", svg)


def survival_charts(results: Results, unit: str) -> Iterator[Chart]:
    """The share of runs that are not at a threshold yet, in RL alone."""
    keys = dict.fromkeys((t.setting, t.threshold) for t in results.thresholds)
    for setting, threshold in keys:
        times = [
            t
            for t in results.thresholds
            if (t.setting, t.threshold, t.unit, t.total) == (setting, threshold, unit, False)
        ]
        lines = [
            ArmLine(t.arm, results.arms.index(t.arm), _stairs(t.survival), stairs=True)
            for t in times
        ]
        where = setting_label(setting, len(results.settings))
        title = f"Not at {share_text(threshold)} yet"
        chart = arms_chart(
            title,
            lines,
            x_label=UNITS[unit],
            y_label="share of runs",
            percent=True,
            top=1.0,
        )
        yield Chart(title, where, chart)


def _stairs(survival: Sequence[tuple[float, float]]) -> tuple[BandPoint, ...]:
    """From all runs at nothing spent."""
    return tuple(BandPoint(x, y, None, None) for x, y in ((0.0, 1.0), *survival))


def training_charts(results: Results) -> Iterator[tuple[str, tuple[Chart, ...]]]:
    for setting in dict.fromkeys(t.setting for t in results.training):
        charts = []
        rows = [t for t in results.training if t.setting == setting]
        for metric in dict.fromkeys(t.metric for t in rows):
            title, unit = METRICS.get(metric, (metric, ""))
            lines = [
                ArmLine(t.arm, results.arms.index(t.arm), _finite(t.points))
                for t in rows
                if t.metric == metric
            ]
            if not any(line.points for line in lines):
                continue
            svg = arms_chart(
                title,
                [line for line in lines if line.points],
                x_label="RL step",
                y_label=unit,
                percent=metric == "informative",
                top=0.0,
                cut_bands=True,
            )
            charts.append(Chart(title, "", svg))
        yield setting_label(setting, len(results.settings)), tuple(charts)


def _finite(points: Sequence[BandPoint]) -> tuple[BandPoint, ...]:
    return tuple(p for p in points if math.isfinite(p.value))


def trend_rows(results: Results) -> Iterator[tuple[Trended, Rows]]:
    """A trend's arms in its order, on an axis of shares from 0."""
    for trend in results.trends:
        means = [mean for mean in trend.means if mean is not None]
        if not means:
            continue
        axis = make_axis(means)
        rows = []
        for arm, mean in zip(trend.arms, trend.means, strict=True):
            entry = figure_entry(trend.figure, mean)
            css = css_of(results.arms.index(arm))
            svg = row_chart(mean, axis, css=css, title=f"{arm}: {entry}", span=None)
            rows.append(Row(arm, "", svg, entry.text, entry.note, ()))
        where = setting_label(trend.setting, len(results.settings))
        label = figure_label(trend.figure)
        bottom = axis_chart(axis, share, "mean over seeds, 95 % interval")
        yield trend, Rows(", ".join(filter(None, (where, label))), tuple(rows), bottom)


def forecast_chart(results: Results) -> Markup | None:
    """The gain of RL against the gate's forecast, a mark a cell; the line is where both agree."""
    cells = results.forecasts.cells
    if not cells:
        return None
    dots = [
        Dot(one_line(each.cell), results.arms.index(each.arm), each.forecast, each.gain)
        for each in cells
    ]
    return scatter(
        "Gain of RL against the forecast", dots, x_label="forecast gain", y_label="gain in RL"
    )
