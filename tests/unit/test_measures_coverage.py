"""Coverage of thinking tokens by hand-worked numbers and laws."""

from __future__ import annotations

import itertools
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailor_rl.measures.coverage import Coverage

some_traces = st.lists(st.lists(st.sampled_from("abc"), max_size=6), max_size=5)


def test_pieces_are_counted_within_traces() -> None:
    found = Coverage.of([list("abab"), list("ab"), []], n=2)
    assert found.counts == Counter({("a", "b"): 3, ("b", "a"): 1})
    assert (found.distinct, found.total) == (2, 4)


def test_entropy_by_hand() -> None:
    """Shares 1/2, 1/4, 1/4: 1.5 bits."""
    assert Coverage.of([list("aabc")], n=1).entropy_bits == pytest.approx(1.5)
    assert Coverage.of([list("aaaa")], n=1).entropy_bits == 0.0
    assert Coverage.of([], n=1).entropy_bits == 0.0


def test_rarefaction_by_hand() -> None:
    """Two of "aab": a is always there, b in two of three pairs: 5/3."""
    assert Coverage.of([list("aab")], n=1).distinct_at(2) == pytest.approx(5 / 3)


@given(some_traces, st.integers(0, 8))
def test_rarefaction_is_the_mean_over_all_draws(traces: list[list[str]], budget: int) -> None:
    found = Coverage.of(traces, n=1)
    pieces = [piece for trace in traces for piece in trace][:9]
    found = Coverage.of([pieces], n=1)
    budget = min(budget, len(pieces))
    draws = [len(set(draw)) for draw in itertools.combinations(pieces, budget)]
    assert found.distinct_at(budget) == pytest.approx(sum(draws) / len(draws))


@given(some_traces)
def test_the_whole_set_has_all_its_pieces_and_none_has_none(traces: list[list[str]]) -> None:
    found = Coverage.of(traces, n=2)
    assert found.distinct_at(found.total) == pytest.approx(found.distinct)
    assert found.distinct_at(0) == 0.0


def test_more_pieces_than_there_are_cannot_be_drawn() -> None:
    with pytest.raises(ValueError, match="cannot draw 3 pieces of 2"):
        Coverage.of([list("ab")], n=1).distinct_at(3)


def test_rarefaction_of_a_large_set_does_not_overflow() -> None:
    found = Coverage(Counter({("a",): 10**7, ("b",): 1}), 10**7 + 1)
    assert found.distinct_at(10**6) == pytest.approx(1 + 10**6 / (10**7 + 1))


def test_coverage_of_one_set_by_another() -> None:
    first, second = Coverage.of([list("abc")], n=1), Coverage.of([list("ab")], n=1)
    assert first.share_in(second) == pytest.approx(2 / 3)
    assert second.share_in(first) == 1.0
    assert Coverage.of([]).share_in(first) == 1.0
