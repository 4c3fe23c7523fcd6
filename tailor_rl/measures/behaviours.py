"""Does this model have what RL can amplify? One report, from graded answers and their texts.

Knows nothing about where these come from: `tailor behaviours` samples them, and any run has them
after an ordinary evaluation (results/eval-STAGE.jsonl and samples/eval-STAGE.jsonl).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from tailor_rl.evaluation import Trace
from tailor_rl.measures.forecast import FORMULA, forecast_gain, mixed
from tailor_rl.measures.habits import HABITS, count_habits
from tailor_rl.measures.judge import Agreement, Counts, Judgement, agreement
from tailor_rl.seeds import derive_seed
from tailor_rl.statistics import pass_at_k, problem_interval
from tailor_rl.types import Interval, ProblemResult

MIN_SHARE = 0.1  # of answers: a habit that fewer show is missing

Verdict = Literal["present", "unclear", "missing", "unknown"]


@dataclass(frozen=True, slots=True)
class HabitReport:
    """`share` of answers show the habit at least once; its interval is over families of problems.

    "missing": the whole interval is below MIN_SHARE; "present": none of it is; "unclear": it holds
    MIN_SHARE; "unknown": no answer was counted.
    """

    habit: str
    num_answers: int
    mean: float | None  # count an answer
    share: Interval | None
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class BehaviourReport:
    """Before RL: behaviours.json. Shares are of 1, entropy is in nats a token."""

    subject: str
    stage: str
    step: int
    split: str
    num_problems: int
    num_families: int
    num_left_out: int  # problems with fewer than k graded answers
    k: int
    temperature: float
    pass_1: Interval
    pass_k: Interval
    mixed: Interval  # share of groups with 0 < right < k
    all_right: float
    none_right: float
    entropy: float
    truncated: float
    ungraded: int
    habits: tuple[HabitReport, ...]
    counted_by: str  # "patterns"
    judged_habits: tuple[HabitReport, ...]
    judge: str
    agreement: Mapping[str, Agreement]
    forecast: Interval
    formula: str = FORMULA
    min_share: float = MIN_SHARE


def make_report(
    results: Sequence[ProblemResult],
    answers: Sequence[Trace],
    *,
    subject: str,
    k: int,
    temperature: float,
    seed: int,
    judged: Sequence[Trace] = (),
    judgement: Judgement | None = None,
) -> BehaviourReport:
    """`results` of one stage and split; `answers` to any of these problems, as many as there are
    texts of; `judgement` has the counts of `judged`, which are some of the answers.

    ValueError where no problem has `k` graded answers.
    """
    full = [result for result in results if len(result.correct) >= k]
    if not full:
        raise ValueError(
            f"none of {len(results)} problems has the {k} graded answers that pass@{k} needs"
        )
    families = {result.problem_id: result.family for result in results}
    rights = [sum(grade >= 1.0 for grade in result.correct) for result in full]
    interval = _Intervals([result.family for result in full], seed=derive_seed(seed, "behaviours"))
    patterns = [count_habits(answer.text) for answer in answers]
    judged_counts = () if judgement is None else judgement.counts
    return BehaviourReport(
        subject=subject,
        stage=full[0].stage,
        step=full[0].step,
        split=full[0].split,
        num_problems=len(full),
        num_families=len({result.family for result in full}),
        num_left_out=len(results) - len(full),
        k=k,
        temperature=temperature,
        pass_1=interval(
            [pass_at_k(len(r.correct), c, 1) for r, c in zip(full, rights, strict=True)]
        ),
        pass_k=interval(
            [pass_at_k(len(r.correct), c, k) for r, c in zip(full, rights, strict=True)]
        ),
        mixed=interval([float(mixed(result)) for result in full]),
        all_right=_mean(c == len(r.correct) for r, c in zip(full, rights, strict=True)),
        none_right=_mean(c == 0 for c in rights),
        entropy=_mean(nats for result in full for nats in result.entropy),
        truncated=_mean(cut for result in full for cut in result.truncated),
        ungraded=sum(result.ungraded for result in results),
        habits=_habits(answers, patterns, families=families, seed=seed),
        counted_by="patterns",
        judged_habits=_habits(judged, judged_counts, families=families, seed=seed)
        if judged
        else (),
        judge="" if judgement is None else judgement.judge,
        agreement=agreement([count_habits(each.text) for each in judged], judged_counts),
        forecast=forecast_gain(full, k=k, seed=derive_seed(seed, "forecast")),
    )


class _Intervals:
    """Means over the same problems, each with its interval."""

    def __init__(self, families: Sequence[str], *, seed: int) -> None:
        self._families, self._seed = families, seed

    def __call__(self, values: Sequence[float]) -> Interval:
        return problem_interval(np.array(values), families_P=self._families, seed=self._seed)[0]


def _habits(
    answers: Sequence[Trace],
    counts: Sequence[Counts],
    *,
    families: Mapping[str, str],
    seed: int,
) -> tuple[HabitReport, ...]:
    found = []
    for habit in HABITS:
        by_problem: dict[str, list[int]] = {}
        for answer, counted in zip(answers, counts, strict=True):
            if (count := counted[habit]) is not None:
                by_problem.setdefault(answer.problem_id, []).append(count)
        found.append(_habit(habit, by_problem, families=families, seed=seed))
    return tuple(found)


def _habit(
    habit: str, by_problem: Mapping[str, Sequence[int]], *, families: Mapping[str, str], seed: int
) -> HabitReport:
    if not by_problem:
        return HabitReport(habit, 0, None, None, "unknown")
    num = sum(map(len, by_problem.values()))
    interval = _Intervals(
        [families.get(problem, problem) for problem in by_problem],
        seed=derive_seed(seed, "habit", habit),
    )
    share = interval([_mean(count > 0 for count in counts) for counts in by_problem.values()])
    mean = sum(map(sum, by_problem.values())) / num
    return HabitReport(habit, num, mean, share, _verdict(share))


def _verdict(share: Interval) -> Verdict:
    if share.high < MIN_SHARE:
        return "missing"
    return "present" if share.low >= MIN_SHARE else "unclear"


def _mean(values: Iterator[float] | Iterator[bool]) -> float:
    found = [float(value) for value in values]
    return sum(found) / len(found) if found else 0.0


def missing_habits(report: BehaviourReport) -> tuple[str, ...]:
    """By the judge where one counted, else by patterns."""
    rows = report.judged_habits or report.habits
    return tuple(row.habit for row in rows if row.verdict == "missing")
