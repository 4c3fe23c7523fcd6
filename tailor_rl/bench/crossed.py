"""A paired difference's interval over seeds and problems at once.

Every seed is examined on the same problems, so an interval over seeds alone holds for these
problems. Two arms may lie apart on other problems too; with few of them that is no small part of
what is not known. Knows nothing about files.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import stats

from tailor_rl.bench.estimates import ROUNDING, Estimate


@dataclass(frozen=True, slots=True)
class Differences:
    """An arm minus its rival on one split: seeds by problems. Problems of one family are the same
    up to renaming, and not independent of each other. Splits of several settings with equal
    `problems` (a hash) are of the same ones.
    """

    values_SP: np.ndarray
    seeds_S: tuple[int, ...]
    families_P: tuple[int, ...]
    problems: str


Part = tuple[float, int]  # of a variance, with its degrees of freedom


def crossed_interval(settings: Sequence[Mapping[str, Differences]]) -> Estimate | None:
    """The mean over settings of the mean over splits of the mean over problems, with a 95 %
    interval that holds for other seeds and other problems of the same kind.

    The variance is that of the crossed random-effects analysis of variance, by the method of
    moments (Searle, Casella & McCulloch, 1992, chapter 4): over seeds, plus over families of
    problems, minus what is left of either and counted in both. Student's t, on degrees of freedom
    by Satterthwaite (1946); but never shorter than over seeds alone, which with few seeds has far
    fewer degrees of freedom.

    Seeds, and problems, that several settings share are the same ones: they are averaged over
    settings first. Where settings have different seeds, standard errors are averaged instead, as if
    all luck were common to them (paired.py says why).

    None where it is not known: a setting with one seed, a split with one family, or nothing that
    varies over seeds. ValueError where there is no setting.
    """
    if not settings or not all(settings):
        raise ValueError("a mean over no settings, or no splits, is none: give at least one")
    every = [of for splits in settings for of in splits.values()]
    sizes = [next(iter(splits.values())).values_SP.shape[0] for splits in settings]
    if min(sizes) < 2 or any(len(set(of.families_P)) < 2 for of in every):
        return None
    scale = max(float(np.abs(of.values_SP).max()) for of in every)
    weighed = [_weighed(of, len(settings) * len(by)) for by in settings for of in by.values()]
    over_seeds = _over_seeds(settings)
    if over_seeds[0] <= (ROUNDING * scale) ** 2:
        return None
    half = max(_half([over_seeds, *_over_problems(weighed)]), _half([over_seeds]))
    value = float(sum(of.values_SP.mean() for of in weighed))
    return Estimate(value, value - half, value + half, num_runs=sum(sizes), fewest=min(sizes))


def _weighed(of: Differences, share: int) -> Differences:
    """Its part in the mean, of which it is one of so many equal shares."""
    return replace(of, values_SP=of.values_SP / share)


def _half(parts: Sequence[Part]) -> float:
    """Half a 95 % interval of a sum, from the variances of its parts and their degrees."""
    total = sum(variance for variance, _ in parts)
    degrees = 1 / sum((variance / total) ** 2 / free for variance, free in parts)
    return float(stats.t.ppf(0.975, degrees)) * math.sqrt(total)


def _over_seeds(settings: Sequence[Mapping[str, Differences]]) -> Part:
    """Variance of the mean over seeds."""
    means = [
        np.mean([of.values_SP.mean(axis=1) for of in splits.values()], axis=0)
        for splits in settings
    ]
    if _same_seeds([of for splits in settings for of in splits.values()]):
        return _of_mean(np.mean(means, axis=0))
    variance, degrees = _as_if_common([_of_mean(means_S) for means_S in means])
    return variance / len(settings) ** 2, degrees


def _of_mean(values_S: np.ndarray) -> Part:
    return float(values_S.var(ddof=1)) / values_S.size, values_S.size - 1


def _over_problems(weighed: Sequence[Differences]) -> list[Part]:
    """The same over problems, for each set of problems that settings have in common or alone."""
    found = []
    for problems in dict.fromkeys(of.problems for of in weighed):
        same = [of for of in weighed if of.problems == problems]
        if _same_seeds(same):
            summed_SP = np.sum([of.values_SP for of in same], axis=0)
            found.append(_over_families(replace(same[0], values_SP=summed_SP)))
        else:
            found.append(_as_if_common([_over_families(of) for of in same]))
    return found


def _same_seeds(several: Sequence[Differences]) -> bool:
    return len({of.seeds_S for of in several}) == 1


def _as_if_common(parts: Sequence[Part]) -> Part:
    """Of a sum whose parts go up and down together: standard errors add up."""
    return sum(math.sqrt(variance) for variance, _ in parts) ** 2, min(free for _, free in parts)


def _over_families(of: Differences) -> Part:
    """Variance over families of problems, without what seeds and families have in common."""
    num_seeds, num_problems = of.values_SP.shape
    families, places_P, sizes_F = np.unique(of.families_P, return_inverse=True, return_counts=True)
    # What each family adds to a seed's share in the mean, away from the mean itself.
    away_SP = (of.values_SP - of.values_SP.mean()) / of.values_SP.size
    sums_SF = np.zeros((num_seeds, families.size))
    np.add.at(sums_SF.T, places_P, away_SP.T)
    by_family_F = sums_SF.sum(axis=0)
    by_seed_S1 = sums_SF.sum(axis=1, keepdims=True)
    left_SF = sums_SF - by_seed_S1 * sizes_F / num_problems - by_family_F / num_seeds
    free = families.size - 1
    variance = float((by_family_F**2).sum()) * families.size / free
    both = float((left_SF**2).sum()) * left_SF.size / ((num_seeds - 1) * free)
    return max(0.0, variance - both), free
