"""Advantage estimators: from the outcome of a batch to an advantage of every token.

Each is one function of an `Outcome`. Those of outcome rewards give all tokens of a rollout the same
advantage; a KL penalty in the reward is added up over the rollout for them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tailor_rl.algorithms.advantages import (
    centred_advantages,
    group_advantages,
    leave_one_out_advantages,
    maximum_likelihood_advantages,
    per_group,
)
from tailor_rl.algorithms.returns import discounted_returns, gae, token_rewards, whiten


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a batch of B rollouts came to.

    `penalties_BT` is beta times the KL estimate of each token where KL is a part of the reward,
    else zeros; `values_BT` is the critic's, where there is one.
    """

    rewards_B: np.ndarray  # (B,) float
    groups_B: np.ndarray  # (B,) int64: the same number, the same problem
    mask_BT: np.ndarray  # (B, T) bool: the tokens of the completions
    penalties_BT: np.ndarray  # (B, T) float32
    values_BT: np.ndarray | None  # (B, T) float32
    gamma: float
    lam: float

    @property
    def totals_B(self) -> np.ndarray:
        """The reward of each rollout with its penalties."""
        return np.asarray(self.rewards_B - (self.penalties_BT * self.mask_BT).sum(axis=1))


@dataclass(frozen=True, slots=True)
class Advantages:
    advantages_BT: np.ndarray  # (B, T) float32, 0 outside the mask
    returns_BT: np.ndarray | None = None  # (B, T) float32: what a critic is trained towards


Estimator = Callable[[Outcome], Advantages]


def group_normalised(outcome: Outcome) -> Advantages:
    """(R - mean) / std of the group: GRPO, DAPO."""
    return _spread(outcome, group_advantages)


def group_centred(outcome: Outcome) -> Advantages:
    """R - mean of the group: Dr. GRPO."""
    return _spread(outcome, centred_advantages)


def leave_one_out(outcome: Outcome) -> Advantages:
    """R - mean of the others of the group: RLOO."""
    return _spread(outcome, leave_one_out_advantages)


def maximum_likelihood(outcome: Outcome) -> Advantages:
    """(R - mean) / mean of the group: MaxRL."""
    return _spread(outcome, maximum_likelihood_advantages)


def whitened_returns(outcome: Outcome) -> Advantages:
    """Returns of the penalised token rewards, normalised over the batch: REINFORCE++."""
    rewards_BT = token_rewards(outcome.rewards_B, outcome.penalties_BT, outcome.mask_BT)
    returns_BT = discounted_returns(rewards_BT, outcome.mask_BT, gamma=outcome.gamma)
    return Advantages(whiten(returns_BT, outcome.mask_BT))


def whitened_group_centred(outcome: Outcome) -> Advantages:
    """R - mean of the group, then normalised over the tokens of the batch: REINFORCE++-baseline.

    As published: where lengths differ, the mean over tokens is not 0, and a group of equal rewards
    gets the small advantage that is left when it is taken off.
    """
    centred = group_centred(outcome).advantages_BT
    return Advantages(whiten(centred, outcome.mask_BT))


def generalised(outcome: Outcome) -> Advantages:
    """GAE over a critic's values, normalised over the batch, as PPO is commonly run; returns are
    those before the normalisation plus the values.
    """
    if outcome.values_BT is None:
        raise ValueError("generalised advantages need the values of a critic")
    rewards_BT = token_rewards(outcome.rewards_B, outcome.penalties_BT, outcome.mask_BT)
    advantages_BT = gae(
        rewards_BT, outcome.values_BT, outcome.mask_BT, gamma=outcome.gamma, lam=outcome.lam
    )
    returns_BT = np.where(outcome.mask_BT, advantages_BT + outcome.values_BT, 0.0)
    return Advantages(
        whiten(advantages_BT, outcome.mask_BT), np.asarray(returns_BT, dtype=np.float32)
    )


def _spread(outcome: Outcome, of_group: Callable[[np.ndarray], np.ndarray]) -> Advantages:
    advantages_B = per_group(of_group, outcome.totals_B, outcome.groups_B)
    return Advantages(np.where(outcome.mask_BT, advantages_B[:, None], np.float32(0.0)))
