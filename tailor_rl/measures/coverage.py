"""Thinking-token coverage: which pieces of reasoning a set of traces has, and how evenly.

A piece is an n-gram of words without the problem's content (words.abstracted). Numpy only.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

N = 3  # words of a piece: long enough to be a move, short enough to come again

Gram = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Coverage:
    """The pieces of a set and how often each occurs."""

    counts: Counter[Gram]
    total: int

    @classmethod
    def of(cls, abstract: Iterable[Sequence[str]], *, n: int = N) -> Coverage:
        """Pieces do not reach from one trace into the next."""
        counts = Counter(
            tuple(found[i : i + n]) for found in abstract for i in range(len(found) - n + 1)
        )
        return cls(counts, counts.total())

    @property
    def distinct(self) -> int:
        return len(self.counts)

    @property
    def entropy_bits(self) -> float:
        """-sum_g p_g log2 p_g over the pieces (Shannon, 1948); 0 for none."""
        if not self.total:
            return 0.0
        shares = np.fromiter(self.counts.values(), dtype=np.float64) / self.total
        return max(0.0, float(-(shares * np.log2(shares)).sum()))

    def distinct_at(self, budget: int) -> float:
        """Distinct pieces to be expected among `budget` pieces drawn without replacement
        (rarefaction: Hurlbert, 1971, eq. 4), so that sets of different sizes compare.

        sum_g (1 - C(M - c_g, m) / C(M, m)) for M pieces of which m are drawn. ValueError where the
        set has fewer.
        """
        if not 0 <= budget <= self.total:
            raise ValueError(f"cannot draw {budget} pieces of {self.total}")
        expected = 0.0
        for count, num in Counter(self.counts.values()).items():
            expected += num * (1.0 - _none_drawn(self.total, count, budget))
        return expected

    def share_in(self, other: Coverage) -> float:
        """The share of this set's distinct pieces that `other` has too; 1 where there is none."""
        if not self.counts:
            return 1.0
        return sum(gram in other.counts for gram in self.counts) / len(self.counts)


def _none_drawn(total: int, count: int, budget: int) -> float:
    """C(total - count, budget) / C(total, budget), by logarithms, which do not overflow."""
    left = total - count
    if budget > left:
        return 0.0
    log = _log_choose(left, budget) - _log_choose(total, budget)
    return math.exp(min(log, 0.0))


def _log_choose(num: int, chosen: int) -> float:
    return math.lgamma(num + 1) - math.lgamma(chosen + 1) - math.lgamma(num - chosen + 1)
