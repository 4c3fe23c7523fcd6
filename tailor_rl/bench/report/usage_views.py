"""What the policies of each arm do over RL, as charts and tables: styles in use, combinations,
habits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from tailor_rl.bench.estimates import Estimate
from tailor_rl.bench.findings import BandPoint, Results
from tailor_rl.bench.report.charts import ArmLine, arms_chart
from tailor_rl.bench.report.tables import EMPTY, Entry, Table, points_entry, share_entry
from tailor_rl.bench.report.views import Chart
from tailor_rl.bench.usage_pooled import PooledTraces, PooledUsage
from tailor_rl.bench.wording import bracket, setting_label

UsageByArm = Mapping[str, PooledUsage]
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
            yield UsageView(where, charts, (_styles_table(by_arm), _quality_table(by_arm)))


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


def _styles_table(by_arm: UsageByArm) -> Table:
    """Few clear traces show few styles: beside the end stands what as many demonstrations show."""
    head = (
        "arm",
        "styles at step 0",
        "at the end",
        "as many demonstrations",
        "change",
        "grew",
        "fell",
        "died",
        "two styles: demonstrations",
        "at the end",
        "beyond demonstrations",
    )
    rows = []
    for arm, each in by_arm.items():
        first = each.steps[0] if each.steps else None
        last = each.steps[-1] if len(each.steps) > 1 else None
        rows.append(
            (
                Entry(arm),
                _number(first.effective if first else None),
                _number(last.effective if last else None),
                _number(last.effective_expected if last else None),
                _number(each.effective_change, sign=True),
                *(_number(count) for count in (each.grew, each.fell, each.died)),
                share_entry(each.floor.combined),
                share_entry(last.combined if last else None),
                points_entry(each.excess),
            )
        )
    return Table("Styles in use (effective number) and combinations", head, tuple(rows))


def _quality_table(by_arm: UsageByArm) -> Table:
    head = ("arm", "styles told apart", "attributed rightly", "by chance", "combinations found",
            "clear at the end", "unclear", "unlike any demonstration")  # fmt: skip
    rows = []
    for arm, each in by_arm.items():
        last = each.steps[-1] if each.steps else None
        found = (each.style_accuracy, each.style_chance, each.power)
        ends = (last.clear, last.unclear, last.other) if last else (None, None, None)
        shares = [share_entry(estimate) for estimate in (*found, *ends)]
        rows.append((Entry(arm), _number(each.num_styles), *shares))
    return Table("How well styles can be known", head, tuple(rows))


def _number(estimate: Estimate | None, *, sign: bool = False) -> Entry:
    if estimate is None:
        return EMPTY
    text = f"{estimate.value:+.1f}" if sign else f"{estimate.value:.1f}"
    return Entry(text.replace("-", "\N{MINUS SIGN}"), bracket(estimate, sign=sign, scale=1))
