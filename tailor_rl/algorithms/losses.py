"""Per-token losses from ratios and advantages. The caller weighs and sums them: aggregation.py.

All tensors have one common shape, usually (N,): the N trained tokens of a micro-batch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, slots=True, kw_only=True)
class Clips:
    """The bounds 1 - low and 1 + high; `dual` bounds what a bad token can cost, None where nothing
    does.
    """

    low: float
    high: float
    dual: float | None = None


NO_CLIPS = Clips(low=inf, high=inf)
Clipping: TypeAlias = "Callable[[torch.Tensor, torch.Tensor, torch.Tensor, Clips], torch.Tensor]"


def ppo(
    ratio: torch.Tensor, learner_logprobs: torch.Tensor, advantages: torch.Tensor, clips: Clips
) -> torch.Tensor:
    """-min(r A, clip(r, 1 - low, 1 + high) A), for A < 0 at most dual |A|.

    PPO (arXiv 1707.06347) equation 7 with the decoupled clips of DAPO (arXiv 2503.14476) equation
    10, and the dual clip of Ye et al. (arXiv 1912.09729) equation 5.
    """
    clipped = ratio.clamp(1.0 - clips.low, 1.0 + clips.high)
    gains = (ratio * advantages).minimum(clipped * advantages)
    if clips.dual is not None:
        gains = gains.maximum(clips.dual * advantages).where(advantages < 0, gains)
    return -gains


def cispo(
    ratio: torch.Tensor, learner_logprobs: torch.Tensor, advantages: torch.Tensor, clips: Clips
) -> torch.Tensor:
    """-sg(clip(r, 1 - low, 1 + high)) A log p: every token keeps a gradient, its weight is clipped.

    CISPO, MiniMax-M1 (arXiv 2506.13585) equations 4 and 5. `low` >= 1 bounds nothing from below;
    `dual` is not used: `high` bounds bad tokens as well.
    """
    weight = ratio.detach().clamp(max(0.0, 1.0 - clips.low), 1.0 + clips.high)
    return -weight * advantages * learner_logprobs


def unclipped(
    ratio: torch.Tensor, learner_logprobs: torch.Tensor, advantages: torch.Tensor, clips: Clips
) -> torch.Tensor:
    """-r A: REINFORCE (Williams 1992) with importance sampling, and no clip.

    Of unbounded variance where rollouts are stale: a bound comes from a correction, or not at all.
    """
    return -ratio * advantages


def held(
    ratio: torch.Tensor, advantages: torch.Tensor, clips: Clips
) -> tuple[torch.Tensor, torch.Tensor]:
    """Which tokens a clip holds: (from below, from above), bool.

    From below: A < 0 and r < 1 - low. From above: A > 0 and r > 1 + high, or, where the dual clip
    acts, A < 0 and r > dual. With `ppo` they get no gradient, with `cispo` (which knows no sign,
    but is measured alike) a bounded weight.
    """
    low = (advantages < 0) & (ratio < 1.0 - clips.low)
    high = (advantages > 0) & (ratio > 1.0 + clips.high)
    if clips.dual is not None:
        high = high | ((advantages < 0) & (ratio > clips.dual))
    return low, high


def value_losses(
    values: torch.Tensor, old_values: torch.Tensor, returns: torch.Tensor, *, clip: float | None
) -> torch.Tensor:
    """(V - G)^2 / 2, the larger of that and of V held within `clip` of its old value.

    As in the reference implementation of PPO; see Huang et al., "The 37 implementation details of
    proximal policy optimization" (2022), detail 9. `clip=None`: no clip.
    """
    losses = (values - returns).square()
    if clip is not None:
        near = old_values + (values - old_values).clamp(-clip, clip)
        losses = losses.maximum((near - returns).square())
    return 0.5 * losses
