"""The figures of a study as Markdown tables, short, for a README: the same as on the page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from tailor_rl.bench.findings import Results
from tailor_rl.bench.report.entries import Entry, Table
from tailor_rl.bench.report.plan_rows import plan_rows
from tailor_rl.bench.report.spent_tables import cost_tables, threshold_tables
from tailor_rl.bench.report.tables import (
    OVER_PROBLEMS,
    claims_table,
    comparison_table,
    figure_tables,
    matched_tables,
    trend_table,
)
from tailor_rl.bench.report.usage_tables import UsageByArm, usage_tables
from tailor_rl.bench.wording import missing_label, setting_label
from tailor_rl.markdown import escaped

PROBLEMS = (
    "The interval over seeds and problems holds for other problems of their kind too and is never "
    "the shorter one: where both are equal, seeds differ so much that problems add nothing to be "
    "seen."
)
THRESHOLDS = (
    "A run that is not there by the horizon, the smallest budget of any run of the setting, counts "
    "with it. Where units disagree on which runs are there by then, each says its own."
)


def markdown(results: Results, usage: Mapping[str, UsageByArm] | None = None) -> str:
    """`usage`: setting -> arm."""
    return "\n".join(_lines(results, usage or {})) + "\n"


def _lines(results: Results, usage: Mapping[str, UsageByArm]) -> Iterator[str]:
    yield f"# {escaped(results.study)}"
    yield ""
    if results.question:
        yield from (escaped(results.question, None), "")
    yield from _bullets(results.answers)
    yield from _bullets(results.notes)
    planned = [each for each in results.comparisons if each.planned != "not planned"]
    if planned:
        table = comparison_table(results, planned, "")
        lead = PROBLEMS if OVER_PROBLEMS in table.head else ""
        yield from _section("Paired differences", [table], lead=lead)
    if results.trends:
        yield from _section("Trends", [trend_table(results)])
    unplanned = [each for each in results.comparisons if each.planned == "not planned"]
    if unplanned:
        yield from _section(
            "Paired differences that nobody planned: p is not corrected",
            [comparison_table(results, unplanned, "")],
        )
    yield from _section(
        "Figures: mean over seeds with its 95 % interval", list(figure_tables(results))
    )
    yield from _section(
        "Figures: interquartile mean with its bootstrap interval",
        list(figure_tables(results, iqm=True)),
    )
    yield from _section(
        "What it takes to reach a threshold: restricted means, 95 % interval",
        list(threshold_tables(results)),
        lead=THRESHOLDS,
    )
    if results.claims:
        yield from _section("Claims", [claims_table(results)])
    yield from _section("Cost: means over runs", list(cost_tables(results)))
    yield from _section("SFT sets", list(matched_tables(results)))
    yield from _bullets(results.mismatches)
    for setting, by_arm in usage.items():
        where = setting_label(setting, len(results.settings))
        title = ", ".join(filter(None, ("Styles of the primitives", where)))
        yield from _section(title, list(usage_tables(by_arm)))
    if results.plan:
        yield from ("## Plan", "", *_bullets(tuple(_plan_lines(results))))
    if results.missing:
        yield from ("## Missing", "", *_bullets(tuple(map(missing_label, results.missing))))


def _plan_lines(results: Results) -> Iterator[str]:
    """Example: "2026-05-01T10:00:00+00:00, the plan, with 0 cells finished: seeds 1; 2"."""
    for row in plan_rows(results):
        for key, values in row.what:
            # One a line: a line of many sentences is read by nobody.
            yield from (f"{row.time}, {row.when}: {key} {each}" for each in _parts(values))


def _parts(values: str) -> list[str]:
    """A list of names together, sentences each alone."""
    parts = values.split("; ")
    return parts if max(map(len, parts)) > 40 else [values]


def _bullets(sentences: tuple[str, ...]) -> Iterator[str]:
    if sentences:
        yield from (f"- {escaped(sentence, None)}." for sentence in sentences)
        yield ""


def _section(title: str, tables: list[Table], *, lead: str = "") -> Iterator[str]:
    if not tables:
        return
    yield from (f"## {title}", "")
    if lead:
        yield from (lead, "")
    for table in tables:
        if table.title:
            yield from (f"**{escaped(table.title)}**", "")
        yield _row([Entry(name) for name in table.head])
        yield "|" + "|".join([" --- ", *(" ---: " for _ in table.head[1:])]) + "|"
        yield from (_row(row) for row in table.rows)
        yield ""


def _row(entries: list[Entry] | tuple[Entry, ...]) -> str:
    return "| " + " | ".join(escaped(str(entry)) for entry in entries) + " |"
