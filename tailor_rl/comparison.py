"""Is B better than A? Two evaluations of the same problems, paired problem by problem.

Knows nothing about files: see cli_compare.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from tailor_rl.errors import ConfigError
from tailor_rl.seeds import derive_seed
from tailor_rl.statistics import bootstrap_interval, mcnemar_p, sign_flip_p
from tailor_rl.types import Interval, ProblemResult

ALPHA = 0.05
# By the names under which they are shown and written.
MCNEMAR = "exact McNemar test"
SIGN_FLIP = "sign-flip permutation test over families"

Pair = tuple[ProblemResult, ProblemResult]


@dataclass(frozen=True, slots=True)
class Paired:
    """One figure of A and B over the problems that have it in both.

    `difference` is B minus A with its 95 % paired bootstrap interval over families (Davison &
    Hinkley, 1997, section 3.8). `p` is two-sided, by the test that is named: McNemar's of greedy
    answers where no two problems are siblings, else the sign-flip test over families.
    """

    metric: str  # "greedy" or "pass@1"
    first: float
    second: float
    difference: Interval
    p: float
    test: str
    num_problems: int
    num_families: int

    @property
    def apart(self) -> bool:
        """Both speak against chance: with few families a bootstrap alone is too sure."""
        return self.p < ALPHA and (self.difference.low > 0 or self.difference.high < 0)


@dataclass(frozen=True, slots=True)
class Discordance:
    """Greedy answers: problems that only one of the two solved. `p` is exact McNemar's, which
    takes problems to be independent: where `families_repeat` they are not.
    """

    only_first: int
    only_second: int
    p: float
    families_repeat: bool


@dataclass(frozen=True, slots=True)
class SplitComparison:
    """B against A on one split; `only_in_...` are the problems that the other has not."""

    split: str
    only_in_first: int
    only_in_second: int
    figures: tuple[Paired, ...]
    greedy: Discordance | None


def compare(
    first: Sequence[ProblemResult], second: Sequence[ProblemResult], *, seed: int = 0
) -> list[SplitComparison]:
    """Split by split, never pooled. Raises ConfigError where the two share no problem, where one
    has a problem twice, and where problems of the same name are not the same.
    """
    known = _by_problem(first, "A"), _by_problem(second, "B")
    pairs = [(known[0][key], known[1][key]) for key in known[0] if key in known[1]]
    if not pairs:
        raise ConfigError(
            f"A ({_described(first)}) and B ({_described(second)}) share no problem: compare "
            "evaluations of the same task on the same splits"
        )
    for pair in pairs:
        _check_same(*pair)
    return [
        _compare_split(split, [pair for pair in pairs if pair[0].split == split], known, seed=seed)
        for split in dict.fromkeys(pair[0].split for pair in pairs)
    ]


Key = tuple[str, str]  # split and problem


def _by_problem(results: Sequence[ProblemResult], name: str) -> Mapping[Key, ProblemResult]:
    found: dict[Key, ProblemResult] = {}
    for result in results:
        key = result.split, result.problem_id
        if key in found:
            raise ConfigError(
                f"{name} has {result.problem_id} of {result.split} twice: give the results of one "
                "evaluation"
            )
        found[key] = result
    return found


def _described(results: Sequence[ProblemResult]) -> str:
    """Example: "150 problems of test, such as knights:test:0"."""
    splits = ", ".join(dict.fromkeys(result.split for result in results))
    example = f", such as {results[0].problem_id}" if results else ""
    return f"{len(results)} problems of {splits or 'no split'}{example}"


def _check_same(first: ProblemResult, second: ProblemResult) -> None:
    """The same name can stand for two problems: a task with another seed or other options."""
    for what in ("family", "difficulty"):
        values = getattr(first, what), getattr(second, what)
        if values[0] != values[1]:
            raise ConfigError(
                f"{first.problem_id} is not the same problem in A and B ({what} {values[0]!r} and "
                f"{values[1]!r}): compare evaluations with the same task.seed and task.options"
            )


def _compare_split(
    split: str,
    pairs: Sequence[Pair],
    known: tuple[Mapping[Key, ProblemResult], Mapping[Key, ProblemResult]],
    *,
    seed: int,
) -> SplitComparison:
    alone = [sum(key[0] == split for key in each) - len(pairs) for each in known]
    greedy = [(a, b, _solved(a), _solved(b)) for a, b in pairs if None not in (a.greedy, b.greedy)]
    sampled = [(a, b, _mean(a), _mean(b)) for a, b in pairs if a.correct and b.correct]
    discordance = _discordance(greedy) if greedy else None
    figures = [
        _paired(metric, rows, seed=derive_seed(seed, "compare", split, metric))
        for metric, rows in (("greedy", greedy), ("pass@1", sampled))
        if rows
    ]
    if discordance is not None and not discordance.families_repeat:
        figures[0] = replace(figures[0], p=discordance.p, test=MCNEMAR)
    return SplitComparison(
        split=split,
        only_in_first=alone[0],
        only_in_second=alone[1],
        figures=tuple(figures),
        greedy=discordance,
    )


Valued = tuple[ProblemResult, ProblemResult, float, float]  # a problem in A and B, with its values


def _solved(result: ProblemResult) -> float:
    return float(result.greedy is not None and result.greedy >= 1.0)


def _mean(result: ProblemResult) -> float:
    return float(np.mean([correct >= 1.0 for correct in result.correct]))


def _paired(metric: str, rows: Sequence[Valued], *, seed: int) -> Paired:
    first_P, second_P = (np.array([row[i] for row in rows]) for i in (2, 3))
    families = [row[0].family for row in rows]
    return Paired(
        metric=metric,
        first=float(first_P.mean()),
        second=float(second_P.mean()),
        difference=bootstrap_interval(second_P - first_P, seed=seed, families_P=families),
        p=sign_flip_p(second_P - first_P, families_P=families, seed=seed),
        test=SIGN_FLIP,
        num_problems=len(rows),
        num_families=len(set(families)),
    )


def _discordance(rows: Sequence[Valued]) -> Discordance:
    only_first = sum(a > b for *_, a, b in rows)
    only_second = sum(b > a for *_, a, b in rows)
    return Discordance(
        only_first=only_first,
        only_second=only_second,
        p=mcnemar_p(only_first, only_second),
        families_repeat=len({row[0].family for row in rows}) < len(rows),
    )


def verdicts(comparison: SplitComparison) -> list[str]:
    """One sentence a figure, of A and B.

    Example: "test, pass@1: B is above A by 3.1 points [1.0, 5.2], p = 0.0041".
    """
    found = []
    for figure in comparison.figures:
        difference = figure.difference
        points = f"{100 * abs(difference.value):.1f} points"
        if figure.apart:
            sign = 1 if difference.value > 0 else -1
            low, high = sorted((sign * difference.low, sign * difference.high))
            said = (
                f"B is {'above' if sign > 0 else 'below'} A by {points} "
                f"[{100 * low:.1f}, {100 * high:.1f}]"
            )
        else:
            said = (
                f"A and B are not told apart: B minus A is {100 * difference.value:+.1f} points "
                f"[{100 * difference.low:+.1f}, {100 * difference.high:+.1f}]"
            )
        found.append(f"{comparison.split}, {figure.metric}: {said}, {p_value(figure.p)}")
    return found


def p_value(p: float) -> str:
    """Example: "p = 0.021", "p < 0.001"."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.2g}"
