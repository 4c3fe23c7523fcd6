"""What ranks report of a step, and how reports become the numbers of the whole batch.

Sums and maxima only: a mean is taken once, over everything.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class SFTReport:
    """One rank's share of one supervised step; `grad_norm` is that of all ranks together."""

    loss: float
    grad_norm: float
    learning_rate: float
    num_trained_tokens: int
    seconds: float  # of everything


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyReport:
    """One rank's share of one optimizer update. The `_sum` fields are over its trained tokens."""

    loss: float
    entropy_sum: float
    clipped_low: int
    clipped_high: int
    logprob_difference_sum: float  # |learner - rollout|
    logprob_difference_max: float
    kl_sum: float | None  # None where no reference is kept
    grad_norm: float
    learning_rate: float
    num_trained_tokens: int
    num_tokens: int
    num_sequences: int
    seconds: float  # of the forward and backward passes


def merge_sft(reports: Sequence[SFTReport]) -> dict[str, float]:
    """Metrics of a supervised step; `loss` is the mean over trained tokens."""
    return {
        "loss": sum(report.loss for report in reports),
        "grad_norm": reports[0].grad_norm,
        "learning_rate": reports[0].learning_rate,
        "tokens": sum(report.num_trained_tokens for report in reports),
        "seconds": max(report.seconds for report in reports),
    }


def merge_policy(reports: Sequence[Sequence[PolicyReport]]) -> dict[str, float]:
    """Metrics of a policy step from `reports[rank][update]`.

    Over several updates: `loss` and `grad_norm` are means of the updates, seconds are added, and
    everything else is over all tokens of the step. `tokens_per_second` counts prompts too.
    """
    updates = list(zip(*reports, strict=True))  # [update][rank]
    everything = [report for update in updates for report in update]
    trained = sum(report.num_trained_tokens for report in everything)
    tokens = sum(report.num_tokens for report in everything)
    seconds = sum(max(report.seconds for report in update) for update in updates)
    metrics = {
        "loss": sum(report.loss for report in everything) / len(updates),
        "grad_norm": sum(update[0].grad_norm for update in updates) / len(updates),
        "entropy": sum(report.entropy_sum for report in everything) / trained,
        "clip_fraction_low": sum(report.clipped_low for report in everything) / trained,
        "clip_fraction_high": sum(report.clipped_high for report in everything) / trained,
        "logprob_difference_mean": sum(r.logprob_difference_sum for r in everything) / trained,
        "logprob_difference_max": max(r.logprob_difference_max for r in everything),
        "learning_rate": everything[0].learning_rate,
        "trained_tokens": trained,
        "forward_backward_seconds": seconds,
        "tokens_per_second": tokens / seconds,
        "sequences": sum(report.num_sequences for report in everything),
    }
    kl_sums = [report.kl_sum for report in everything if report.kl_sum is not None]
    if kl_sums:
        metrics["kl_reference"] = sum(kl_sums) / trained
    return metrics
