"""Which styles the policies of each arm use over RL, as tables."""

from __future__ import annotations

from collections.abc import Mapping

from tailor_rl.bench.estimates import Estimate
from tailor_rl.bench.report.entries import EMPTY, Entry, Table, points_entry, share_entry
from tailor_rl.bench.usage_pooled import PooledUsage
from tailor_rl.bench.wording import bracket

UsageByArm = Mapping[str, PooledUsage]


def usage_tables(by_arm: UsageByArm) -> tuple[Table, ...]:
    return _styles_table(by_arm), _quality_table(by_arm)


def _styles_table(by_arm: UsageByArm) -> Table:
    """Few clear traces show few styles: beside the end stands what as many demonstrations show."""
    head = (
        "arm",
        "runs",
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
                Entry(str(each.num_runs)),
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
