"""Figures with honest intervals. Numpy only; knows nothing about tasks, engines or files."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np

from tailor_rl.types import Interval

Z_95 = 1.959963984540054  # the 97.5th percentile of the standard normal


def wilson_interval(successes: int, num: int) -> Interval:
    """A share of `num` independent yes/no trials with its 95 % score interval (Wilson, 1927, eq.
    1).

    With p = successes / num: centre (p + z^2/2n) / (1 + z^2/n), half width
    z / (1 + z^2/n) * sqrt(p(1-p)/n + z^2/4n^2). Unlike the normal interval it is never empty at 0
    or 1.
    """
    if not 0 <= successes <= num or num == 0:
        raise ValueError(f"{successes} successes of {num}: need 0 <= successes <= num and num > 0")
    share = successes / num
    scale = 1 + Z_95**2 / num
    centre = (share + Z_95**2 / (2 * num)) / scale
    half = Z_95 / scale * math.sqrt(share * (1 - share) / num + Z_95**2 / (4 * num**2))
    # At 0 and 1 the formula meets the share itself: rounding must not push the bound past it.
    return Interval(share, min(max(centre - half, 0.0), share), max(min(centre + half, 1.0), share))


def bootstrap_interval(
    values_P: np.ndarray,
    *,
    seed: int,
    families_P: Sequence[str] | None = None,
    num_resamples: int = 2_000,
) -> Interval:
    """The mean over problems with its 95 % percentile-bootstrap interval (Efron, 1979).

    Whole families are resampled (the cluster bootstrap: Davison & Hinkley, 1997, section 3.8):
    neither the samples of one problem nor problems that are the same up to renaming are independent
    of each other. Without `families_P` every problem is a family.
    """
    values_P = np.asarray(values_P, dtype=np.float64)
    if values_P.size == 0:
        raise ValueError("a mean over no problems has no interval; give at least one value")
    sums_F, counts_F = _by_family(values_P, families_P)
    num = sums_F.size
    rng = np.random.default_rng(seed)
    means: list[np.ndarray] = []
    for start in range(0, num_resamples, 100):  # not all at once: that would take much memory
        drawn = rng.integers(0, num, size=(min(100, num_resamples - start), num))
        means.append(sums_F[drawn].sum(axis=1) / counts_F[drawn].sum(axis=1))
    low, high = np.percentile(np.concatenate(means), [2.5, 97.5])
    return Interval(float(values_P.mean()), float(low), float(high))


def _by_family(
    values_P: np.ndarray, families_P: Sequence[str] | None
) -> tuple[np.ndarray, np.ndarray]:
    """Sums and sizes of families, in the order in which these first appear."""
    if families_P is None:
        return values_P, np.ones(values_P.size)
    place = {family: i for i, family in enumerate(dict.fromkeys(families_P))}
    index_P = np.array([place[family] for family in families_P])
    return np.bincount(index_P, weights=values_P), np.bincount(index_P)


def problem_interval(
    values_P: np.ndarray, *, families_P: Sequence[str], seed: int
) -> tuple[Interval, str]:
    """The interval of a mean over problems, and its name.

    "wilson" where every problem is a plain yes or no and none is another's sibling, or where all
    came out alike (there the bootstrap has no width; n is then the number of families), else
    "bootstrap".
    """
    values_P = np.asarray(values_P, dtype=np.float64)
    num_families = len(set(families_P))
    binary = np.isin(values_P, (0.0, 1.0)).all()
    if binary and (num_families == values_P.size or np.ptp(values_P) == 0):
        return wilson_interval(round(values_P.mean() * num_families), num_families), "wilson"
    return bootstrap_interval(values_P, seed=seed, families_P=families_P), "bootstrap"


def pass_at_k(num_samples: int, num_correct: int, k: int) -> float:
    """Chance that at least one of `k` samples is right, unbiased (Chen et al., arXiv 2107.03374,
    eq. 1).

    1 - C(n-c, k) / C(n, k), as a product, which does not overflow: 1 - prod_{i=n-c+1..n} (1 - k/i).
    """
    if not 1 <= k <= num_samples or not 0 <= num_correct <= num_samples:
        raise ValueError(
            f"pass@{k} of {num_correct} right in {num_samples} samples: "
            "need 1 <= k <= num_samples and 0 <= num_correct <= num_samples"
        )
    if num_samples - num_correct < k:
        return 1.0
    factors = 1.0 - k / np.arange(num_samples - num_correct + 1, num_samples + 1)
    return float(1.0 - np.prod(factors))


def difference_of_independent(first: Interval, second: Interval) -> Interval:
    """`second` minus `first`, of different problems, with its 95 % interval by "square and add"
    (Newcombe, 1998, method 10).

    low = d - sqrt((second - its low)^2 + (first's high - first)^2), high the other way round.
    """
    value = second.value - first.value
    down = math.hypot(second.value - second.low, first.high - first.value)
    up = math.hypot(second.high - second.value, first.value - first.low)
    return Interval(value, value - down, value + up)


def mcnemar_p(only_first: int, only_second: int) -> float:
    """Two-sided exact p of McNemar's test (1947): of the pairs in which just one of two was right,
    as many favour either as a fair coin would have it.

    With n = only_first + only_second: min(1, 2 * sum_{i <= min of the two} C(n, i) / 2^n). The
    pairs are taken to be independent of each other.
    """
    if min(only_first, only_second) < 0:
        raise ValueError(f"counts of pairs are never negative: {only_first}, {only_second}")
    num = only_first + only_second
    term = tail = 1  # C(num, 0); whole numbers do not overflow, however many pairs
    for i in range(min(only_first, only_second)):
        term = term * (num - i) // (i + 1)
        tail += term
    return min(1.0, 2 * tail / (1 << num))


def sign_flip_p(
    differences_P: np.ndarray, *, families_P: Sequence[str], seed: int, num_flips: int = 10_000
) -> float:
    """Two-sided p of the sign-flip permutation test (Fisher, 1935; Pitman, 1937): if
    two policies are alike, the sum of each family's differences is as likely to have either sign.

    Whole families are flipped, since problems within one depend on each other. All flips are
    tried where these are no more than `num_flips`, else as many random ones, of which p is
    (1 + those as extreme) / (1 + num_flips) and never 0 (Phipson & Smyth, 2010).
    """
    sums_F, _ = _by_family(np.asarray(differences_P, dtype=np.float64), families_P)
    sums_F = sums_F[sums_F != 0]  # flipping a zero changes nothing
    observed = abs(sums_F.sum()) - 1e-9  # sums in another order differ by rounding
    if 2**sums_F.size <= num_flips:
        signs = np.array(list(itertools.product((-1.0, 1.0), repeat=sums_F.size)))
        return float(np.mean(np.abs(signs @ sums_F) >= observed))
    rng = np.random.default_rng(seed)
    extreme = 0
    for start in range(0, num_flips, 500):  # not all at once: that would take much memory
        size = (min(500, num_flips - start), sums_F.size)
        totals = np.where(rng.integers(0, 2, size=size, dtype=np.int8) > 0, sums_F, -sums_F)
        extreme += int((np.abs(totals.sum(axis=1)) >= observed).sum())
    return (1 + extreme) / (1 + num_flips)
