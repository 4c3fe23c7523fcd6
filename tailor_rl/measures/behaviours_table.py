"""A report on behaviours as tables and sentences for people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from tailor_rl.measures.behaviours import (
    MIN_SHARE,
    BehaviourReport,
    HabitReport,
    missing_habits,
)
from tailor_rl.measures.table import spoken
from tailor_rl.sheets import Sheet
from tailor_rl.types import Interval


def to_sheets(report: BehaviourReport) -> list[Sheet]:
    """For people; `verdicts` has the sentences."""
    sheets = [_ability_sheet(report), _habit_sheet(report.habits, "by patterns")]
    if report.judged_habits:
        sheets.append(_habit_sheet(report.judged_habits, f"by the judge {report.judge}"))
    if report.agreement:
        sheets.append(_agreement_sheet(report))
    return sheets


def _ability_sheet(report: BehaviourReport) -> Sheet:
    rows = (
        ("pass@1", *_percents(report.pass_1)),
        (f"pass@{report.k}", *_percents(report.pass_k)),
        ("mixed groups", *_percents(report.mixed)),
        ("all answers right", _percent(report.all_right), ""),
        ("no answer right", _percent(report.none_right), ""),
    )
    families = (
        "" if report.num_families == report.num_problems else f" of {report.num_families} families"
    )
    left_out = (
        f"; {report.num_left_out} problems with fewer than {report.k} graded answers are left out"
        if report.num_left_out
        else ""
    )
    return Sheet(
        f"{report.subject}, {report.split}: {report.num_problems} problems{families}, {report.k} "
        f"answers each at temperature {report.temperature:g}",
        ("", "%", "95 % interval"),
        rows,
        note=f"entropy {report.entropy:.3f} nats a token, {_percent(report.truncated)} % "
        f"truncated, {report.ungraded} answers not graded{left_out}",
    )


def _habit_sheet(rows: Sequence[HabitReport], counted: str) -> Sheet:
    num = max((row.num_answers for row in rows), default=0)
    return Sheet(
        f"habits in {num} answers, {counted}",
        ("", "an answer", "% of answers", "95 % interval", ""),
        tuple(
            (
                spoken(row.habit),
                "-" if row.mean is None else f"{row.mean:.2f}",
                *(("-", "-") if row.share is None else _percents(row.share)),
                row.verdict,
            )
            for row in rows
        ),
        note=f"missing: surely in fewer than {100 * MIN_SHARE:g} % of answers; unclear: the "
        "interval holds that share",
    )


def _agreement_sheet(report: BehaviourReport) -> Sheet:
    return Sheet(
        "agreement of patterns and judge",
        ("", "traces", "same count %", "both or neither %", "Spearman"),
        tuple(
            (
                spoken(habit),
                str(found.num_traces),
                _percent(found.same_count),
                _percent(found.same_presence),
                "-" if found.rank_correlation is None else f"{found.rank_correlation:.2f}",
            )
            for habit, found in report.agreement.items()
        ),
    )


def as_record(report: BehaviourReport) -> dict[str, Any]:
    """The report as JSON holds it, with what it says in words."""
    missing = list(missing_habits(report))
    return {**asdict(report), "missing": missing, "verdicts": verdicts(report)}


def verdicts(report: BehaviourReport) -> list[str]:
    """What the figures mean, a sentence each."""
    missing = ", ".join(map(spoken, missing_habits(report)))
    gain = report.forecast
    found = [
        f"Habits that are missing: {missing}." if missing else "No habit is surely missing.",
        f"Forecast: RL gains {100 * gain.value:+.1f} points of pass@1 [{100 * gain.low:+.1f}, "
        f"{100 * gain.high:+.1f}], by {report.formula} (k = {report.k}), a formula of our own that "
        "is not calibrated: it ranks initialisations and promises no points.",
    ]
    if report.mixed.high < MIN_SHARE:
        found.append(
            f"Few groups are mixed ({_percent(report.mixed.value)} %): RL would hardly have a "
            "gradient; choose "
            + ("easier" if report.none_right > report.all_right else "harder")
            + " problems or another initialisation."
        )
    if report.truncated > MIN_SHARE:
        found.append(
            f"{_percent(report.truncated)} % of answers hit the length limit: raise "
            "evaluation.max_tokens and rl.max_tokens, or shorten the demonstrations."
        )
    return found


def _percents(interval: Interval) -> tuple[str, str]:
    return _percent(interval.value), f"[{_percent(interval.low)}, {_percent(interval.high)}]"


def _percent(value: float) -> str:
    return f"{100 * value:.1f}"
