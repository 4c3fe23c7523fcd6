"""A paired difference's interval over seeds and problems at once.

Every seed is examined on the same problems, so an interval over seeds alone holds for these
problems. Two arms may lie apart on other problems too; with few of them that is no small part of
what is not known. Knows nothing about files.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from tailor_rl.bench.estimates import ROUNDING, Estimate


@dataclass(frozen=True, slots=True)
class Differences:
    """An arm minus its rival on one split: seeds by problems. Problems of one family are the same
    up to renaming, and not independent of each other.
    """

    values_SP: np.ndarray
    families_P: tuple[int, ...]


def crossed_interval(settings: Sequence[Mapping[str, Differences]]) -> Estimate | None:
    """The mean over settings of the mean over splits of the mean over problems, with a 95 %
    interval that holds for other seeds and other problems of the same kind.

    The variance is that of the crossed random-effects analysis of variance, by the method of
    moments (Searle, Casella & McCulloch, 1992, chapter 4): over seeds, plus over families of
    problems, minus what is left of either and counted in both. Student's t, on degrees of freedom
    by Satterthwaite (1946); but never shorter than over seeds alone, which with few seeds has far
    fewer degrees of freedom. None where it is not known: a
    setting with one seed, a split with one family, or nothing that varies over seeds. ValueError
    where there is no setting.
    """
    if not settings or not all(settings):
        raise ValueError("a mean over no settings, or no splits, is none: give at least one")
    every = [of for splits in settings for of in splits.values()]
    sizes = [next(iter(splits.values())).values_SP.shape[0] for splits in settings]
    if min(sizes) < 2 or any(len(set(of.families_P)) < 2 for of in every):
        return None
    seeds = [_over_seeds(list(splits.values())) for splits in settings]
    scale = max(float(np.abs(of.values_SP).max()) for of in every)
    if sum(variance for variance, _ in seeds) <= (ROUNDING * scale) ** 2:
        return None
    problems = [_over_problems(of, len(splits)) for splits in settings for of in splits.values()]
    half = max(_half([*seeds, *problems]), _half(seeds)) / len(settings)
    value = float(
        np.mean([np.mean([of.values_SP.mean() for of in each.values()]) for each in settings])
    )
    return Estimate(value, value - half, value + half, num_runs=sum(sizes), fewest=min(sizes))


def _half(parts: Sequence[tuple[float, int]]) -> float:
    """Half a 95 % interval of a sum, from the variances of its parts and their degrees."""
    total = sum(variance for variance, _ in parts)
    degrees = 1 / sum((variance / total) ** 2 / free for variance, free in parts)
    return float(stats.t.ppf(0.975, degrees)) * math.sqrt(total)


def _over_seeds(splits: Sequence[Differences]) -> tuple[float, int]:
    """Variance of one setting's mean over splits, with its degrees of freedom."""
    means_S = np.mean([of.values_SP.mean(axis=1) for of in splits], axis=0)
    return float(means_S.var(ddof=1)) / means_S.size, means_S.size - 1


def _over_problems(of: Differences, num_splits: int) -> tuple[float, int]:
    """The same over families of problems, without what seeds and families have in common."""
    num_seeds, num_problems = of.values_SP.shape
    families, places_P, sizes_F = np.unique(of.families_P, return_inverse=True, return_counts=True)
    # What each family adds to a seed's share in the mean, away from the mean itself.
    away_SP = (of.values_SP - of.values_SP.mean()) / (of.values_SP.size * num_splits)
    sums_SF = np.zeros((num_seeds, families.size))
    np.add.at(sums_SF.T, places_P, away_SP.T)
    by_family_F = sums_SF.sum(axis=0)
    by_seed_S1 = sums_SF.sum(axis=1, keepdims=True)
    left_SF = sums_SF - by_seed_S1 * sizes_F / num_problems - by_family_F / num_seeds
    free = families.size - 1
    variance = float((by_family_F**2).sum()) * families.size / free
    both = float((left_SF**2).sum()) * left_SF.size / ((num_seeds - 1) * free)
    return max(0.0, variance - both), free
