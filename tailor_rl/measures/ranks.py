"""Rank correlation of two series and how surprising it is. Numpy only."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np

NUM_PERMUTATIONS = 10_000


def rank_correlation(first: Sequence[float], second: Sequence[float]) -> float | None:
    """Spearman's rho (1904): Pearson's correlation of the ranks, ties sharing their mean rank.

    None where a series has one value only: it then ranks nothing. ValueError for two lengths.
    """
    if len(first) != len(second):
        raise ValueError(f"series of {len(first)} and {len(second)} values do not pair up")
    a, b = (_centred_ranks(series) for series in (first, second))
    if not a.any() or not b.any():
        return None
    return float(a @ b / math.sqrt((a @ a) * (b @ b)))


def permutation_p(
    first: Sequence[float],
    second: Sequence[float],
    *,
    seed: int,
    num_permutations: int = NUM_PERMUTATIONS,
) -> float:
    """Two-sided p of Spearman's rho under all pairings of the two series (Pitman, 1937).

    All are tried where these are no more than `num_permutations`, else as many random ones, of
    which p is (1 + those as extreme) / (1 + num_permutations) and never 0 (Phipson & Smyth, 2010).
    """
    a, b = (_centred_ranks(series) for series in (first, second))
    observed = abs(a @ b) - 1e-9  # sums in another order differ by rounding
    if math.factorial(len(a)) <= num_permutations:
        products = [abs(a @ b[list(order)]) for order in itertools.permutations(range(len(a)))]
        return float(np.mean(np.array(products) >= observed))
    rng = np.random.default_rng(seed)
    extreme = sum(bool(abs(a @ rng.permutation(b)) >= observed) for _ in range(num_permutations))
    return (1 + extreme) / (1 + num_permutations)


def _centred_ranks(series: Sequence[float]) -> np.ndarray:
    values = np.asarray(series, dtype=np.float64)
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    ranks = (last - (counts - 1) / 2)[place]
    return np.asarray(ranks - ranks.mean() if ranks.size else ranks)
