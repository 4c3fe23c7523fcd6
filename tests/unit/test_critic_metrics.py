"""What is reported of a critic: worked by hand, over ranks and updates."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from learners.metrics import CriticReport, PolicyReport, merge_policy
from tests.unit.test_learner_group import policy_report, shard_of


def report(returns: list[float], values: list[float], *, loss: float = 0.5) -> PolicyReport:
    """Of a rank and update that saw these returns, and these values before the step."""
    errors = np.array(returns) - np.array(values)
    critic = CriticReport(
        loss=loss,
        num_tokens=len(returns),
        return_sum=float(np.sum(returns)),
        return_square_sum=float(np.square(returns).sum()),
        error_sum=float(errors.sum()),
        error_square_sum=float(np.square(errors).sum()),
        grad_norm=2.0,
    )
    return replace(policy_report(shard_of([4])), critic=critic)


def test_variance_is_explained_over_the_tokens_of_all_ranks_and_updates_at_once() -> None:
    """Returns 0, 0, 1, 1 and values 0, 0, 1, 0: Var[G] = 1/4, Var[G - V] = 3/16."""
    metrics = merge_policy(
        [
            [report([0.0], [0.0]), report([1.0], [1.0])],
            [report([0.0], [0.0]), report([1.0], [0.0])],
        ]
    )
    assert metrics["explained_variance"] == pytest.approx(1 - (3 / 16) / (1 / 4))
    assert metrics["return_mean"] == pytest.approx(0.5)
    assert metrics["value_mean"] == pytest.approx(0.25)
    # Each rank's loss is its share of the update's: they add up, and updates are averaged.
    assert metrics["value_loss"] == pytest.approx((4 * 0.5) / 2)
    assert metrics["critic_grad_norm"] == 2.0


@pytest.mark.parametrize(
    ("values", "explained"),
    [([0.0, 1.0, 2.0], 1.0), ([1.0, 1.0, 1.0], 0.0), ([5.0, 6.0, 7.0], 1.0)],
)
def test_a_critic_that_knows_returns_up_to_a_constant_explains_them(
    values: list[float], explained: float
) -> None:
    metrics = merge_policy([[report([0.0, 1.0, 2.0], values)]])
    assert metrics["explained_variance"] == pytest.approx(explained)


def test_equal_returns_have_no_variance_to_explain() -> None:
    metrics = merge_policy([[report([1.0, 1.0], [0.0, 1.0])]])
    assert "explained_variance" not in metrics
    assert metrics["value_loss"] == 0.5


def test_without_a_critic_nothing_is_said_of_one() -> None:
    metrics = merge_policy([[policy_report(shard_of([4]))]])
    assert not any("value" in name or "critic" in name for name in metrics)
