"""Returns, whitening and generalised advantages against loops, and the estimators made of them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from tailor_rl.algorithms.algorithm import ESTIMATORS
from tailor_rl.algorithms.estimators import Outcome
from tailor_rl.algorithms.returns import discounted_returns, gae, token_rewards, whiten

# A prompt of one token, then completions of 3, 1 and 0 tokens.
MASK = np.array([[0, 1, 1, 1, 0], [0, 1, 0, 0, 0], [0, 0, 0, 0, 0]], dtype=np.bool_)


def random_case(seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    lengths = rng.integers(0, 7, size=6)
    mask = np.arange(8)[None] < lengths[:, None]
    return {
        "mask": np.roll(mask, 1, axis=1),
        "rewards": rng.normal(size=(6, 8)).astype(np.float32) * np.roll(mask, 1, axis=1),
        "values": rng.normal(size=(6, 8)).astype(np.float32),
    }


def test_the_outcome_comes_with_the_last_token_and_penalties_come_with_each() -> None:
    penalties = np.full(MASK.shape, 0.25, dtype=np.float32)
    rewards = token_rewards(np.array([1.0, 2.0, 9.0]), penalties, MASK)
    assert rewards.tolist() == [
        [0, -0.25, -0.25, 0.75, 0],
        [0, 1.75, 0, 0, 0],
        [0, 0, 0, 0, 0],
    ]


def test_returns_worked_by_hand() -> None:
    rewards = np.array([[0, 1, 2, 4, 0], [0, 3, 0, 0, 0], [0, 0, 0, 0, 0]], dtype=np.float32)
    returns = discounted_returns(rewards, MASK, gamma=0.5)
    assert returns.tolist() == [[0, 3, 4, 4, 0], [0, 3, 0, 0, 0], [0, 0, 0, 0, 0]]


@pytest.mark.parametrize(("gamma", "lam"), [(1.0, 1.0), (1.0, 0.95), (0.9, 0.5), (0.99, 0.0)])
def test_generalised_advantages_are_the_weighted_sums_of_the_paper(
    gamma: float, lam: float
) -> None:
    """A_t = sum_k (gamma lam)^k delta_{t+k}, by loops, the critic being worth 0 after the end."""
    case = random_case()
    ours = gae(case["rewards"], case["values"], case["mask"], gamma=gamma, lam=lam)
    expected = np.zeros(ours.shape)
    for i, row in enumerate(case["mask"]):
        inside = np.flatnonzero(row)
        values = [float(case["values"][i, t]) for t in inside] + [0.0]
        deltas = [
            float(case["rewards"][i, t]) + gamma * values[k + 1] - values[k]
            for k, t in enumerate(inside)
        ]
        for k, t in enumerate(inside):
            expected[i, t] = sum((gamma * lam) ** j * d for j, d in enumerate(deltas[k:]))
    assert case["mask"].sum() > 8
    assert ours == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("gamma", [1.0, 0.9])
def test_with_lambda_1_advantages_are_returns_minus_values(gamma: float) -> None:
    case = random_case(1)
    advantages = gae(case["rewards"], case["values"], case["mask"], gamma=gamma, lam=1.0)
    returns = discounted_returns(case["rewards"], case["mask"], gamma=gamma)
    assert advantages == pytest.approx((returns - case["values"]) * case["mask"], abs=1e-5)


def test_with_lambda_0_advantages_are_errors_of_one_step() -> None:
    rewards = np.array([[0, 0, 0, 1, 0]], dtype=np.float32)
    values = np.array([[9, 0.5, 0.25, 0.75, 9]], dtype=np.float32)
    advantages = gae(rewards, values, MASK[:1], gamma=1.0, lam=0.0)
    assert advantages.tolist() == [[0, -0.25, 0.5, 0.25, 0]]


def test_whitening_centres_and_scales_over_the_tokens_of_the_mask_alone() -> None:
    values = np.array([[99, 1, 2, 3, 99], [99, 6, 99, 99, 99], [9, 9, 9, 9, 9]], dtype=np.float32)
    root = math.sqrt(3.5)  # mean 3, variance (4 + 1 + 0 + 9) / 4
    expected = np.array([-2, -1, 0, 3]) / root
    whitened = whiten(values, MASK)
    assert whitened[MASK] == pytest.approx(expected)
    assert not whitened[~MASK].any()


def test_equal_or_no_values_are_whitened_to_zeros() -> None:
    assert not whiten(np.full(MASK.shape, 0.1, dtype=np.float32), MASK).any()
    assert not whiten(np.ones(MASK.shape, dtype=np.float32), np.zeros_like(MASK)).any()


def outcome(**changes: Any) -> Outcome:
    rng = np.random.default_rng(3)
    mask = np.arange(5)[None] < np.array([3, 1, 5, 2])[:, None]
    parts = {
        "rewards_B": np.array([1.0, 0.0, 1.0, 0.5]),
        "groups_B": np.array([0, 0, 1, 1]),
        "mask_BT": mask,
        "penalties_BT": np.zeros(mask.shape, dtype=np.float32),
        "values_BT": rng.normal(size=mask.shape).astype(np.float32),
        "gamma": 1.0,
        "lam": 0.95,
    }
    return Outcome(**{**parts, **changes})


@pytest.mark.parametrize("name", ESTIMATORS)
def test_no_advantage_outside_the_mask_nor_from_what_stands_there(name: str) -> None:
    plain = outcome()
    outside = ~plain.mask_BT
    assert plain.values_BT is not None
    soiled = outcome(
        penalties_BT=np.where(outside, 7.0, 0.0).astype(np.float32),
        values_BT=np.where(outside, 7.0, plain.values_BT).astype(np.float32),
    )
    ours, again = ESTIMATORS[name](plain), ESTIMATORS[name](soiled)
    assert not ours.advantages_BT[outside].any()
    assert ours.advantages_BT[~outside].any()
    assert np.array_equal(ours.advantages_BT, again.advantages_BT)
    assert ours.advantages_BT.dtype == np.float32


@pytest.mark.parametrize("name", [name for name in ESTIMATORS if name != "generalised"])
def test_equal_rewards_everywhere_give_zeros(name: str) -> None:
    assert not ESTIMATORS[name](outcome(rewards_B=np.full(4, 0.3))).advantages_BT.any()


@pytest.mark.parametrize("name", ESTIMATORS)
def test_a_penalty_lowers_the_advantage_of_who_pays_it(name: str) -> None:
    penalties = np.zeros((4, 5), dtype=np.float32)
    penalties[2, 1] = 0.75
    without, paying = ESTIMATORS[name](outcome()), ESTIMATORS[name](outcome(penalties_BT=penalties))
    # The token that pays and those before it; what is earned after it is not its cost.
    assert (paying.advantages_BT[2, :2] < without.advantages_BT[2, :2]).all()


@pytest.mark.parametrize(
    "name",
    ["group_normalised", "group_centred", "leave_one_out", "maximum_likelihood",
     "whitened_group_centred"],
)  # fmt: skip
def test_an_outcome_is_the_same_advantage_at_every_token(name: str) -> None:
    case = outcome()
    advantages = ESTIMATORS[name](case).advantages_BT
    for row, mask in zip(advantages, case.mask_BT, strict=True):
        assert len(set(row[mask].tolist())) == 1


def test_whitened_estimators_have_mean_0_and_deviation_1_over_tokens() -> None:
    for name in ("whitened_returns", "whitened_group_centred", "generalised"):
        case = outcome()
        inside = ESTIMATORS[name](case).advantages_BT[case.mask_BT]
        assert inside.mean() == pytest.approx(0, abs=1e-6)
        assert inside.std() == pytest.approx(1, abs=1e-5)


def test_a_critics_targets_are_advantages_plus_values_before_any_whitening() -> None:
    case = outcome(lam=1.0)
    made = ESTIMATORS["generalised"](case)
    assert made.returns_BT is not None
    # With lambda 1 and gamma 1 they are the outcome itself, at every token.
    assert made.returns_BT == pytest.approx(case.rewards_B[:, None] * case.mask_BT, abs=1e-6)


def test_generalised_advantages_need_a_critic() -> None:
    with pytest.raises(ValueError, match="critic"):
        ESTIMATORS["generalised"](outcome(values_BT=None))
