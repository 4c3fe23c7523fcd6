"""One standalone SVG for a README: learning curves of one setting beside the planned comparisons.

It has its own light background, so that it can be read on a page of any colour.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence

from jinja2 import Environment, PackageLoader
from markupsafe import Markup, escape

from tailor_rl.bench.findings import BandCurve, Compared, Results
from tailor_rl.bench.report.charts import (
    CURVES,
    interval_mark,
    make_axis,
    swatch,
)
from tailor_rl.bench.report.entries import points_entry
from tailor_rl.bench.report.tables import seeds_alike
from tailor_rl.bench.report.views import curve_chart, points_tick
from tailor_rl.bench.wording import figure_label, p_equals, plural, setting_label
from tailor_rl.printable import one_line

WIDTH, MARGIN, GAP = 1000, 24, 36
CHART = 430  # width of the curves
ROW_HEIGHT, FIRST_ROW = 52, 78
UNIT = "generated_tokens"
_BASE = """
text { font-family: system-ui, "Segoe UI", Roboto, "Noto Sans", "DejaVu Sans", sans-serif; }
text { fill: var(--soft); font-size: 11.5px; }
.head { fill: var(--ink); font-size: 15px; font-weight: 650; }
.name { fill: var(--ink); font-size: 13px; font-weight: 600; } .said { fill: var(--ink); }
.paper { fill: var(--paper); } .grid { stroke: var(--rule); } .zero { stroke: var(--faint); }
.line { fill: none; stroke-linejoin: round; stroke-linecap: round; }
"""
_VARIABLE = re.compile(r"--([a-z0-9]+): ([^;]+);")
_USED = re.compile(r"var\(--([a-z0-9]+)\)")


def figure_svg(results: Results) -> str:
    """An SVG document: the curves of the first setting that has any against generated tokens, under
    them the same with the cost of the SFT set, and beside them the planned paired differences, or
    the others where none was planned.

    ValueError where the study has neither.
    """
    settings = [c.setting for c in results.curves if (c.unit, c.total) == (UNIT, False)]
    rows = _rows(results)
    if not settings and not rows:
        raise ValueError(f"{results.study} has neither curves nor comparisons: nothing to draw")
    charts = list(_charts(results, settings[0])) if settings else []
    if len(rows) < ROWS_OF_TWO_CHARTS:
        charts = charts[:1]
    parts = [part for i, chart in enumerate(charts) for part in _curves(results, chart, i)]
    parts += _forest(results, rows)
    legend = list(_legend(results))
    middle = max(FIRST_ROW + ROW_HEIGHT * len(rows) + 48, CHART_HEIGHT * len(charts))
    parts.append(f'<g transform="translate({MARGIN} {middle})">{"".join(legend)}</g>')
    height = middle + 24 * -(-len(results.arms) // LEGEND_COLUMNS) + 24
    opening = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
        f'width="{WIDTH}" height="{height}" role="img" aria-label="{_title(results)}">'
    )
    background = f'<rect class="paper" width="{WIDTH}" height="{height}" rx="6"/>'
    return f"{opening}<style>{_style()}</style>{background}{''.join(parts)}</svg>\n"


LEGEND_COLUMNS = 6
CHART_HEIGHT = 350  # with its head
ROWS_OF_TWO_CHARTS = 5  # fewer would leave the other side empty


def _title(results: Results) -> str:
    return str(escape(one_line(results.question or results.study)))


def _rows(results: Results) -> list[Compared]:
    known = [each for each in results.comparisons if each.difference is not None]
    return [each for each in known if each.planned == "planned"] or known[:10]


def _charts(results: Results, setting: str) -> Iterator[Sequence[BandCurve]]:
    """What RL alone spent; and in all, where a set was paid for."""
    for what, total in (
        (UNIT, False),
        ("all_tokens", True),
    ):
        key = (setting, what, total)
        curves = [c for c in results.curves if (c.setting, c.unit, c.total) == key]
        if any(not total or p.x > 0 for c in curves for p in c.points[:1]):
            yield curves


def _curves(results: Results, curves: Sequence[BandCurve], place: int) -> Iterator[str]:
    top = CHART_HEIGHT * place
    title = "The cost of the set included" if curves[0].total else "Validation accuracy in RL"
    yield _text("head", MARGIN, top + 32, title)
    where = setting_label(curves[0].setting, len(results.settings))
    runs = _runs([c.num_runs for c in curves])
    band = "interquartile mean, 95 % bootstrap band"
    yield _text("", MARGIN, top + 50, ", ".join(filter(None, (where, runs, band))))
    tops = [p.high or p.value for c in results.curves for p in c.points]
    chart = curve_chart(results, curves, top=max(tops)).svg
    yield _placed(chart, MARGIN, top + 66, CHART, CHART * CURVES.height / CURVES.width)


def _runs(nums: Sequence[int]) -> str:
    """Example: "3 to 5 runs an arm"."""
    least, most = min(nums), max(nums)
    return f"{plural(most, 'run') if least == most else f'{least} to {most} runs'} an arm"


def _forest(results: Results, rows: Sequence[Compared]) -> list[str]:
    if not rows:
        return []
    left = MARGIN + CHART + GAP
    width = WIDTH - left - MARGIN
    marks = make_axis(
        [each.difference for each in rows if each.difference is not None],
        also=[end for each in rows for end in each.published or ()],
    ).marks
    scale = width * PLOT / (marks[-1] - marks[0])

    def x(value: float) -> float:
        return round(left + 6 + scale * (min(max(value, marks[0]), marks[-1]) - marks[0]), 1)

    planned = rows[0].planned == "planned"
    title = "Paired differences, planned before the runs" if planned else "Paired differences"
    note = "points, mean over common seeds, 95 % interval; "
    note += "p by Holm; grey: claimed" if planned else "none was planned"
    bottom = FIRST_ROW + ROW_HEIGHT * len(rows)
    parts = [_text("head", left, 32, title), _text("", left, 50, note)]
    for mark in marks:
        css = "zero" if mark == 0 else "grid"
        line = f'x1="{x(mark)}" x2="{x(mark)}" y1="{FIRST_ROW - 6}" y2="{bottom}"'
        parts.append(f'<line class="{css}" {line}/>')
        parts.append(_text("", x(mark), bottom + 16, points_tick(mark), anchor="middle"))
    for i, each in enumerate(rows):
        parts += _forest_row(each, x, results, top=FIRST_ROW + ROW_HEIGHT * i)
    return ['<g class="arms">', *parts, "</g>"]


PLOT = 0.44  # share of the width that the intervals have; the rest are words and figures


def _forest_row(
    each: Compared, x: Callable[[float], float], results: Results, *, top: float
) -> Iterator[str]:
    right = WIDTH - MARGIN
    if each.published is not None:
        low, high = map(x, each.published)
        yield f'<rect class="claim" x="{low}" y="{top}" width="{high - low:.1f}" height="30"/>'
    css = "main" if each.planned == "planned" else "side"
    if each.difference is not None:
        yield interval_mark(each.difference, x, top + 15, css)
    yield _text("name", right, top + 4, f"{each.arm} \N{MINUS SIGN} {each.against}", anchor="end")
    p = "" if each.holm_p is None else p_equals(each.holm_p)
    said = ", ".join(filter(None, (points_entry(each.difference).text, seeds_alike(each), p)))
    yield _text("said", right, top + 19, said, anchor="end")
    where = setting_label(each.setting, len(results.settings))
    label = ", ".join(
        filter(None, (figure_label(each.figure).replace(" (mean of its axes)", ""), where))
    )
    yield _text("", right, top + 33, label, anchor="end")


def _legend(results: Results) -> Iterator[str]:
    column = (WIDTH - 2 * MARGIN) / LEGEND_COLUMNS
    for i, arm in enumerate(results.arms):
        x, y = column * (i % LEGEND_COLUMNS), 24 * (i // LEGEND_COLUMNS)
        yield _placed(swatch(i), x, y, 32, 14)
        yield _text("said", x + 38, y + 11, arm)


def _text(css: str, x: float, y: float, text: str, *, anchor: str = "start") -> str:
    where = f'class="{css}" x="{x:g}" y="{y:g}" text-anchor="{anchor}"'
    return f"<text {where}>{escape(one_line(text))}</text>"


def _placed(svg: Markup, x: float, y: float, width: float, height: float) -> str:
    where = f'<svg x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" overflow="visible" '
    return str(svg).replace("<svg ", where, 1)


def _style() -> str:
    """The page's colours for light paper, written out: not every viewer knows variables."""
    sheets = []
    for package, name in (
        ("tailor_rl.report", "style.css.jinja"),
        ("tailor_rl.bench.report", "study.css.jinja"),
    ):
        environment = Environment(loader=PackageLoader(package, "."), autoescape=True)
        sheets.append(environment.get_template(name).render())
    colours: dict[str, str] = {}
    for sheet in sheets:
        colours |= dict(_VARIABLE.findall(sheet[: sheet.index("@media")]))
    rules = sheets[1][sheets[1].index(".arms") :]
    return _USED.sub(lambda found: colours[found[1]], _BASE + rules)
