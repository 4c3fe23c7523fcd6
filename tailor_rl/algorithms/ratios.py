"""How much likelier the learner makes a token than the policy it is compared with.

Shapes: N trained tokens of a micro-batch, row by row; `sequences_N` numbers the row of each. A
micro-batch always holds whole sequences.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    import torch

MAX_LOG_RATIO = 20.0  # exp(20) is 5e8: beyond it float32 losses overflow before the clip can act
MAX_SEQUENCE_LOG_RATIO = 10.0

Ratio: TypeAlias = "Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]"


def token_ratio(
    learner_logprobs: torch.Tensor, proximal_logprobs: torch.Tensor, sequences_N: torch.Tensor
) -> torch.Tensor:
    """r_t = exp(learner_t - proximal_t): PPO (arXiv 1707.06347) section 3. (N,)."""
    difference = learner_logprobs - proximal_logprobs
    return difference.clamp(-MAX_LOG_RATIO, MAX_LOG_RATIO).exp()


def sequence_ratio(
    learner_logprobs: torch.Tensor, proximal_logprobs: torch.Tensor, sequences_N: torch.Tensor
) -> torch.Tensor:
    """The geometric mean of a sequence's token ratios, at each of its tokens. (N,).

    GSPO (arXiv 2507.18071) equations 7 and 14: its value is that of the sequence, its gradient goes
    through the token's own log-probability.
    """
    difference = (learner_logprobs - proximal_logprobs).detach()
    mean_N = sequence_means(difference, sequences_N)
    log_ratio = mean_N + learner_logprobs - learner_logprobs.detach()
    return log_ratio.clamp(-MAX_SEQUENCE_LOG_RATIO, MAX_SEQUENCE_LOG_RATIO).exp()


def sequence_sums(values_N: torch.Tensor, sequences_N: torch.Tensor) -> torch.Tensor:
    """The sum over a token's sequence, at each token. (N,)."""
    if not len(values_N):
        return values_N
    sums = values_N.new_zeros(int(sequences_N.max()) + 1)
    return sums.index_add(0, sequences_N, values_N)[sequences_N]


def sequence_means(values_N: torch.Tensor, sequences_N: torch.Tensor) -> torch.Tensor:
    """The mean over a token's sequence, at each token. (N,)."""
    counts_N = sequence_sums(values_N.new_ones(values_N.shape), sequences_N)
    return sequence_sums(values_N, sequences_N) / counts_N
