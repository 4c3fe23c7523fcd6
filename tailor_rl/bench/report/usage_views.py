"""What the policies of each arm do over RL, as charts: styles in use, combinations, habits."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from tailor_rl.bench.estimates import Estimate
from tailor_rl.bench.findings import BandPoint, Results
from tailor_rl.bench.report.charts import ArmLine, arms_chart
from tailor_rl.bench.report.entries import Table
from tailor_rl.bench.report.usage_tables import UsageByArm, usage_tables
from tailor_rl.bench.report.views import Chart
from tailor_rl.bench.usage_pooled import PooledTraces
from tailor_rl.bench.wording import setting_label

_Fact = Callable[[PooledTraces], Estimate | None]


@dataclass(frozen=True, slots=True)
class UsageView:
    """One setting."""

    where: str
    charts: tuple[Chart, ...]
    tables: tuple[Table, ...]


def usage_views(results: Results, usage: Mapping[str, UsageByArm]) -> Iterator[UsageView]:
    """Settings and arms in the study's order; those without usage are left out."""
    for setting in results.settings:
        by_arm = {arm: usage[setting][arm] for arm in results.arms if arm in usage.get(setting, {})}
        if by_arm:
            where = setting_label(setting, len(results.settings))
            charts = tuple(_charts(results, by_arm))
            yield UsageView(where, charts, usage_tables(by_arm))


def _charts(results: Results, by_arm: UsageByArm) -> Iterator[Chart]:
    """A chart for each fact that is known at two steps or more of some arm."""
    habits = dict.fromkeys(
        h for each in by_arm.values() for step in each.steps for h in step.habits
    )
    facts: list[tuple[str, str, bool, _Fact]] = [
        ("Styles in use", "effective number", False, lambda traces: traces.effective),
        ("Combinations", "share of traces with two styles", True, lambda traces: traces.combined),
        *(
            (habit.replace("_", " ").capitalize(), "times a trace", False, _habit(habit))
            for habit in habits
        ),
    ]
    for title, unit, percent, fact in facts:
        lines = [
            ArmLine(arm, results.arms.index(arm), tuple(_points(each.steps, fact)))
            for arm, each in by_arm.items()
        ]
        lines = [line for line in lines if line.points]
        if any(len(line.points) > 1 for line in lines):
            svg = arms_chart(
                title,
                lines,
                x_label="RL step",
                y_label=unit,
                percent=percent,
                top=0,
                cut_bands=True,
            )
            yield Chart(title, "", svg)


def _habit(name: str) -> _Fact:
    return lambda traces: traces.habits.get(name)


def _points(steps: Sequence[PooledTraces], fact: _Fact) -> Iterator[BandPoint]:
    for traces in steps:
        found = fact(traces)
        if traces.step is not None and found is not None:
            yield BandPoint(traces.step, found.value, found.low, found.high)
