"""Laws of who follows which primitive."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from tailor_rl.primitives.assign import assigned, exchanged, following, pairs, with_habits
from tailor_rl.teachers.prompts import Prompts, parse_demonstrate_prompt, parse_habits_prompt
from tailor_rl.types import Primitive, Problem

PROMPTS = Prompts()


def problems(num: int) -> list[Problem]:
    return [Problem(f"task:train:{i}", f"{i} + 1 = ?", str(i + 1), "train", 1) for i in range(num)]


def primitives(num: int) -> list[Primitive]:
    return [
        Primitive(f"p{i}", f"n{i}", f"Instruction {i}.", f"t{i}", (f"a{i}",), "fake", 0.8)
        for i in range(num)
    ]


def test_a_guide_tells_the_teacher_what_its_primitive_says() -> None:
    chosen = primitives(3)
    guide = following(PROMPTS, chosen, problems(3), seed=0)(problems(3)[1], 0)
    asked = parse_demonstrate_prompt(guide.asked.prompt)
    assert guide.primitive_id is not None
    assert asked.instruction == f"Instruction {guide.primitive_id[1:]}."
    assert asked.problem == "1 + 1 = ?"


def test_further_tries_go_through_every_primitive_before_one_comes_again() -> None:
    guides = following(PROMPTS, primitives(5), problems(9), seed=3)
    for problem in problems(9):
        tried = [guides(problem, sample).primitive_id for sample in range(10)]
        assert len(set(tried[:5])) == 5 and tried[:5] == tried[5:]


def test_an_assignment_is_followed_at_every_try() -> None:
    one = primitives(1)[0]
    guides = assigned(PROMPTS, {problem.id: one for problem in problems(2)})
    assert {guides(problems(2)[1], sample).primitive_id for sample in range(4)} == {"p0"}


def test_habits_are_asked_for_by_their_own_prompt() -> None:
    guide = with_habits(PROMPTS)(problems(1)[0], 0)
    assert parse_habits_prompt(guide.asked.prompt) == "0 + 1 = ?"
    assert guide.primitive_id is None


@given(st.lists(st.integers(0, 6), min_size=1, max_size=60), st.integers(0, 5))
def test_an_exchange_keeps_the_counts_and_leaves_nobody_their_own_unless_one_has_the_majority(
    drawn: list[int], seed: int
) -> None:
    before = {f"q{i}": f"p{primitive}" for i, primitive in enumerate(drawn)}
    after = exchanged(before, seed=seed)
    assert set(after) == set(before)
    assert Counter(after.values()) == Counter(before.values())
    most = max(Counter(drawn).values())
    unmoved = sum(before[name] == after[name] for name in before)
    assert unmoved == max(0, 2 * most - len(drawn))


def test_an_exchange_keeps_no_groups_together() -> None:
    before = {f"q{i}": f"p{i % 8}" for i in range(200)}
    after = exchanged(before, seed=3)
    met = {(before[name], after[name]) for name in before}
    assert len(met) > 50  # of 8 x 7


def test_pairs_use_every_primitive_about_equally_often_and_know_their_parents() -> None:
    made = pairs(primitives(8), num=8, seed=1)
    uses = Counter(parent for pair in made for parent in pair.parents)
    assert len({pair.id for pair in made}) == 8
    assert set(uses.values()) == {2} and len(uses) == 8
    one, other = (primitives(8)[int(parent[1:])] for parent in made[0].parents)
    assert made[0].instruction == f"{one.instruction} {other.instruction}"
    assert made[0].source_attempt_ids == (*one.source_attempt_ids, *other.source_attempt_ids)


def test_there_are_no_more_pairs_than_there_are() -> None:
    assert len(pairs(primitives(3), num=9, seed=0)) == 3
    assert pairs(primitives(1), num=9, seed=0) == []
