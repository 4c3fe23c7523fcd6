"""The loss of each token that the policy drew, put together from the parts of an algorithm."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tailor_rl.algorithms.algorithm import Algorithm
from tailor_rl.algorithms.corrections import Preset

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, slots=True, kw_only=True)
class Objective:
    """Of N tokens, each (N,); `losses` and `kl` carry a gradient."""

    losses: torch.Tensor
    ratio: torch.Tensor
    factors: torch.Tensor  # of the correction; 1 where there is none
    kl: torch.Tensor | None  # to the reference, where there is one


def objective(
    algorithm: Algorithm,
    learner_logprobs: torch.Tensor,
    *,
    rollout_logprobs: torch.Tensor,
    proximal_logprobs: torch.Tensor | None,
    reference_logprobs: torch.Tensor | None,
    advantages: torch.Tensor,
    sequences_N: torch.Tensor,
    kl_coefficient: float,
    correction: Preset | None,
) -> Objective:
    """factor * clipping(ratio, A) + kl_coefficient * KL(learner || reference), token by token.

    Ratios are taken to `proximal_logprobs`, or to the rollout's where there are none. The factor is
    of proximal to rollout (of learner to rollout where there is no proximal), and leaves the KL
    alone. `kl_coefficient` is 0 where KL is a part of the reward.
    """
    proximal = rollout_logprobs if proximal_logprobs is None else proximal_logprobs
    ratio = algorithm.ratio(learner_logprobs, proximal, sequences_N)
    losses = algorithm.clipping(ratio, learner_logprobs, advantages, algorithm.clips)
    factors = rollout_logprobs.new_ones(rollout_logprobs.shape)
    if correction is not None:
        # The policy whose gradient is taken, against the one that drew the token.
        taken = learner_logprobs.detach() if proximal_logprobs is None else proximal_logprobs
        factors = correction.correct(taken - rollout_logprobs, sequences_N, correction.bounds)
        losses = factors * losses
    kl = None
    if reference_logprobs is not None:
        kl = algorithm.kl_estimate(learner_logprobs, reference_logprobs)
        losses = losses + kl_coefficient * kl
    return Objective(losses=losses, ratio=ratio, factors=factors, kl=kl)
