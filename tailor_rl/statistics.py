"""Figures with honest intervals. Numpy only; knows nothing about tasks, engines or files."""

from __future__ import annotations

import math

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


def bootstrap_interval(values_P: np.ndarray, *, seed: int, num_resamples: int = 2_000) -> Interval:
    """The mean over problems with its 95 % percentile-bootstrap interval (Efron, 1979).

    Problems are resampled, not samples: those of one problem are not independent of each other.
    """
    values_P = np.asarray(values_P, dtype=np.float64)
    num = values_P.size
    if num == 0:
        raise ValueError("a mean over no problems has no interval; give at least one value")
    rng = np.random.default_rng(seed)
    chunks = [  # not all at once: that would take num_resamples * num * 8 bytes
        values_P[rng.integers(0, num, size=(min(100, num_resamples - start), num))].mean(axis=1)
        for start in range(0, num_resamples, 100)
    ]
    means = np.concatenate(chunks)
    low, high = np.percentile(means, [2.5, 97.5])
    return Interval(float(values_P.mean()), float(low), float(high))


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
