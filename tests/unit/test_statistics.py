"""Statistics against hand-worked numbers and brute force."""

from __future__ import annotations

from itertools import combinations, product

import numpy as np
import pytest

from tailor_rl.statistics import (
    bootstrap_interval,
    difference_of_independent,
    mcnemar_p,
    pass_at_k,
    sign_flip_p,
    wilson_interval,
)


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


def test_the_difference_of_two_shares_equals_newcombes_published_example() -> None:
    # His table II, (a): 56 of 70 against 48 of 80; method 10 gives 0.0524 to 0.3339.
    found = difference_of_independent(wilson_interval(48, 80), wilson_interval(56, 70))
    assert found.value == pytest.approx(0.2)
    assert found.low == pytest.approx(0.0524, abs=5e-5)
    assert found.high == pytest.approx(0.3339, abs=5e-5)


def test_mcnemar_p_equals_the_hand_worked_example() -> None:
    # 1 against 9: 2 * (C(10, 0) + C(10, 1)) / 2^10 = 22 / 1024.
    assert mcnemar_p(1, 9) == mcnemar_p(9, 1) == pytest.approx(22 / 1024)
    assert mcnemar_p(0, 5) == pytest.approx(2 / 32)


@pytest.mark.parametrize("num", [0, 1, 2, 7, 10])
def test_mcnemar_p_is_the_share_of_coin_tosses_at_least_as_uneven(num: int) -> None:
    tosses = [sum(each) for each in product((0, 1), repeat=num)]
    for heads in range(num + 1):
        uneven = [abs(2 * toss - num) >= abs(2 * heads - num) for toss in tosses]
        assert mcnemar_p(heads, num - heads) == pytest.approx(np.mean(uneven))


def test_mcnemar_p_does_not_overflow_and_refuses_negative_counts() -> None:
    assert 0 <= mcnemar_p(0, 5_000) < 1e-300
    assert mcnemar_p(3_000, 3_000) == 1.0
    with pytest.raises(ValueError, match="never negative"):
        mcnemar_p(-1, 2)


def test_sign_flip_p_equals_the_hand_worked_example() -> None:
    # Families a: 1 + 1, b: 1, c: -1, d: 0. Of the sums +-2 +-1 +-1 those as far out as
    # |2 + 1 - 1| = 2 are +-4 and +-2 twice: 6 of 8, whatever d's sign.
    differences_P = np.array([1.0, 1.0, 1.0, -1.0, 0.0])
    p = sign_flip_p(differences_P, families_P=["a", "a", "b", "c", "d"], seed=0)
    assert p == pytest.approx(6 / 8)


def test_sign_flip_p_of_lone_yes_and_no_answers_is_mcnemars() -> None:
    for only_first, only_second in [(0, 0), (1, 9), (3, 5), (4, 4), (0, 6)]:
        differences_P = np.array([-1.0] * only_first + [1.0] * only_second + [0.0] * 3)
        families = [str(i) for i in range(differences_P.size)]
        p = sign_flip_p(differences_P, families_P=families, seed=0)
        assert p == pytest.approx(mcnemar_p(only_first, only_second))


def test_random_sign_flips_near_the_exact_p_and_are_the_same_for_the_same_seed() -> None:
    differences_P = np.random.default_rng(0).normal(0.3, 1.0, size=13)
    families = [str(i) for i in range(13)]
    exact = sign_flip_p(differences_P, families_P=families, seed=1)  # 2^13 < 10,000
    drawn = [
        sign_flip_p(differences_P, families_P=families, seed=seed, num_flips=8_000)
        for seed in (1, 1, 2)
    ]
    assert 0.05 < exact < 0.95
    assert drawn[0] == drawn[1] != drawn[2]
    assert drawn == pytest.approx([exact] * 3, abs=0.02)


def test_siblings_that_agree_count_as_one_family() -> None:
    differences_P = np.ones(20)
    alone = sign_flip_p(differences_P, families_P=[str(i) for i in range(20)], seed=0)
    siblings = sign_flip_p(differences_P, families_P=[str(i % 2) for i in range(20)], seed=0)
    assert alone < 0.001 < siblings == 0.5


def test_no_random_p_is_ever_0() -> None:
    families = [str(i) for i in range(500)]
    assert sign_flip_p(np.ones(500), families_P=families, seed=0) == pytest.approx(1 / 10_001)
