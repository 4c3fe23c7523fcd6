"""What to do about tokens that the learner would have drawn with another probability.

Engines and learners compute the same weights with other kernels and precisions, and rollouts may be
stale: so the policy that drew a token (rollout) is not the one whose gradient is taken (proximal).
Everything here is a function of their log-ratio, detached: weights that multiply the loss, in which
the normalisers are left alone (a token of weight 0 is trained on, with no gradient).

Shapes: N trained tokens, row by row; `sequences_N` numbers the row of each; whole sequences only.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from tailor_rl.algorithms.ratios import MAX_LOG_RATIO, sequence_means, sequence_sums

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    low: float  # of the ratio proximal / rollout
    high: float


Correction: TypeAlias = "Callable[[torch.Tensor, torch.Tensor, Bounds], torch.Tensor]"


def token_truncated(
    log_ratio_N: torch.Tensor, sequences_N: torch.Tensor, bounds: Bounds
) -> torch.Tensor:
    """min(rho_t, high): truncated importance sampling per token; `low` is not used.

    Biased, of bounded variance: what is truncated is the correction, not the token. Espeholt et al.
    (arXiv 1802.01561) section 4.1; Yao et al., "Your efficient RL framework secretly brings you
    off-policy RL training" (2025).
    """
    return _exp(log_ratio_N).clamp(max=bounds.high)


def sequence_truncated(
    log_ratio_N: torch.Tensor, sequences_N: torch.Tensor, bounds: Bounds
) -> torch.Tensor:
    """min(prod_t rho_t, high) at every token of a sequence: unbiased but for the truncation, and of
    a variance that grows with the length.
    """
    return _exp(sequence_sums(log_ratio_N, sequences_N)).clamp(max=bounds.high)


def token_masked(
    log_ratio_N: torch.Tensor, sequences_N: torch.Tensor, bounds: Bounds
) -> torch.Tensor:
    """rho_t where low <= rho_t <= high, else 0: double-sided masking, IcePop, Ring-1T (arXiv
    2510.18855).
    """
    ratio = _exp(log_ratio_N)
    return ratio.where((ratio >= bounds.low) & (ratio <= bounds.high), 0.0)


def sequence_masked(
    log_ratio_N: torch.Tensor, sequences_N: torch.Tensor, bounds: Bounds
) -> torch.Tensor:
    """1 at every token of a sequence whose geometric mean ratio lies within the bounds, else 0:
    rejection of whole sequences, which says nothing about those that stay.
    """
    ratio = _exp(sequence_means(log_ratio_N, sequences_N))
    return ((ratio >= bounds.low) & (ratio <= bounds.high)).to(log_ratio_N.dtype)


def _exp(log_ratio: torch.Tensor) -> torch.Tensor:
    return log_ratio.clamp(-MAX_LOG_RATIO, MAX_LOG_RATIO).exp()


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """A correction with its bounds, and what has to hold for it to be right."""

    correct: Correction
    bounds: Bounds
    assumes: str
    needs_recomputed: bool  # weights of a ratio that is in the loss already would count it twice
    uses_low: bool  # whether the lower bound means anything


PRESETS: dict[str, Preset] = {
    "token_is": Preset(
        correct=token_truncated,
        bounds=Bounds(low=0.0, high=2.0),
        assumes="a token's ratio matters, that of the tokens before it does not",
        needs_recomputed=True,
        uses_low=False,
    ),
    "sequence_is": Preset(
        correct=sequence_truncated,
        bounds=Bounds(low=0.0, high=2.0),
        assumes="ratios multiply to something near 1 over a whole sequence: short answers",
        needs_recomputed=True,
        uses_low=False,
    ),
    "icepop": Preset(
        correct=token_masked,
        bounds=Bounds(low=0.5, high=5.0),
        assumes="a token far off is noise of the engine, better left out than truncated",
        needs_recomputed=True,
        uses_low=True,
    ),
    "sequence_mask": Preset(
        correct=sequence_masked,
        bounds=Bounds(low=0.99, high=1.01),
        assumes="a sequence that is off on average came from another policy, and is left out",
        needs_recomputed=False,
        uses_low=True,
    ),
}
