"""Per-token losses. The caller weighs and sums them: see aggregation.py.

All arguments have one common shape, usually (N,): the N trained tokens of a micro-batch.
"""

from __future__ import annotations

import torch

MAX_LOG_RATIO = 20.0  # exp(20) is 5e8: beyond it float32 losses overflow before the clip can act


def clipped_losses(
    learner_logprobs: torch.Tensor,
    rollout_logprobs: torch.Tensor,
    *,
    advantages: torch.Tensor,
    clip_low: float,
    clip_high: float,
) -> torch.Tensor:
    """-min(r A, clip(r, 1 - clip_low, 1 + clip_high) A), with r = exp(learner - rollout).

    PPO (arXiv 1707.06347) equation 7 with the decoupled clips of DAPO (arXiv 2503.14476)
    equation 10. The denominator of r is the distribution that the tokens were drawn from, so the
    clip also bounds what stale rollouts can do.
    """
    ratio = _ratio(learner_logprobs, rollout_logprobs)
    clipped = ratio.clamp(1.0 - clip_low, 1.0 + clip_high)
    return -torch.minimum(ratio * advantages, clipped * advantages)


def clipped_tokens(
    learner_logprobs: torch.Tensor,
    rollout_logprobs: torch.Tensor,
    *,
    advantages: torch.Tensor,
    clip_low: float,
    clip_high: float,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Which tokens `clipped_losses` gives no gradient: (held from below, held from above), bool.

    From below: A < 0 and r < 1 - clip_low. From above: A > 0 and r > 1 + clip_high.
    """
    ratio = _ratio(learner_logprobs, rollout_logprobs)
    low = (advantages < 0) & (ratio < 1.0 - clip_low)
    high = (advantages > 0) & (ratio > 1.0 + clip_high)
    return low, high


def kl_k3(learner_logprobs: torch.Tensor, reference_logprobs: torch.Tensor) -> torch.Tensor:
    """exp(d) - d - 1 with d = reference - learner: estimates KL(learner || reference).

    Unbiased for tokens drawn from the learner, and never negative. DeepSeekMath (arXiv
    2402.03300) equation 4; Schulman, "Approximating KL divergence" (2020), k3.
    """
    difference = (reference_logprobs - learner_logprobs).clamp(-MAX_LOG_RATIO, MAX_LOG_RATIO)
    return difference.exp() - difference - 1.0


def _ratio(learner_logprobs: torch.Tensor, rollout_logprobs: torch.Tensor) -> torch.Tensor:
    difference = learner_logprobs - rollout_logprobs
    return difference.clamp(-MAX_LOG_RATIO, MAX_LOG_RATIO).exp()
