"""Statistics against hand-worked numbers and brute force."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from tailor_rl.statistics import bootstrap_interval, pass_at_k, wilson_interval


def test_wilson_interval_equals_the_hand_worked_example() -> None:
    # 8 of 10: z^2 = 3.8415; centre (.8 + .19207) / 1.38415 = .71674;
    # half width 1.95996 / 1.38415 * sqrt(.016 + .0096036) = .22657.
    interval = wilson_interval(8, 10)
    assert interval.value == pytest.approx(0.8)
    assert interval.low == pytest.approx(0.71674 - 0.22657, abs=2e-5)
    assert interval.high == pytest.approx(0.71674 + 0.22657, abs=2e-5)


@pytest.mark.parametrize("num", [1, 7, 200])
def test_wilson_interval_at_none_and_all_is_not_empty_and_stays_within_0_and_1(num: int) -> None:
    none, every = wilson_interval(0, num), wilson_interval(num, num)
    assert none.low == none.value == 0.0 < none.high < 1.0
    assert every.high == every.value == 1.0 > every.low > 0.0
    assert none.high == pytest.approx(1 - every.low)


@pytest.mark.parametrize(("successes", "num"), [(0, 0), (3, 2), (-1, 2)])
def test_wilson_interval_refuses_impossible_counts(successes: int, num: int) -> None:
    with pytest.raises(ValueError, match="successes"):
        wilson_interval(successes, num)


@pytest.mark.parametrize(("num_samples", "k"), [(1, 1), (4, 2), (6, 3), (6, 6)])
def test_pass_at_k_is_the_share_of_draws_with_a_right_sample(num_samples: int, k: int) -> None:
    for num_correct in range(num_samples + 1):
        draws = list(combinations(range(num_samples), k))
        lucky = sum(any(sample < num_correct for sample in draw) for draw in draws)
        assert pass_at_k(num_samples, num_correct, k) == pytest.approx(lucky / len(draws))


def test_pass_at_1_is_the_mean_over_samples() -> None:
    assert pass_at_k(8, 3, 1) == pytest.approx(3 / 8)


def test_pass_at_k_does_not_overflow() -> None:
    assert pass_at_k(100_000, 1, 50_000) == pytest.approx(0.5)


def test_bootstrap_interval_of_equal_values_is_that_value() -> None:
    interval = bootstrap_interval(np.full(5, 0.25), seed=0)
    assert (interval.value, interval.low, interval.high) == (0.25, 0.25, 0.25)


def test_bootstrap_interval_of_many_values_nears_the_normal_one() -> None:
    values_P = np.random.default_rng(1).normal(size=2_000)
    interval = bootstrap_interval(values_P, seed=0)
    half = 1.96 * values_P.std() / np.sqrt(values_P.size)
    assert interval.value == pytest.approx(values_P.mean())
    assert interval.low == pytest.approx(values_P.mean() - half, abs=half / 10)
    assert interval.high == pytest.approx(values_P.mean() + half, abs=half / 10)


def test_bootstrap_interval_of_two_values_is_all_of_their_range() -> None:
    # Means are 0, .5 and 1 with chances 1/4, 1/2 and 1/4: both tails hold more than 2.5 %.
    interval = bootstrap_interval(np.array([0.0, 1.0]), seed=3)
    assert (interval.low, interval.value, interval.high) == (0.0, 0.5, 1.0)


def test_bootstrap_interval_is_the_same_for_the_same_seed_only() -> None:
    values_P = np.linspace(0, 1, 13)
    assert bootstrap_interval(values_P, seed=1) == bootstrap_interval(values_P, seed=1)
    assert bootstrap_interval(values_P, seed=1) != bootstrap_interval(values_P, seed=2)


def test_a_mean_over_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="no problems"):
        bootstrap_interval(np.array([]), seed=0)
