"""Matching: exact budgets, shares as near as can be, the same queries for every initialisation."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailor_rl.curation.matching import MatchingError, describe_match, is_right, match
from tailor_rl.types import Demonstration
from tests.curation_fakes import demonstration, demonstrations

SETS = st.lists(st.tuples(st.integers(0, 30), st.sampled_from([0.0, 0.5, 1.0]))).map(
    lambda pairs: [
        demonstration(query, id=f"{query}/{i}", reward=reward)
        for i, (query, reward) in enumerate(pairs)
    ]
)
SHARES = st.floats(0.01, 1.0)


def length(made: Demonstration) -> int:
    return len(made.trace)


def trimmed(made: list[Demonstration], **changes: object) -> list[Demonstration]:
    settings: dict[str, object] = {"by": "none", "to": 0, "correct_share": None, "seed": 0}
    return match(made, num_tokens=length, **settings | changes)  # type: ignore[arg-type]


def queries(made: list[Demonstration]) -> set[str]:
    return {each.problem_id for each in made}


def share(made: list[Demonstration]) -> float:
    return sum(map(is_right, made)) / len(made)


@given(SETS)
def test_without_a_budget_everything_is_kept(made: list[Demonstration]) -> None:
    assert trimmed(made) == made


@given(SETS.filter(bool), st.data(), st.integers(0, 9))
def test_examples_keeps_exactly_as_many_in_their_order(
    made: list[Demonstration], data: st.DataObject, seed: int
) -> None:
    to = data.draw(st.integers(1, len(made)))
    kept = trimmed(made, by="examples", to=to, seed=seed)
    assert len(kept) == to
    assert kept == [each for each in made if each in kept]
    assert kept == trimmed(made, by="examples", to=to, seed=seed)


@given(SETS.filter(bool), st.integers(1, 400))
def test_tokens_never_exceed_the_budget_and_nothing_that_fits_is_left(
    made: list[Demonstration], to: int
) -> None:
    if min(map(length, made)) > to:
        with pytest.raises(MatchingError, match="not one"):
            trimmed(made, by="tokens", to=to)
        return
    kept = trimmed(made, by="tokens", to=to)
    left = to - sum(map(length, kept))
    assert kept and left >= 0
    assert all(length(each) > left for each in made if each not in kept)


@given(SETS, st.integers(1, 400), st.integers(0, 400))
def test_a_larger_number_of_examples_keeps_what_a_smaller_one_kept(
    made: list[Demonstration], one: int, other: int
) -> None:
    small, large = sorted((min(one, len(made)), min(other, len(made))))
    if small:
        kept = trimmed(made, by="examples", to=large)
        assert {each.id for each in trimmed(made, by="examples", to=small)} <= {
            each.id for each in kept
        }


@given(st.sets(st.integers(0, 60), min_size=1), st.sets(st.integers(0, 60), min_size=1), st.data())
def test_two_initialisations_share_the_queries_that_come_first_for_both(
    one: set[int], other: set[int], data: st.DataObject
) -> None:
    """Each keeps a beginning of one common order, so they differ only where one has no answer."""
    to = data.draw(st.integers(1, min(len(one), len(other))))
    everything = [demonstration(i) for i in range(61)]
    first, second = (
        queries(trimmed([everything[i] for i in sorted(answered)], by="examples", to=to))
        for answered in (one, other)
    )
    if one == other:
        assert first == second
    common = [everything[i] for i in sorted(one & other)]
    if len(common) >= to:
        # Nothing that both answered and that comes early is lost to either.
        certain = to - max(len(one - other), len(other - one))
        if certain > 0:
            assert queries(trimmed(common, by="examples", to=certain)) <= first & second


def test_each_query_has_a_trace_before_any_has_two() -> None:
    made = [demonstration(i % 4, id=f"{i}") for i in range(12)]
    assert queries(trimmed(made, by="examples", to=4)) == queries(made)


def test_another_seed_keeps_other_queries() -> None:
    made = demonstrations(60)
    kept = [queries(trimmed(made, by="examples", to=20, seed=seed)) for seed in range(2)]
    assert kept[0] != kept[1]


@given(SETS.filter(bool), SHARES)
def test_no_other_trimming_of_the_larger_kind_comes_nearer_to_the_share(
    made: list[Demonstration], wanted: float
) -> None:
    right, wrong = sum(map(is_right, made)), sum(not is_right(each) for each in made)
    if not right or (not wrong and wanted < 1):
        with pytest.raises(MatchingError, match="correct_share"):
            trimmed(made, correct_share=wanted)
        return
    kept = trimmed(made, correct_share=wanted)
    reachable = [(r, wrong) for r in range(right + 1)] + [(right, w) for w in range(wrong + 1)]
    nearest = min(abs(r / (r + w) - wanted) for r, w in reachable if r + w)
    assert abs(share(kept) - wanted) == pytest.approx(nearest, abs=1e-12)
    assert kept == [each for each in made if each in kept]


@given(SETS.filter(bool), SHARES, st.data())
def test_examples_keep_the_share_to_half_a_trace(
    made: list[Demonstration], wanted: float, data: st.DataObject
) -> None:
    try:
        whole = trimmed(made, correct_share=wanted)
    except MatchingError:
        return
    to = data.draw(st.integers(1, len(whole)))
    kept = trimmed(made, correct_share=wanted, by="examples", to=to)
    assert len(kept) == to
    assert abs(sum(map(is_right, kept)) - share(whole) * to) <= 0.5 + 1e-9


def test_accuracy_matched_by_hand() -> None:
    """10 right and 6 wrong at 75 %: 18 right would be needed, so the wrong ones are cut to 3."""
    kept = trimmed(demonstrations(16, wrong=6), correct_share=0.75)
    assert (len(kept), sum(map(is_right, kept))) == (13, 10)
    assert share(trimmed(kept, correct_share=0.75, by="examples", to=8)) == 0.75


def test_a_partly_right_trace_counts_as_wrong() -> None:
    made = [demonstration(0), demonstration(1, reward=0.9)]
    assert trimmed(made, correct_share=1.0) == made[:1]


@pytest.mark.parametrize(
    ("made", "settings", "said"),
    [
        (demonstrations(5), {"by": "examples", "to": 6}, "there are only 5.*match_to to 5"),
        (demonstrations(5), {"by": "examples", "to": 0}, "match_to is 0.*at least 1"),
        (demonstrations(5), {"correct_share": 0.5}, 'all 5 are right.*demonstrations.keep = "all"'),
        (demonstrations(5, wrong=5), {"correct_share": 0.5}, "all 5 are wrong"),
        (
            demonstrations(20, wrong=3),
            {"correct_share": 0.5, "by": "examples", "to": 10},
            "of 20 traces only 6 go together",
        ),
        (demonstrations(5), {"by": "tokens", "to": 3}, "3 tokens hold not one of 5.*shortest has"),
    ],
)
def test_what_cannot_be_reached_is_said(
    made: list[Demonstration], settings: dict[str, object], said: str
) -> None:
    with pytest.raises(MatchingError, match=said) as caught:
        trimmed(made, **settings)
    assert caught.value.exit_code == 3
    assert "\n" not in str(caught.value)


def test_the_line_says_the_share_of_the_budget_that_was_reached() -> None:
    made = [demonstration(i, trace="x" * 30, reward=float(i > 0)) for i in range(4)]
    kept = trimmed(made, by="tokens", to=100)
    line = describe_match(made, kept, by="tokens", to=100, num_tokens=length)
    assert line.startswith("kept 3 of 4 demonstrations")
    assert line.endswith("90 of 100 tokens (90.0 %)")
