"""An SFT method of one's own: tokens that the student already finds easy weigh less.

The weight of a token is (1 - p)^gamma, where p is what the student gives it: the focal loss of Lin
et al. (arXiv 1708.02002), equation 4, with no gradient through the weight.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tailor_rl.errors import ConfigError
from tailor_rl.methods.hooks import SFTMethod

if TYPE_CHECKING:
    import torch


class Focal(SFTMethod):
    def __init__(self, *, gamma: float = 1.0) -> None:
        if gamma < 0:
            raise ConfigError(f"sft.options.gamma={gamma} must not be below 0")
        self._gamma = gamma

    def token_weights(
        self,
        learner_logprobs_N: torch.Tensor,
        behaviour_logprobs_N: torch.Tensor,
        sequences_N: torch.Tensor,
    ) -> torch.Tensor:
        return (1 - learner_logprobs_N.exp()) ** self._gamma
