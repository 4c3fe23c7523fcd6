"""Planned comparisons of arms on common seeds, with Student's t over seeds.

Runs of one seed share prompts and their order, so a difference on one seed is free of what these
do to both arms. Settings share their seeds too, and with them luck (on an axis of algorithms even
the fine-tuned policy), so seeds are the unit of chance, not runs: over several settings a seed's
figures are averaged before anything is said of their spread. What is said holds for other seeds in
the same settings, not for other settings. Knows nothing about files.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import stats

from tailor_rl.bench.estimates import ROUNDING, Estimate, improvement
from tailor_rl.bench.student import BySeed, StudentMean, mean_over_settings
from tailor_rl.seeds import derive_seed
from tailor_rl.statistics import sign_flip_p

EVERY_FLIP = 10_000  # sign flips up to which all are tried: 13 pairs


@dataclass(frozen=True, slots=True)
class PairedDifference:
    """An arm minus its rival on common seeds, which are `seeds` by setting; `left_out` are those
    that only one arm has.

    `num_same_sign` of `num_pairs` seeds have a difference (over several settings: their mean) with
    the sign of the mean. `sign_flip_p` needs no normal distribution; it could not have been less
    than `smallest_p` (0.0625 with 5 seeds), so a large one says little where that is large. Both
    are None of one seed.
    """

    difference: StudentMean
    num_pairs: int
    num_same_sign: int
    sign_flip_p: float | None
    smallest_p: float | None
    improvement: Estimate
    seeds: Mapping[str, tuple[int, ...]]
    left_out: Mapping[str, tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class TrendTest:
    """Page's L and its one-sided p that a figure rises along the arms, None of a single row, which
    is a seed. `slope` is the rise from one arm to the next.
    """

    statistic: float | None
    p: float | None
    slope: StudentMean
    num_rows: int
    seeds: Mapping[str, tuple[int, ...]]
    left_out: Mapping[str, tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class ClaimCheck:
    same_sign: Literal["yes", "no", "not told apart", "no sign claimed"]
    same_size: Literal["yes", "smaller", "larger", "not told apart"]


@dataclass(frozen=True, slots=True)
class _Common:
    rows: Mapping[str, np.ndarray]  # setting -> (seeds, arms)
    seeds: Mapping[str, tuple[int, ...]]
    left_out: Mapping[str, tuple[int, ...]]

    @property
    def scale(self) -> float:
        return max(float(np.abs(of).max()) for of in self.rows.values())

    def by_seed(self, figures: Mapping[str, np.ndarray]) -> dict[str, dict[int, float]]:
        """Of one figure for each row."""
        return {
            setting: dict(zip(self.seeds[setting], of_S.tolist(), strict=True))
            for setting, of_S in figures.items()
        }


def compare(arm: BySeed, rival: BySeed, *, seed: int) -> PairedDifference:
    """`arm` minus `rival`, paired by seed within each setting and averaged over settings.

    The probability of improvement is of the same runs; `seed` draws its bootstrap, and flips
    where there are too many seeds to try all. ValueError where no seed is common.
    """
    common = _common([arm, rival])
    differences = common.by_seed({name: of[:, 0] - of[:, 1] for name, of in common.rows.items()})
    mean = mean_over_settings(differences, scale=common.scale)
    parts_S = _parts_of_seeds(differences)
    clear = np.abs(parts_S) * parts_S.size > ROUNDING * common.scale
    flip_p, smallest_p = _flipped(parts_S, scale=common.scale, seed=seed)
    return PairedDifference(
        difference=mean,
        num_pairs=parts_S.size,
        num_same_sign=int((clear & (parts_S * mean.estimate.value > 0)).sum()),
        sign_flip_p=flip_p,
        smallest_p=smallest_p,
        improvement=improvement(
            {setting: of[:, 0].tolist() for setting, of in common.rows.items()},
            {setting: of[:, 1].tolist() for setting, of in common.rows.items()},
            seed=seed,
        ),
        seeds=common.seeds,
        left_out=common.left_out,
    )


def _parts_of_seeds(values: BySeed) -> np.ndarray:
    """What each seed, in ascending order, adds to the mean over settings: (S,)."""
    parts: dict[int, float] = {}
    for of in values.values():
        for seed, value in of.items():
            parts[seed] = parts.get(seed, 0.0) + value / (len(of) * len(values))
    return np.array([parts[seed] for seed in sorted(parts)])


def holm(ps: Sequence[float | None]) -> list[float | None]:
    """p values corrected for being several, in their order (Holm, 1979).

    The i-th smallest of m is multiplied by m - i + 1, and is no less than the one before nor more
    than 1. None, which could not be tested (yet), stays None and counts in m: what was planned is
    not fewer tests because some runs are missing.
    """
    for p in ps:
        if p is not None and not 0 <= p <= 1:
            raise ValueError(f"p = {p} is no probability: need 0 <= p <= 1")
    ascending = sorted((p, i) for i, p in enumerate(ps) if p is not None)
    corrected: list[float | None] = [None] * len(ps)
    largest = 0.0
    for rank, (p, i) in enumerate(ascending):
        largest = max(largest, min(1.0, p * (len(ps) - rank)))
        corrected[i] = largest
    return corrected


def page_trend(arms: Sequence[BySeed]) -> TrendTest:
    """Does a figure rise along `arms`, in this order (Page, 1963)? A row is a seed that all arms
    have in a setting, its figures averaged over the settings in which they have it; within it the
    arms are ranked. Ties make p somewhat too large, never too small.

    The slope is that of each seed's least-squares line over the arms' places, averaged like a
    difference. ValueError for fewer than 3 arms, or no common seed.
    """
    if len(arms) < 3:
        raise ValueError(f"a trend over {len(arms)} arms is a comparison: give at least 3")
    common = _common(arms)
    columns = [
        common.by_seed({k: of[:, i] for k, of in common.rows.items()}) for i in range(len(arms))
    ]
    table_SA = np.stack([_parts_of_seeds(column) for column in columns], axis=1)
    places_A = np.arange(len(arms)) - (len(arms) - 1) / 2
    slopes = {name: of @ places_A / (places_A @ places_A) for name, of in common.rows.items()}
    slope = mean_over_settings(common.by_seed(slopes), scale=common.scale)
    statistic = p = None
    if len(table_SA) > 1:
        found = stats.page_trend_test(table_SA)
        statistic, p = float(found.statistic), float(found.pvalue)
    return TrendTest(statistic, p, slope, len(table_SA), common.seeds, common.left_out)


def check_claim(ours: Estimate, low: float, high: float, *, told_apart: bool = True) -> ClaimCheck:
    """A difference found here beside the range that was published for it, low to high.

    Sign: "not told apart" where our interval holds 0 or there is none, or a test that was corrected
    for others does not tell ours from 0 (`told_apart`); else whether we are on the published side
    of 0. A range on both sides of 0 claims no sign.

    Size: "yes" where our value lies within the range, unless a sign is claimed and ours is not told
    apart from none. "smaller" and "larger" (along the claimed sign) where our whole interval lies
    to that side of the range. Else "not told apart": seeds are too few for more. So a "yes" means
    that we find what they say, not that nothing else could be true.
    """
    if not (math.isfinite(low) and math.isfinite(high) and low <= high):
        raise ValueError(f"the published range {low} to {high} needs finite bounds, low <= high")
    sign = (low >= 0 and high > 0) - (high <= 0 and low < 0)
    if ours.low is None or ours.high is None:
        return ClaimCheck("not told apart" if sign else "no sign claimed", "not told apart")
    if sign < 0:
        low, high = -high, -low
    ends = (ours.low, ours.high) if sign >= 0 else (-ours.high, -ours.low)
    value = ours.value if sign >= 0 else -ours.value
    unclear = not told_apart or ends[0] <= 0 <= ends[1]
    told: Literal["yes", "no", "not told apart"]
    told = "not told apart" if unclear else "yes" if value > 0 else "no"
    if low <= value <= high and not (sign and unclear):
        size: Literal["yes", "smaller", "larger", "not told apart"] = "yes"
    elif ends[1] < low:
        size = "smaller"
    else:
        size = "larger" if ends[0] > high else "not told apart"
    return ClaimCheck(told if sign else "no sign claimed", size)


def _common(arms: Sequence[BySeed]) -> _Common:
    """What all arms have, and which seeds are left out."""
    rows, kept, left_out = {}, {}, {}
    for setting in sorted(set().union(*arms)):
        seeds = [set(arm.get(setting, ())) for arm in arms]
        common = sorted(set.intersection(*seeds))
        if odd := set.union(*seeds) - set(common):
            left_out[setting] = tuple(sorted(odd))
        if common:
            kept[setting] = tuple(common)
            rows[setting] = np.array([[arm[setting][s] for arm in arms] for s in common], float)
    if not rows:
        raise ValueError("the arms have no seed in common: run them on the same seeds")
    if not all(np.isfinite(of).all() for of in rows.values()):
        raise ValueError("a run's figure is not finite: leave that run out")
    return _Common(rows, kept, left_out)


def _flipped(parts_S: np.ndarray, *, scale: float, seed: int) -> tuple[float | None, float | None]:
    """p of the sign-flip test of the sum of what seeds add to it, and the least it could have been.
    A seed is flipped in all settings at once.
    """
    if parts_S.size < 2:
        return None, None
    p = sign_flip_p(
        parts_S / (scale or 1.0),  # sign_flip_p takes sums within 1e-9 for equal
        families_P=[str(i) for i in range(parts_S.size)],
        seed=derive_seed(seed, "bench", "sign_flip"),
        num_flips=EVERY_FLIP,
    )
    every = 2**parts_S.size <= EVERY_FLIP
    return p, 2.0 ** (1 - parts_S.size) if every else 1 / (1 + EVERY_FLIP)
