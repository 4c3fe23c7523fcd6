"""Advantages of outcome rewards: hand-worked numbers, a reference in plain loops, and laws."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tailor_rl.algorithms.advantages import (
    centred_advantages,
    group_advantages,
    leave_one_out_advantages,
    maximum_likelihood_advantages,
    per_group,
)

ALL: list[Callable[[Sequence[float]], np.ndarray]] = [
    group_advantages,
    centred_advantages,
    leave_one_out_advantages,
    maximum_likelihood_advantages,
]
REWARDS = st.lists(st.floats(-4, 4, width=32), min_size=2, max_size=9)


def test_a_group_worked_by_hand() -> None:
    rewards = [1, 0, 0, 0]  # mean 1/4, deviation sqrt(3)/4
    root = math.sqrt(3)
    assert group_advantages(rewards) == pytest.approx(
        [root, -1 / root, -1 / root, -1 / root], abs=1e-5
    )
    assert centred_advantages(rewards) == pytest.approx([3 / 4, -1 / 4, -1 / 4, -1 / 4])
    # The others of the first earned 0; those of each other one 1/3.
    assert leave_one_out_advantages(rewards) == pytest.approx([1, -1 / 3, -1 / 3, -1 / 3])
    assert maximum_likelihood_advantages(rewards) == pytest.approx([3, -1, -1, -1])


@settings(deadline=None)
@given(REWARDS)
def test_advantages_are_those_of_loops_in_double_precision(rewards: list[float]) -> None:
    num = len(rewards)
    mean = math.fsum(rewards) / num
    deviation = math.sqrt(math.fsum((r - mean) ** 2 for r in rewards) / num)
    if len(set(rewards)) == 1:
        return
    normalised = [(r - mean) / (deviation + 1e-6) for r in rewards]
    assert group_advantages(rewards) == pytest.approx(normalised, rel=1e-5, abs=1e-5)
    assert centred_advantages(rewards) == pytest.approx(
        [r - mean for r in rewards], rel=1e-5, abs=1e-6
    )
    others = [math.fsum(rewards[:i] + rewards[i + 1 :]) / (num - 1) for i in range(num)]
    left_out = [r - other for r, other in zip(rewards, others, strict=True)]
    assert leave_one_out_advantages(rewards) == pytest.approx(left_out, rel=1e-5, abs=1e-6)


@settings(deadline=None)
@given(st.lists(st.floats(0, 4, width=32), min_size=2, max_size=9))
def test_without_negative_rewards_maximum_likelihood_divides_by_the_mean(
    rewards: list[float],
) -> None:
    mean = math.fsum(rewards) / len(rewards)
    if mean < 1e-6:
        return
    expected = [(r - mean) / mean for r in rewards]
    assert maximum_likelihood_advantages(rewards) == pytest.approx(expected, rel=1e-4, abs=1e-5)


def test_with_rewards_of_0_and_1_maximum_likelihood_averages_over_the_successes_alone() -> None:
    """Weighed by A + 1, the mean over a group is the mean over its successes: the paper's form."""
    rewards = [1.0, 0.0, 0.0, 1.0, 0.0]
    weights = (maximum_likelihood_advantages(rewards) + 1) / 5
    assert weights == pytest.approx([1 / 2, 0, 0, 1 / 2, 0], abs=1e-6)


@settings(deadline=None)
@given(REWARDS)
def test_maximum_likelihood_is_bounded_whatever_was_taken_off_the_rewards(
    rewards: list[float],
) -> None:
    advantages = maximum_likelihood_advantages(rewards)
    assert (advantages >= -1).all() and (advantages <= (len(rewards) - 1) * (1 + 1e-6)).all()
    if max(rewards) <= 0:
        assert not advantages.any()


def test_a_reward_below_0_is_a_failure_like_any_other_to_maximum_likelihood() -> None:
    rewards = [1, -2 / 3, 0, -0.99]
    assert maximum_likelihood_advantages(rewards) == pytest.approx([3, -1, -1, -1])
    assert maximum_likelihood_advantages([-1, 0, -0.5]).tolist() == [0, 0, 0]


@pytest.mark.parametrize("of_group", ALL)
@pytest.mark.parametrize("reward", [0.0, 1.0, 0.1, -1 / 3])
def test_equal_rewards_give_exactly_zero_advantages(
    of_group: Callable[..., np.ndarray], reward: float
) -> None:
    assert of_group([reward] * 7).tolist() == [0.0] * 7
    assert of_group([reward]).tolist() == [0.0]  # a rollout without others


@settings(deadline=None)
@given(REWARDS)
def test_advantages_of_a_group_add_up_to_zero(rewards: list[float]) -> None:
    for of_group in ALL:
        advantages = of_group(rewards).astype(np.float64)
        assert advantages.sum() == pytest.approx(0, abs=1e-5 * (1 + np.abs(advantages).sum()))


def test_normalised_advantages_ignore_scale_and_offset_and_centred_ones_only_the_offset() -> None:
    rewards = np.array([0.0, 1.0, 1.0, 0.0, 1.0])
    assert group_advantages(5 * rewards - 3) == pytest.approx(group_advantages(rewards), abs=1e-5)
    assert centred_advantages(5 * rewards - 3) == pytest.approx(5 * centred_advantages(rewards))


@pytest.mark.parametrize("of_group", ALL)
@pytest.mark.parametrize("rewards", [[], [[1.0]], [math.nan, 1.0], [math.inf]])
def test_groups_without_finite_rewards_are_refused(
    of_group: Callable[..., np.ndarray], rewards: list[float]
) -> None:
    with pytest.raises(ValueError, match="reward"):
        of_group(rewards)


def test_groups_are_told_apart_by_their_number_and_not_by_their_place() -> None:
    rewards_B = np.array([1.0, 5.0, 0.0, 5.0, 3.0])
    groups_B = np.array([7, 2, 7, 2, 9])
    assert per_group(centred_advantages, rewards_B, groups_B).tolist() == [0.5, 0, -0.5, 0, 0]
