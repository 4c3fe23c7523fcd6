"""A set of traces in figures: which styles they follow, how many combine two, what they are like.

Knows nothing about files, nor about how a style is recognised (measures/styles.py).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from tailor_rl.bench.paired import holm
from tailor_rl.measures.habits import count_habits, mean_habits
from tailor_rl.measures.styles import OTHER, UNCLEAR, Followed
from tailor_rl.measures.words import words
from tailor_rl.seeds import derive_seed
from tailor_rl.statistics import wilson_interval
from tailor_rl.types import Interval

ALPHA = 0.05
DEAD = 0.01  # share of clear traces up to which a style that fell has died
MOST_COMBINATIONS = 5  # that are named


@dataclass(frozen=True, slots=True)
class Answer:
    """A graded trace, as it is read of a row of samples/*.jsonl."""

    problem_id: str
    prompt: str
    text: str
    reward: float
    step: int | None = None
    correct: float | None = None  # in files of older versions there is only `reward`

    @property
    def right(self) -> bool:
        return (self.reward if self.correct is None else self.correct) >= 1.0


@dataclass(frozen=True, slots=True)
class StyleShare:
    """`share` is of the traces whose style is clear, so that a policy that comes to write cleaner
    text does not seem to take up every style; `accuracy` is of those that follow this one. Both
    with 95 % intervals (Wilson); None where there is no such trace.
    """

    style: str
    num: int
    share: Interval | None
    accuracy: Interval | None


@dataclass(frozen=True, slots=True)
class Combination:
    """Traces whose first half follows one style and whose second half another."""

    first: str
    second: str
    num: int


@dataclass(frozen=True, slots=True)
class TraceUsage:
    """A set of traces: demonstrations, or a policy's answers at one step, one a problem.

    `effective` is the effective number of styles, exp(Shannon entropy of their shares), with its
    jackknife standard error; None where no trace is clear. Few traces show few styles:
    `effective_expected` is what as many clear demonstrations show on average.

    `combined` is the share of traces whose halves two styles explain better than any one does
    (measures/combining.py), of the `num_halved` that have two halves, each like some
    demonstration's.
    """

    label: str  # "base", "step 0", ..., "demonstrations"
    step: int | None  # of RL; 0 is the warm start, None for what is no step of RL
    source: str  # the file, within the run folder
    num: int
    styles: tuple[StyleShare, ...]  # every style, in the order of Usage.styles
    num_clear: int
    clear: Interval
    unclear: Interval
    other: Interval
    effective: float | None
    effective_se: float | None
    effective_expected: float | None
    num_halved: int
    combined: Interval | None
    combinations: tuple[Combination, ...]  # the most frequent first
    accuracy: Interval
    mean_words: float
    habits: Mapping[str, float]  # mean count a trace: measures/habits.py


@dataclass(frozen=True, slots=True)
class Change:
    """One style from the first to the last step of RL, as shares of the clear traces.

    `p` is two-sided (Fisher's exact test), `holm_p` holds for all styles at once (Holm, 1979).
    `verdict`: "grew", "fell", "died" (fell, and at most 1 % is left), or "" where chance explains
    the difference.
    """

    style: str
    before: float
    after: float
    p: float
    holm_p: float
    verdict: str


def see_traces(
    answers: Sequence[Answer],
    followed: Sequence[Followed],
    styles: Sequence[str],
    *,
    floor: Sequence[Followed],
    label: str,
    step: int | None,
    source: str,
) -> TraceUsage:
    """`followed[i]` is what `answers[i]` follows, `floor` what demonstrations do; `styles` are the
    names. ValueError for no answer.
    """
    if not answers:
        raise ValueError(f"{source} holds no trace: there is nothing to see")
    num = len(answers)
    found = Counter(each.style for each in followed)
    num_clear = num - found[UNCLEAR] - found[OTHER]
    effective, effective_se = effective_number([found[s] for s in range(len(styles))])
    demonstrated = Counter(each.style for each in floor)
    halved = [each.combined for each in followed if each.halved]
    pairs = Counter(pair for pair in halved if pair is not None)
    means = mean_habits(count_habits(answer.text) for answer in answers)
    return TraceUsage(
        label=label,
        step=step,
        source=source,
        num=num,
        styles=tuple(_style_shares(answers, followed, styles, num_clear)),
        num_clear=num_clear,
        clear=wilson_interval(num_clear, num),
        unclear=wilson_interval(found[UNCLEAR], num),
        other=wilson_interval(found[OTHER], num),
        effective=effective,
        effective_se=effective_se,
        effective_expected=expected_number(
            [demonstrated[s] for s in range(len(styles))], num=num_clear
        ),
        num_halved=len(halved),
        combined=_share(pairs.total(), len(halved)),
        combinations=tuple(_most_frequent(pairs, styles)),
        accuracy=wilson_interval(sum(answer.right for answer in answers), num),
        mean_words=sum(len(words(answer.text)) for answer in answers) / num,
        habits={habit: mean or 0.0 for habit, mean in means.items()},
    )


def _style_shares(
    answers: Sequence[Answer], followed: Sequence[Followed], styles: Sequence[str], num_clear: int
) -> Iterator[StyleShare]:
    for s, name in enumerate(styles):
        theirs = [a.right for a, each in zip(answers, followed, strict=True) if each.style == s]
        yield StyleShare(
            style=name,
            num=len(theirs),
            share=_share(len(theirs), num_clear),
            accuracy=_share(sum(theirs), len(theirs)),
        )


def _share(num: int, total: int) -> Interval | None:
    return wilson_interval(num, total) if total else None


def _most_frequent(
    pairs: Mapping[tuple[int, int], int], styles: Sequence[str]
) -> Iterator[Combination]:
    ordered = sorted(pairs.items(), key=lambda item: (-item[1], item[0]))
    for (first, second), num in ordered[:MOST_COMBINATIONS]:
        yield Combination(styles[first], styles[second], num)


def effective_number(counts: Sequence[int]) -> tuple[float | None, float | None]:
    """exp(-sum_s p_s ln p_s) of the shares (Hill, 1973, N_1), and its jackknife standard error
    sqrt((n - 1) / n * sum_i (f_i - mean)^2), f_i without trace i (Tukey, 1958).

    None where nothing is counted; no standard error of a single trace.
    """
    num = sum(counts)
    if not num:
        return None, None
    value = _hill(counts)
    if num == 1:
        return value, None
    present = [s for s, count in enumerate(counts) if count]
    without = [_hill([c - (i == s) for i, c in enumerate(counts)]) for s in present]
    mean = sum(counts[s] * each for s, each in zip(present, without, strict=True)) / num
    spread = sum(counts[s] * (each - mean) ** 2 for s, each in zip(present, without, strict=True))
    return value, math.sqrt((num - 1) / num * spread)


def _hill(counts: Sequence[int]) -> float:
    num = sum(counts)
    return math.exp(-sum(c / num * math.log(c / num) for c in counts if c))


def expected_number(counts: Sequence[int], *, num: int, draws: int = 200) -> float | None:
    """The mean effective number among `num` of the traces that are counted, drawn without
    replacement; among all of them where they are fewer. None where nothing is drawn.
    """
    num = min(num, sum(counts))
    if not num:
        return None
    rng = np.random.default_rng(derive_seed(0, "usage", "draws", num))
    drawn = rng.multivariate_hypergeometric(list(counts), num, size=draws)
    return float(np.mean([_hill(row) for row in drawn.tolist()]))


def style_changes(first: TraceUsage, last: TraceUsage) -> tuple[Change, ...]:
    """Style by style; () where one of the two has no clear trace.

    Fisher's test takes traces to be independent. Both steps answer the same problems, which makes
    it cautious, not bold.
    """
    if not (first.num_clear and last.num_clear):
        return ()
    pairs = [(a.num, b.num) for a, b in zip(first.styles, last.styles, strict=True)]
    ps = [
        float(stats.fisher_exact([[a, first.num_clear - a], [b, last.num_clear - b]])[1])
        for a, b in pairs
    ]
    return tuple(
        _change(style.style, a / first.num_clear, b / last.num_clear, min(p, 1.0), holm_p or 0.0)
        for style, (a, b), p, holm_p in zip(first.styles, pairs, ps, _corrected(ps), strict=True)
    )


def _corrected(ps: Sequence[float]) -> list[float | None]:
    return holm([min(p, 1.0) for p in ps])  # rounding can put it just above 1


def _change(style: str, before: float, after: float, p: float, holm_p: float) -> Change:
    verdict = ""
    if holm_p < ALPHA:
        verdict = "grew" if after > before else "died" if after <= DEAD else "fell"
    return Change(style, before, after, p, holm_p, verdict)
