"""Sets of demonstrations in figures, side by side."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest

from tailor_rl.measures.distance import StudentDistance
from tailor_rl.measures.embedding import load_embedder
from tailor_rl.measures.habits import HABITS
from tailor_rl.measures.judge import Judgement
from tailor_rl.measures.table import MeasuredSets, measure_set, measure_sets, to_sheets
from tailor_rl.sheets import to_markdown
from tests.measures_fakes import demonstration

WORDS = load_embedder("words")
ALIKE = [demonstration(i, f"So it is {i}. Done here.", primitive="p1") for i in range(4)]
VARIED = [
    demonstration(0, "Try again: go back, check all.", primitive="p1"),
    demonstration(1, "Work backwards from the goal.", primitive="p2", reward=0.0),
    demonstration(2, "Sub-goal: half of it first of all.", primitive=None),
]


def both() -> MeasuredSets:
    return measure_sets({"alike": ALIKE, "varied": VARIED}, embedder=WORDS, seed=0)


def test_a_set_by_hand() -> None:
    found = measure_set(VARIED, name="varied", embedder=WORDS, seed=0)
    assert (found.num_traces, found.num_problems, found.num_primitives) == (3, 3, 2)
    assert found.correct == pytest.approx(2 / 3)
    assert (found.total_words, found.mean_words) == (6 + 5 + 7, 6.0)
    assert found.teacher_tokens == 33
    assert found.habits == {
        "verification": pytest.approx(1 / 3),
        "backtracking": pytest.approx(2 / 3),
        "subgoal_setting": pytest.approx(1 / 3),
        "backward_chaining": pytest.approx(1 / 3),
    }
    assert (found.student_logprob, found.judged_habits, found.student) == (None, None, "")
    assert found.total_pieces == 4 + 3 + 5 == found.pieces == found.pieces_at_budget


def test_traces_that_differ_in_numbers_alone_are_one() -> None:
    found = measure_set(ALIKE, name="alike", embedder=WORDS, seed=0)
    assert found.vendi == pytest.approx(1.0) and found.distance == pytest.approx(0.0)
    assert found.text_vendi > 1.2 and found.text_distance > 0.1
    assert (found.pieces, found.total_pieces, found.openings) == (4, 16, 1)


def test_sets_are_read_at_the_pieces_of_the_smallest() -> None:
    alike, varied = both().sets
    assert alike.budget == varied.budget == 12
    assert varied.pieces_at_budget == pytest.approx(12.0)
    assert 3.9 < alike.pieces_at_budget < 4.0
    assert varied.vendi > 2.5 and varied.entropy_bits > alike.entropy_bits == pytest.approx(2.0)


def test_what_a_set_has_of_another_is_a_share_of_its_pieces() -> None:
    found = measure_sets({"a": ALIKE, "b": [*ALIKE, *VARIED]}, embedder=WORDS, seed=0).shared
    assert found["a"] == {"a": 1.0, "b": 1.0}
    assert found["b"]["a"] == pytest.approx(4 / 16)


def test_the_order_of_the_demonstrations_changes_nothing_but_the_pairs_drawn() -> None:
    first = measure_set(VARIED, name="x", embedder=WORDS, seed=0)
    again = measure_set(VARIED[::-1], name="x", embedder=WORDS, seed=0)
    assert replace(again, vendi=first.vendi, text_vendi=first.text_vendi) == replace(
        first, distance=again.distance, text_distance=again.text_distance
    )
    assert again.vendi == pytest.approx(first.vendi)
    assert again.distance == pytest.approx(first.distance)


def test_a_student_and_a_judge_fill_their_figures() -> None:
    judgement = Judgement("judge-1", ({**dict.fromkeys(HABITS, 2), "backtracking": None},), 1, 0)
    found = measure_set(
        ALIKE,
        name="alike",
        embedder=WORDS,
        seed=0,
        student=StudentDistance("tiny", (-1.0,) * 4, (5,) * 4),
        judgement=judgement,
    )
    assert (found.student, found.student_tokens, found.student_logprob) == ("tiny", 20, -1.0)
    assert found.perplexity == pytest.approx(2.718282)
    assert (found.judge, found.judged_habits) == ("judge-1", judgement.means)


@pytest.mark.parametrize("sets", [{}, {"empty": []}])
def test_nothing_to_measure_is_refused(sets: dict[str, list]) -> None:
    with pytest.raises(ValueError, match="nothing to measure"):
        measure_sets(sets, embedder=WORDS, seed=0)


def test_every_set_is_a_row_of_every_table_and_rows_are_as_long_as_their_heads() -> None:
    sheets = to_sheets(both())
    for sheet in sheets:
        assert [row[0] for row in sheet.rows] == ["alike", "varied"]
        assert {len(row) for row in sheet.rows} == {len(sheet.columns)}
    assert all(a.title != b.title for a, b in pairwise(sheets))
    assert "| varied |" in to_markdown(sheets)
    assert len(to_sheets(measure_sets({"a": ALIKE}, embedder=WORDS, seed=0))) == len(sheets) - 1
