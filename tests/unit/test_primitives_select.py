"""Laws of grouping error patterns and of selecting k primitives."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tailor_rl.measures.embedding import load_embedder
from tailor_rl.primitives.patterns import Pattern, group_patterns
from tailor_rl.primitives.select import NotEnoughPrimitives, Selection, select
from tailor_rl.types import Primitive

words = load_embedder("words")
WORDS = ("columns", "cases", "goals", "tables", "guesses", "signs", "units", "proofs", "limits")


def letters(texts: Sequence[str]) -> np.ndarray:
    """Counts of letters, as rows of norm 1."""
    points = np.array([[1.0 + text.count(chr(97 + i)) for i in range(26)] for text in texts])
    return np.asarray(points / np.linalg.norm(points, axis=1, keepdims=True))


def axes(texts: Sequence[str]) -> np.ndarray:
    """A text "3 ..." points along axis 3: two texts are the same or have nothing in common."""
    return np.eye(10)[[int(text[0]) if text[:1].isdigit() else 9 for text in texts]]


def primitive(
    number: int, pattern: str, instruction: str, sources: Sequence[str] = ("a",)
) -> Primitive:
    return Primitive(
        f"p{number:02d}", "Name", instruction, pattern, tuple(sources), "teacher", 0.8
    )  # fmt: skip


def chosen(primitives: Sequence[Primitive], k: int, seed: int = 0) -> Selection:
    return select(primitives, k=k, embedder=words, seed=seed)


def ids(primitives: Sequence[Primitive]) -> list[str]:
    return [p.id for p in primitives]


@st.composite
def libraries(draw: st.DrawFn) -> list[Primitive]:
    num = draw(st.integers(1, 14))
    return [
        primitive(
            number,
            f"It forgets its {draw(st.sampled_from(WORDS))}.",
            " ".join(draw(st.lists(st.sampled_from(WORDS), min_size=1, max_size=3))),
            draw(st.lists(st.sampled_from("abcdef"), unique=True)),
        )
        for number in range(num)
    ]


@settings(max_examples=60)
@given(libraries(), st.data())
def test_the_order_in_which_primitives_come_decides_nothing(
    primitives: list[Primitive], data: st.DataObject
) -> None:
    k = data.draw(st.integers(1, len(primitives)))
    shuffled = data.draw(st.permutations(primitives))
    assert chosen(shuffled, k) == chosen(primitives, k)


@settings(max_examples=60)
@given(libraries())
def test_a_smaller_selection_is_the_beginning_of_a_larger_one(primitives: list[Primitive]) -> None:
    everything = chosen(primitives, len(primitives))
    assert sorted(ids(everything.primitives)) == ids(primitives)
    for k in range(1, len(primitives)):
        some = chosen(primitives, k)
        assert some.primitives == everything.primitives[:k]
        assert some.picks == everything.picks[:k]


@settings(max_examples=60)
@given(libraries(), st.data())
def test_every_pattern_gets_one_before_any_gets_two(
    primitives: list[Primitive], data: st.DataObject
) -> None:
    k = data.draw(st.integers(1, len(primitives)))
    patterns = group_patterns(primitives, embedder=words)
    of = {name: pattern for pattern in patterns for name in pattern.primitive_ids}
    picks = chosen(primitives, k).picks
    covered = {of[pick.primitive_id] for pick in picks}
    assert len(covered) == min(k, len(patterns))
    if k < len(patterns):  # what is left out is never seen more often than what is in
        left_out = max(p.num_attempts for p in patterns if p not in covered)
        assert left_out <= min(p.num_attempts for p in covered)
    given = {pattern: sum(of[p.primitive_id] is pattern for p in picks) for pattern in patterns}
    for pattern, num in given.items():
        exhausted = num == len(pattern.primitive_ids)
        assert exhausted or num >= max(given.values()) - 1


def test_every_primitive_is_in_exactly_one_pattern() -> None:
    primitives = [primitive(i, f"It forgets its {word}.", word) for i, word in enumerate(WORDS)]
    patterns = group_patterns(primitives, embedder=words)
    grouped = [name for pattern in patterns for name in pattern.primitive_ids]
    assert sorted(grouped) == ids(primitives)


def test_patterns_are_one_by_words_by_text_and_by_meaning() -> None:
    same = [
        primitive(0, "3 It guesses at once, without a check of the answer.", "x", "ab"),
        primitive(1, "3 it GUESSES at once; without a check of the answer!", "x", "bc"),  # words
        primitive(2, "5 It guesses at once, without a check of the answer.", "x", "d"),  # text
        primitive(3, "3 Ganz anders gesagt.", "x", "e"),  # meaning
        primitive(4, "7 It never comes to an end.", "x", "f"),
    ]
    assert group_patterns(same, embedder=axes) == [
        Pattern(same[0].targets, ("p00", "p01", "p02", "p03"), num_attempts=5),
        Pattern(same[4].targets, ("p04",), num_attempts=1),
    ]
    assert group_patterns([], embedder=axes) == []


def test_primitives_without_a_pattern_stand_alone() -> None:
    two = [primitive(0, "", "x", ()), primitive(1, " ", "y", ())]
    assert [p.primitive_ids for p in group_patterns(two, embedder=letters)] == [("p00",), ("p01",)]


def test_the_most_frequent_pattern_comes_first_and_the_reason_is_said() -> None:
    primitives = [
        primitive(0, "It never comes to an end.", "aaa", "ab"),
        primitive(1, "All its sums are wrong.", "bbb", "cde"),
        primitive(2, "All its sums are wrong.", "ccc", "fgh"),
    ]
    first, second, third = chosen(primitives, 3).picks
    assert first.pattern == "All its sums are wrong." and first.num_attempts == 6
    assert second.primitive_id == "p00"
    assert (first.rank, second.rank, third.rank) == (1, 2, 3)
    assert (first.turn, second.turn, third.turn) == (1, 1, 2)
    assert first.reason == "the first against its pattern (seen in 6 attempts)"
    assert third.reason == "number 2 against its pattern, 1.00 from the nearest"


def test_among_equally_frequent_patterns_the_most_different_primitive_is_next() -> None:
    patterns = ("5 It never ends.", "6 Sums are off.", "7 Guesses early.", "8 Forgets a case.")
    advice = ("0 Go on.", "0 Go on now.", "0 Just go on.", "1 Turn back.")
    primitives = [primitive(i, *both) for i, both in enumerate(zip(patterns, advice, strict=True))]
    assert len(group_patterns(primitives, embedder=axes)) == 4
    for seed in range(5):
        assert ids(select(primitives, k=2, embedder=axes, seed=seed).primitives)[1] == "p03"


def test_within_a_pattern_the_farthest_is_next_and_its_distance_is_told() -> None:
    near, far = "aaaaaaaaab", "zzzzzzzzzz"
    primitives = [primitive(i, "Same.", t) for i, t in enumerate(("aaaaaaaaaa", near, far))]
    picks = select(primitives, k=3, embedder=letters, seed=0).picks
    assert picks[1].primitive_id == "p02"
    points = letters(["aaaaaaaaaa", near, far])
    first = int(picks[0].primitive_id[1:])
    assert picks[1].distance == pytest.approx(1 - float(points[first] @ points[2]), abs=1e-8)


def test_the_seed_decides_between_equals_only() -> None:
    twins = [primitive(i, "Same.", "the very same advice") for i in range(12)]
    assert len({chosen(twins, 1, seed).primitives[0].id for seed in range(20)}) > 3
    distinct = [primitive(i, "Same.", "abcdefghijkl"[i] * (i + 2)) for i in range(8)]
    made = [select(distinct, k=4, embedder=letters, seed=seed).primitives for seed in range(10)]
    assert len(set(map(tuple, map(ids, made)))) == 1


def test_more_than_there_are_is_one_sentence_with_both_numbers() -> None:
    with pytest.raises(
        NotEnoughPrimitives, match=r"25 primitives are to be .* only 1 are"
    ) as caught:
        chosen([primitive(0, "Same.", "x")], 25)
    assert caught.value.exit_code == 2
    with pytest.raises(ValueError, match="at least 1"):
        chosen([primitive(0, "Same.", "x")], 0)
    with pytest.raises(ValueError, match="same id"):
        chosen([primitive(0, "Same.", "x")] * 2, 1)
