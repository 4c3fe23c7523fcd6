"""What ranks report of a step, and how reports become the numbers of the whole batch.

Sums and maxima only: a mean is taken once, over everything.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

MAX_LOG_RATIOS = 65_536  # of one rank and update, for the quantiles
QUANTILES = (0.01, 0.5, 0.99)
OF_ROLLOUTS = (
    "entropy", "clip_fraction_low", "clip_fraction_high", "logprob_difference_mean",
    "logprob_difference_max", "kl_reference",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Passes:
    """What one rank's forward and backward passes of one update went over."""

    num_read_tokens: int  # of sequences: what had to be computed
    num_computed_tokens: int  # with padding and fill-ins
    lowered_budget: int | None  # tokens of a micro-batch from now on; None: as the recipe says


@dataclass(frozen=True, slots=True, kw_only=True)
class SFTReport:
    """One rank's share of one supervised step; `grad_norm` is that of all ranks together."""

    loss: float
    grad_norm: float
    learning_rate: float
    num_trained_tokens: int
    passes: Passes
    seconds: float  # of everything


@dataclass(frozen=True, slots=True, kw_only=True)
class CriticReport:
    """One rank's share of one update of the critic. Sums are over tokens that the policy drew
    itself; an error is a return minus the value before the step.
    """

    loss: float
    num_tokens: int
    return_sum: float
    return_square_sum: float
    error_sum: float
    error_square_sum: float
    grad_norm: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyReport:
    """One rank's share of one optimizer update. The `_sum` fields are over its trained tokens that
    the policy drew itself.
    """

    loss: float
    entropy_sum: float
    clipped_low: int
    clipped_high: int
    logprob_difference_sum: float  # |learner - rollout|
    logprob_difference_max: float
    kl_sum: float | None  # None where no reference is kept
    correction_sum: float  # of the factors for the mismatch of engine and learner, 1 without any
    correction_square_sum: float
    corrected: int  # tokens whose factor is not 1
    supervised_tokens: int
    own_tokens: int  # that the policy drew itself, and that weigh something
    log_ratios: np.ndarray  # (<= MAX_LOG_RATIOS,) learner - rollout
    grad_norm: float
    learning_rate: float
    num_trained_tokens: int
    num_tokens: int
    num_sequences: int
    passes: Passes
    seconds: float  # of the forward and backward passes
    critic: CriticReport | None = None


def merge_sft(reports: Sequence[SFTReport]) -> dict[str, float]:
    """Metrics of a supervised step; `loss` is the mean over trained tokens."""
    return {
        "loss": sum(report.loss for report in reports),
        "grad_norm": reports[0].grad_norm,
        "learning_rate": reports[0].learning_rate,
        "tokens": sum(report.num_trained_tokens for report in reports),
        "seconds": max(report.seconds for report in reports),
        **_merge_passes([report.passes for report in reports]),
    }


def merge_policy(reports: Sequence[Sequence[PolicyReport]]) -> dict[str, float]:
    """Metrics of a policy step from `reports[rank][update]`.

    Over several updates: `loss` and `grad_norm` are means of the updates, seconds are added, and
    everything else is over all tokens of the step. `tokens_per_second` counts prompts too.
    """
    updates = list(zip(*reports, strict=True))  # [update][rank]
    everything = [report for update in updates for report in update]
    trained = sum(report.num_trained_tokens for report in everything)
    supervised = sum(report.supervised_tokens for report in everything)
    own = max(1, sum(report.own_tokens for report in everything))
    tokens = sum(report.num_tokens for report in everything)
    seconds = sum(max(report.seconds for report in update) for update in updates)
    metrics = {
        "loss": sum(report.loss for report in everything) / len(updates),
        "grad_norm": sum(update[0].grad_norm for update in updates) / len(updates),
        "entropy": sum(report.entropy_sum for report in everything) / own,
        "clip_fraction_low": sum(report.clipped_low for report in everything) / own,
        "clip_fraction_high": sum(report.clipped_high for report in everything) / own,
        "logprob_difference_mean": sum(r.logprob_difference_sum for r in everything) / own,
        "logprob_difference_max": max(r.logprob_difference_max for r in everything),
        "learning_rate": everything[0].learning_rate,
        "trained_tokens": trained,
        "forward_backward_seconds": seconds,
        "tokens_per_second": tokens / seconds,
        "sequences": sum(report.num_sequences for report in everything),
        **_merge_passes([report.passes for report in everything]),
        **_mismatch(updates[0]),
        **_corrected(everything, own=own),
    }
    if supervised:
        metrics["supervised_tokens"] = supervised
    kl_sums = [report.kl_sum for report in everything if report.kl_sum is not None]
    if kl_sums:
        metrics["kl_reference"] = sum(kl_sums) / own
    if trained == supervised:  # nothing that the policy drew: a 0 would be drawn into its curves
        metrics = {name: value for name, value in metrics.items() if name not in OF_ROLLOUTS}
    return metrics | _merge_critic(updates)


def _merge_passes(passes: Sequence[Passes]) -> dict[str, float]:
    """`padding` is its share of the computed tokens; `micro_batch_tokens` is there where memory ran
    out: the lowest budget that any rank has come down to.
    """
    read = sum(each.num_read_tokens for each in passes)
    computed = sum(each.num_computed_tokens for each in passes)
    metrics = {"padding": 1 - read / max(1, computed)}
    lowered = [each.lowered_budget for each in passes if each.lowered_budget is not None]
    if lowered:
        metrics["micro_batch_tokens"] = min(lowered)
    return metrics


def _merge_critic(updates: Sequence[Sequence[PolicyReport]]) -> dict[str, float]:
    """`explained_variance` is 1 - Var[G - V] / Var[G] with the values V before the step: 1 for a
    critic that knows every return, 0 for one that knows their mean; left out where all are equal.
    """
    critics = [[r.critic for r in update if r.critic is not None] for update in updates]
    critics = [reports for reports in critics if reports]
    everything = [report for reports in critics for report in reports]
    num = sum(report.num_tokens for report in everything)
    if not num:
        return {}
    mean = sum(report.return_sum for report in everything) / num
    error = sum(report.error_sum for report in everything) / num
    metrics = {
        "value_loss": sum(report.loss for report in everything) / len(critics),
        "critic_grad_norm": sum(reports[0].grad_norm for reports in critics) / len(critics),
        "value_mean": mean - error,
        "return_mean": mean,
    }
    variance = sum(report.return_square_sum for report in everything) / num - mean**2
    if variance > 1e-12:
        unexplained = sum(report.error_square_sum for report in everything) / num - error**2
        metrics["explained_variance"] = 1 - unexplained / variance
    return metrics


def _mismatch(first: Sequence[PolicyReport]) -> dict[str, float]:
    """How far the engines' policy is from the learner's, by the first update of a step: in later
    ones the learner has moved away by itself.

    `mismatch_kl` estimates KL(rollout || learner) by k3 (see tailor_rl/algorithms/kl.py), in nats a
    token; the quantiles are of log(learner / rollout).
    """
    log_ratios = np.concatenate([report.log_ratios for report in first]).astype(np.float64)
    if not len(log_ratios):
        return {}
    low, middle, high = np.quantile(log_ratios, QUANTILES)
    ratios = np.exp(np.clip(log_ratios, -20, 20))
    return {
        "mismatch_kl": float(np.mean(ratios - 1 - log_ratios)),
        "log_ratio_q01": float(low),
        "log_ratio_q50": float(middle),
        "log_ratio_q99": float(high),
        "effective_share": float(np.sum(ratios) ** 2 / (len(ratios) * np.sum(ratios**2))),
    }


def _corrected(reports: Sequence[PolicyReport], *, own: int) -> dict[str, float]:
    """What the correction did, over all updates; nothing for a step of demonstrations alone."""
    factors = sum(report.correction_sum for report in reports)
    squares = sum(report.correction_square_sum for report in reports)
    if all(not len(report.log_ratios) for report in reports):
        return {}
    return {
        "correction_mean": factors / own,
        "corrected_effective_share": factors**2 / max(1e-30, own * squares),
        "corrected_share": sum(report.corrected for report in reports) / own,
    }
