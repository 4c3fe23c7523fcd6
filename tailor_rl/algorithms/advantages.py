"""How much better each rollout did than others: one advantage a rollout, from outcome rewards.

Shapes: B rollouts; `groups_B` numbers the problem that each of them answers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

EPS = 1e-6


def group_advantages(rewards_G: Sequence[float] | np.ndarray, *, eps: float = EPS) -> np.ndarray:
    """How much better each rollout did than its group: A_i = (R_i - mean(R)) / (std(R) + eps).

    DeepSeekMath (arXiv 2402.03300) section 4.1.2 and DAPO (arXiv 2503.14476) equation 9. `std` is
    that of the group itself, divided by G: with Bessel's correction, as some others take it, the
    advantages would be smaller by sqrt((G - 1) / G). Equal rewards give exact zeros, not noise over
    eps.

    Returns float32 (G,). Raises ValueError for an empty group or a reward that is no finite number.
    """
    rewards = _checked(rewards_G)
    if rewards.min() == rewards.max():
        return np.zeros(rewards.size, dtype=np.float32)
    return np.asarray((rewards - rewards.mean()) / (rewards.std() + eps), dtype=np.float32)


def centred_advantages(rewards_G: Sequence[float] | np.ndarray) -> np.ndarray:
    """A_i = R_i - mean(R): Dr. GRPO (arXiv 2503.20783) section 3, which divides by no deviation."""
    rewards = _checked(rewards_G)
    if rewards.min() == rewards.max():
        return np.zeros(rewards.size, dtype=np.float32)
    return np.asarray(rewards - rewards.mean(), dtype=np.float32)


def leave_one_out_advantages(rewards_G: Sequence[float] | np.ndarray) -> np.ndarray:
    """A_i = R_i - mean of the others: RLOO (arXiv 2402.14740) equation 8.

    G / (G - 1) times the centred advantage. A rollout without others has none to be compared with:
    its advantage is 0.
    """
    rewards = _checked(rewards_G)
    if rewards.size == 1:
        return np.zeros(1, dtype=np.float32)
    return np.asarray(
        centred_advantages(rewards) * (rewards.size / (rewards.size - 1)), dtype=np.float32
    )


def maximum_likelihood_advantages(rewards_G: Sequence[float] | np.ndarray) -> np.ndarray:
    """A_i = (R_i - mean(R)) / mean(R): MaxRL (arXiv 2602.02710).

    With rewards of 0 and 1 its mean estimates the gradient of log pass-rate instead of that of the
    pass rate: rare successes count more. A reward stands for a probability of success, so one below
    0 (a punished length) counts as 0: a mean near 0 of both signs would blow the others up. With
    that, -1 <= A <= G - 1. Equal rewards give zeros, so a group without a success does.
    """
    rewards = np.maximum(_checked(rewards_G), 0.0)
    if rewards.min() == rewards.max():
        return np.zeros(rewards.size, dtype=np.float32)
    return np.asarray((rewards - rewards.mean()) / rewards.mean(), dtype=np.float32)


def per_group(
    advantages_of: Callable[[np.ndarray], np.ndarray], rewards_B: np.ndarray, groups_B: np.ndarray
) -> np.ndarray:
    """Apply a function of one group's rewards to each group of a batch. Returns float32 (B,)."""
    advantages_B = np.zeros(len(rewards_B), dtype=np.float32)
    for group in np.unique(groups_B):
        members = groups_B == group
        advantages_B[members] = advantages_of(rewards_B[members])
    return advantages_B


def _checked(rewards_G: Sequence[float] | np.ndarray) -> np.ndarray:
    rewards = np.asarray(rewards_G, dtype=np.float64)
    if rewards.ndim != 1 or rewards.size == 0:
        raise ValueError(f"a group is a non-empty list of rewards, not an array of {rewards.shape}")
    if not np.isfinite(rewards).all():
        raise ValueError(f"rewards must be finite numbers: {rewards.tolist()}")
    return rewards
