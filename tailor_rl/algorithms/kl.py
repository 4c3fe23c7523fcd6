"""Estimates of KL(learner || reference) from the tokens that the learner drew, and its coefficient.

Schulman, "Approximating KL divergence" (2020): k1 = log p - log q is unbiased and noisy, k2 is
biased and quiet, k3 is both unbiased and never negative. As a *loss* their gradients differ. In
expectation that of k1 vanishes, that of k2 is the gradient of KL(learner || reference), and that of
k3 is the gradient of KL(reference || learner), which leads to the same place by another way.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from tailor_rl.algorithms.ratios import MAX_LOG_RATIO

if TYPE_CHECKING:
    import torch

Estimate: TypeAlias = "Callable[[torch.Tensor, torch.Tensor], torch.Tensor]"


def k1(learner_logprobs: torch.Tensor, reference_logprobs: torch.Tensor) -> torch.Tensor:
    """learner - reference."""
    return learner_logprobs - reference_logprobs


def k2(learner_logprobs: torch.Tensor, reference_logprobs: torch.Tensor) -> torch.Tensor:
    """(learner - reference)^2 / 2."""
    return 0.5 * (learner_logprobs - reference_logprobs).square()


def k3(learner_logprobs: torch.Tensor, reference_logprobs: torch.Tensor) -> torch.Tensor:
    """exp(d) - d - 1 with d = reference - learner. DeepSeekMath (arXiv 2402.03300) equation 4."""
    difference = (reference_logprobs - learner_logprobs).clamp(-MAX_LOG_RATIO, MAX_LOG_RATIO)
    return difference.exp() - difference - 1.0


def penalties(
    estimate: Estimate, learner_BT: np.ndarray, reference_BT: np.ndarray, *, coefficient: float
) -> np.ndarray:
    """coefficient * KL of every token, to be taken off its reward. float32 (B, T)."""
    import torch

    values = estimate(torch.from_numpy(learner_BT), torch.from_numpy(reference_BT))
    return np.asarray(coefficient * values.numpy(), dtype=np.float32)


def adapted(coefficient: float, *, kl: float, target: float, num: int, horizon: int) -> float:
    """The next coefficient: larger where the KL is above its target.

    beta (1 + clip(kl / target - 1, -0.2, 0.2) num / horizon), `num` rollouts having been learnt
    from: Ziegler et al. (arXiv 1909.08593) section 2.2. A step of more rollouts than the horizon
    counts as one horizon: beyond five of them the coefficient would turn negative.
    """
    error = float(np.clip(kl / target - 1.0, -0.2, 0.2))
    return coefficient * (1.0 + error * min(1.0, num / horizon))
