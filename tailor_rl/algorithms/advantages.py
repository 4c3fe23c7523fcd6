"""Group-relative advantages."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def group_advantages(rewards_G: Sequence[float] | np.ndarray, *, eps: float = 1e-6) -> np.ndarray:
    """How much better each rollout did than its group: A_i = (R_i - mean(R)) / (std(R) + eps).

    DeepSeekMath (arXiv 2402.03300) section 4.1.2 and DAPO (arXiv 2503.14476) equation 9. `std` is
    that of the group itself (divided by G). Equal rewards give exact zeros, not noise over eps.

    Returns float32 (G,). Raises ValueError for an empty group or a reward that is no finite number.
    """
    rewards = np.asarray(rewards_G, dtype=np.float64)
    if rewards.ndim != 1 or rewards.size == 0:
        raise ValueError(f"a group is a non-empty list of rewards, not an array of {rewards.shape}")
    if not np.isfinite(rewards).all():
        raise ValueError(f"rewards must be finite numbers: {rewards.tolist()}")
    if rewards.min() == rewards.max():
        return np.zeros(rewards.size, dtype=np.float32)
    centred = rewards - rewards.mean()
    return np.asarray(centred / (rewards.std() + eps), dtype=np.float32)
