"""From a study's results to report.html: one file, no scripts, no requests, light and dark.

Knows nothing about run folders. What models and tasks wrote is escaped by the template.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

from tailor_rl.bench.findings import Results
from tailor_rl.bench.report.entries import Table
from tailor_rl.bench.report.markdown import markdown
from tailor_rl.bench.report.plan_rows import plan_rows
from tailor_rl.bench.report.spent_tables import cost_tables, threshold_tables
from tailor_rl.bench.report.tables import (
    claims_table,
    comparison_table,
    figure_tables,
    matched_tables,
)
from tailor_rl.bench.report.usage_views import usage_views
from tailor_rl.bench.report.views import (
    curve_charts,
    forecast_chart,
    forest,
    legend,
    profile_charts,
    survival_charts,
    training_charts,
    trend_rows,
)
from tailor_rl.bench.usage_pooled import PooledUsage
from tailor_rl.bench.wording import missing_label, plural
from tailor_rl.printable import printable
from tailor_rl.report.reading import excerpt, flatten
from tailor_rl.runs.files import explaining_disk_errors, write_atomic

PAGE, MARKDOWN = "report.html", "report.md"


@dataclass(frozen=True, slots=True)
class Reply:
    """What one arm's policy wrote to a problem after RL."""

    arm: str
    text: str
    right: bool


@dataclass(frozen=True, slots=True)
class Asked:
    """One problem and every arm's reply to it, from runs of one seed."""

    problem: str
    answer: str
    replies: tuple[Reply, ...]


@dataclass(frozen=True, slots=True)
class Extras:
    """What the page shows beside figures; whatever is empty is left out.

    `usage`: setting -> arm; `lineage`: arm -> facts on how its set was made; `traces` are of one
    setting and seed, named by `traces_of`.
    """

    usage: Mapping[str, Mapping[str, PooledUsage]] = field(default_factory=dict)
    traces: Sequence[Asked] = ()
    traces_of: str = ""
    lineage: Mapping[str, Sequence[tuple[str, str]]] = field(default_factory=dict)
    environment: Mapping[str, Any] = field(default_factory=dict)
    command: str = ""


def render_page(results: Results, extras: Extras) -> str:
    environment = Environment(
        loader=ChoiceLoader(
            [PackageLoader("tailor_rl.bench.report", "."), PackageLoader("tailor_rl.report", ".")]
        ),
        autoescape=True,  # models wrote some of what is on the page, and people the study's names
        undefined=StrictUndefined,
        finalize=_printable,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("study.html.jinja").render(_content(results, extras)) + "\n"


def write_report(folder: Path, results: Results, extras: Extras) -> tuple[Path, Path]:
    """report.html and report.md of a study's folder, each whole or not at all.

    Raises RunFolderError where the folder cannot be written to.
    """
    written = {PAGE: render_page(results, extras), MARKDOWN: markdown(results, extras.usage)}
    for name, text in written.items():
        with explaining_disk_errors(folder, name):
            write_atomic(folder / name, text)
    return folder / PAGE, folder / MARKDOWN


def _printable(value: Any) -> Any:
    """Text without control characters; markup, which is ours, as it is."""
    return printable(value) if type(value) is str else value


def _content(results: Results, extras: Extras) -> dict[str, Any]:
    main, others = _main_tables(list(figure_tables(results)))
    return {
        "results": results,
        "headline": _headline(results),
        "legend": legend(results),
        "forest": tuple(forest(results)),
        "compared": comparison_table(results, results.comparisons, ""),
        "over_problems": any(each.over_problems for each in results.comparisons),
        "curves": tuple(curve_charts(results, total=False)),
        "totals": tuple(curve_charts(results, total=True)),
        "tables": main,
        "other_tables": others,
        "iqm_tables": tuple(figure_tables(results, iqm=True)),
        "profiles": tuple(profile_charts(results)),
        "costs": tuple(cost_tables(results)),
        "thresholds": tuple(threshold_tables(results)),
        "survival": tuple(survival_charts(results, "generated_tokens")),
        "claims": claims_table(results) if results.claims else None,
        "trends": tuple(trend_rows(results)),
        "training": tuple(training_charts(results)),
        "forecast": forecast_chart(results),
        "usage": tuple(usage_views(results, extras.usage)),
        "traces": [_shown(asked) for asked in extras.traces],
        "traces_of": extras.traces_of,
        "matched": tuple(matched_tables(results)),
        "lineage": [(arm, facts) for arm, facts in extras.lineage.items() if facts],
        "environment": tuple(flatten(extras.environment)),
        "command": extras.command,
        "plan": plan_rows(results),
        "missing": tuple(map(missing_label, results.missing)),
    }


def _shown(asked: Asked) -> Asked:
    replies = tuple(Reply(each.arm, excerpt(each.text), each.right) for each in asked.replies)
    return Asked(excerpt(asked.problem), excerpt(asked.answer), replies)


def _main_tables(tables: Sequence[Table]) -> tuple[list[Table], list[Table]]:
    """pass@1 in distribution and over all ood axes, and the rest."""
    main = [t for t in tables if t.title.split(", ")[-1] == "pass@1" and "ood:" not in t.title]
    return main, [table for table in tables if table not in main]


def _headline(results: Results) -> tuple[str, ...]:
    finished = f"{results.num_cells} of {results.num_cells + len(results.missing)} cells finished"
    return (
        plural(len(results.arms), "arm"),
        plural(len(results.settings), "setting"),
        plural(len(results.seeds), "seed"),
        finished,
        *(f"commit {commit[:12]}" for commit in results.commits),
    )
