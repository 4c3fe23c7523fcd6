"""PEAR: importance-weighted SFT that prepares a policy for RL (arXiv 2602.01058).

RL will visit what the policy itself continues with, SFT trains on what others wrote. A token is
weighted by how much likelier the policy is than the writer to go on as the trace does:

    delta_t = clip(log pi_theta(y_t) - log pi_beta(y_t), delta_low, delta_high)
    token:     w_t = gamma^(T - t) * exp(sum over j > t of delta_j)
    block:     the same for all tokens of a block, from what follows the block
    sequence:  w = exp(sum of delta)

clipped to [weight_low, weight_high]; the loss is the mean over tokens of w_t * cross-entropy, with
no gradient through w.

Ours, where the paper is silent or cannot be followed:

- pi_beta. Teachers behind an API, and rules, tell no log-probabilities. `behaviour` names a model
  that stands for the writer: the most faithful one at hand is the student after plain SFT on the
  same set (checkpoints/sft of such a run), an estimate of the writer by behaviour cloning. Without
  one it is the student before SFT. That is exact where the student wrote the traces itself; for a
  teacher's it makes the weights say how far the policy has come towards the rest of the trace. All
  weights then begin at gamma^(T - t), near plain SFT, and where the traces are learnt fast those of
  early tokens soon stand at weight_high.
- T - t counts the trained tokens after t, of the block for `block`. Blocks are of `block_size`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

from tailor_rl.errors import ConfigError
from tailor_rl.methods.hooks import SFTMethod

if TYPE_CHECKING:
    import torch

Variant = Literal["token", "block", "sequence"]


class Pear(SFTMethod):
    needs_behaviour = True

    def __init__(
        self,
        *,
        variant: Variant = "token",
        behaviour: str = "",
        gamma: float = 0.999,
        delta_low: float = -0.08,
        delta_high: float = 0.3,
        weight_low: float = 0.1,
        weight_high: float = 10.0,
        block_size: int = 16,
    ) -> None:
        if variant not in get_args(Variant):
            raise ConfigError(
                f'sft.options.variant={variant!r} must be "token", "block" or "sequence"'
            )
        if not 0 < gamma <= 1:
            raise ConfigError(f"sft.options.gamma={gamma} must be more than 0 and at most 1")
        if not delta_low < 0 < delta_high:
            raise ConfigError(
                f"sft.options.delta_low={delta_low} and delta_high={delta_high} must lie on both "
                "sides of 0"
            )
        if not 0 < weight_low <= 1 <= weight_high:
            raise ConfigError(
                f"sft.options.weight_low={weight_low} and weight_high={weight_high} must lie on "
                "both sides of 1, above 0"
            )
        if block_size < 1:
            raise ConfigError(f"sft.options.block_size={block_size} must be at least 1")
        self.behaviour = behaviour
        self._variant = variant
        self._gamma = gamma
        self._deltas = (delta_low, delta_high)
        self._weights = (weight_low, weight_high)
        self._block_size = block_size

    def token_weights(
        self,
        learner_logprobs_N: torch.Tensor,
        behaviour_logprobs_N: torch.Tensor,
        sequences_N: torch.Tensor,
    ) -> torch.Tensor:
        import torch

        # Sums over many sequences lie behind each difference of two: float32 would lose digits.
        deltas_N = (learner_logprobs_N - behaviour_logprobs_N).double().clamp(*self._deltas)
        _, rows_N, lengths_S = torch.unique_consecutive(
            sequences_N, return_inverse=True, return_counts=True
        )
        ends_N = lengths_S.cumsum(0)[rows_N]  # one past the last token of each token's sequence
        sums_N = torch.cat([deltas_N.new_zeros(1), deltas_N.cumsum(0)])  # of the first n tokens
        here_N = torch.arange(len(deltas_N), device=deltas_N.device)
        if self._variant == "sequence":
            log_weights_N = sums_N[ends_N] - sums_N[ends_N - lengths_S[rows_N]]
        else:
            next_N = here_N + 1
            if self._variant == "block":
                starts_N = ends_N - lengths_S[rows_N]
                blocks_N = (here_N - starts_N) // self._block_size
                next_N = torch.minimum(starts_N + (blocks_N + 1) * self._block_size, ends_N)
            discounts_N = (ends_N - next_N) * torch.log(deltas_N.new_tensor(self._gamma))
            log_weights_N = discounts_N + sums_N[ends_N] - sums_N[next_N]
        weights_N = log_weights_N.exp().clamp(*self._weights)
        return weights_N.to(learner_logprobs_N.dtype)
