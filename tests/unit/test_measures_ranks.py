"""Rank correlation and its p, by hand and by laws."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailor_rl.measures.ranks import permutation_p, rank_correlation

series = st.lists(st.integers(-5, 5), min_size=3, max_size=6)


def test_rank_correlation_by_hand() -> None:
    assert rank_correlation([1, 2, 3], [10, 40, 900]) == pytest.approx(1.0)
    assert rank_correlation([1, 2, 3], [3, 2, 1]) == pytest.approx(-1.0)
    assert rank_correlation([1, 2, 3], [1, 3, 2]) == pytest.approx(0.5)


def test_ties_share_their_mean_rank() -> None:
    """Ranks 1.5 1.5 3 against 1 2 3: 1.5 / sqrt(1.5 * 2)."""
    assert rank_correlation([5, 5, 9], [1, 2, 3]) == pytest.approx(1.5 / 3**0.5)


def test_a_constant_series_ranks_nothing() -> None:
    assert rank_correlation([2, 2, 2], [1, 2, 3]) is None
    assert rank_correlation([], []) is None


def test_series_of_two_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="do not pair up"):
        rank_correlation([1, 2], [1, 2, 3])


@given(series)
def test_any_rising_change_of_scale_leaves_the_correlation(values: list[int]) -> None:
    other = list(range(len(values)))
    first = rank_correlation(values, other)
    second = rank_correlation([value**3 + 7 for value in values], other)
    assert first == second or first == pytest.approx(second)


def test_all_pairings_of_three_give_p_by_hand() -> None:
    """Of six pairings two are as extreme as a perfect one; all six as one of 1/2."""
    assert permutation_p([1, 2, 3], [1, 2, 3], seed=0) == pytest.approx(2 / 6)
    assert permutation_p([1, 2, 3], [1, 3, 2], seed=0) == 1.0


def test_random_pairings_come_near_the_exact_p_and_are_never_zero() -> None:
    values = [1.0, 2.0, 3.0, 4.0, 5.0]
    other = [2.0, 1.0, 4.0, 3.0, 5.0]
    exact = permutation_p(values, other, seed=0)
    drawn = permutation_p(values, other, seed=0, num_permutations=100)
    assert drawn != exact and drawn == pytest.approx(exact, abs=0.1)
    many = list(range(30))
    assert permutation_p(many, many, seed=0, num_permutations=50) == pytest.approx(1 / 51)
