"""The loss of a micro-batch in RL, and what is measured of it, given its log-probabilities."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from learners.forward import TrainedTokens
from learners.packing import Shard
from learners.policy_step import _loss
from learners.settings import PolicyLoss
from tailor_rl.config.learning import RLConfig

MASK = np.array([[0, 1, 1], [0, 1, 0], [0, 1, 1]], dtype=np.bool_)
LOGPROBS = torch.tensor([-1.0, -2.0, -0.5, -3.0, -0.25])
ENTROPIES = torch.tensor([0.5, 0.25, 1.0, 4.0, 2.0])


def column(*values: float) -> np.ndarray:
    made = np.zeros(MASK.shape, dtype=np.float32)
    made[MASK] = values
    return made


def shard(**changes: Any) -> Shard:
    parts: dict[str, Any] = {
        "tokens": np.ones(MASK.shape, dtype=np.int64),
        "mask": MASK,
        "rollout_logprobs": column(*LOGPROBS.tolist()),
        "advantages": column(1, 1, -2, 3, 3),
        "weights": column(0.1, 0.1, 0.2, 0.5, 0.5),
        "lengths": np.array([3, 2, 3]),
        "rows": np.arange(3),
    }
    return Shard(**{**parts, **changes})


def loss_of(
    micro: Shard, *, kl_coefficient: float = 0.0, **rl: Any
) -> tuple[float, list[float], list[float], list[float]]:
    """(loss, its gradient with respect to log-probabilities, sums, log-ratios)."""
    logprobs = LOGPROBS.clone().requires_grad_()
    tokens = TrainedTokens(
        logprobs=logprobs, entropies=ENTROPIES, sequences=torch.tensor([0, 0, 1, 2, 2])
    )
    value, row, log_ratios = _loss(
        micro, tokens, PolicyLoss.of(RLConfig(**rl), kl_coefficient=kl_coefficient)
    )
    (gradient,) = torch.autograd.grad(value, logprobs)
    return value.item(), gradient.tolist(), row.tolist(), log_ratios.tolist()


def test_the_loss_of_fresh_rollouts_worked_by_hand() -> None:
    loss, gradient, _, log_ratios = loss_of(shard())
    # -sum weight x A, each ratio being 1.
    assert loss == pytest.approx(-(0.1 + 0.1 - 0.4 + 1.5 + 1.5))
    assert gradient == pytest.approx([-0.1, -0.1, 0.4, -1.5, -1.5])
    assert log_ratios == [0.0] * 5


def test_demonstrated_rows_are_learnt_by_cross_entropy_whatever_their_advantages() -> None:
    micro = shard(supervised=np.array([False, False, True]))
    loss, gradient, sums, log_ratios = loss_of(micro)
    assert loss == pytest.approx(0.2 + 0.5 * 3.0 + 0.5 * 0.25)
    assert gradient == pytest.approx([-0.1, -0.1, 0.4, -0.5, -0.5])
    assert sums[1] == pytest.approx(0.5 + 0.25 + 1.0)  # entropy of the policy's own tokens alone
    assert sums[9] == 2  # demonstrated tokens
    assert len(log_ratios) == 3


def test_an_entropy_bonus_lowers_the_loss_of_the_policys_own_tokens() -> None:
    micro = shard(supervised=np.array([False, False, True]))
    bonus = 0.1 * 0.5 + 0.1 * 0.25 + 0.2 * 1.0
    plain, *_ = loss_of(micro)
    loss, *_ = loss_of(micro, entropy_coefficient=0.3)
    assert loss == pytest.approx(plain - 0.3 * bonus)


def test_kl_is_measured_without_a_coefficient_and_added_with_one() -> None:
    micro = shard(reference_logprobs=column(*(LOGPROBS - 0.5).tolist()))
    plain, _, sums, _ = loss_of(micro, algorithm="rloo")
    assert sums[5] == pytest.approx(5 * 0.5)  # k1
    loss, *_ = loss_of(micro, algorithm="grpo", kl_estimate="k2", kl_coefficient=2.0)
    assert loss == pytest.approx(plain + 2.0 * 1.4 * 0.125)


def test_held_tokens_are_counted_by_side_and_weights_of_a_correction_by_their_effect() -> None:
    ratios = torch.tensor([1.5, 1.0, 0.5, 3.0, 1.0])
    micro = shard(
        proximal_logprobs=column(*(LOGPROBS - ratios.log()).tolist()),
        rollout_logprobs=column(*(LOGPROBS - ratios.log() - torch.log(ratios)).tolist()),
    )
    loss, gradient, sums, _ = loss_of(micro, logprobs="recomputed", correction="token_is")
    assert (sums[2], sums[3]) == (1, 2)  # A < 0 at 0.5; A > 0 at 1.5 and 3
    factors = [1.5, 1.0, 0.5, 2.0, 1.0]
    assert sums[6] == pytest.approx(sum(factors))
    assert sums[7] == pytest.approx(sum(factor**2 for factor in factors))
    assert sums[8] == 3
    # 1.28 and 0.8 where a clip holds.
    expected = 0.15 * 1.28 + 0.1 - 0.2 * 0.5 * 2 * 0.8 + 0.5 * 2 * 3 * 1.28 + 1.5
    assert loss == pytest.approx(-expected, rel=1e-5)
    assert gradient == pytest.approx([0, -0.1, 0, 0, -1.5])


def test_a_token_of_weight_0_is_in_no_figure() -> None:
    micro = shard(weights=column(0.1, 0.1, 0.2, 0, 0))
    loss, gradient, sums, log_ratios = loss_of(micro)
    assert loss == pytest.approx(0.2)
    assert gradient[3:] == [0, 0]
    assert sums[1] == pytest.approx(1.75)
    assert len(log_ratios) == 3
