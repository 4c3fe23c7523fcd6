"""Habits by patterns: what each built-in style shows, what other models say, and speed."""

from __future__ import annotations

from random import Random

import pytest

from tailor_rl.measures.habits import HABITS, count_habits, mean_habits
from tailor_rl.tasks.igsm.reading import read_problem
from tailor_rl.tasks.igsm.task import IGSM
from tailor_rl.tasks.igsm.traces import Solver as SumSolver
from tailor_rl.tasks.igsm.traces import Style as SumStyle
from tailor_rl.tasks.knights.traces import Solver as RoleSolver
from tailor_rl.tasks.knights.traces import Style as RoleStyle


def seen(text: str) -> set[str]:
    return {habit for habit, count in count_habits(text).items() if count}


@pytest.mark.parametrize(
    ("text", "counts"),
    [
        # verification, backtracking, subgoal setting, backward chaining
        ("The answer is 7.", (0, 0, 0, 0)),
        ("This makes 1, which is not equal to 22.", (1, 0, 0, 0)),
        ("Let me double-check: 3 + 4 = 7. Verified.", (2, 0, 0, 0)),
        ("Let\u2019s check that Ann is a knave. That contradicts her claim.", (2, 0, 0, 0)),
        ("Plugging it back in, both sides match.", (1, 0, 0, 0)),
        ("Wait, that doesn't work. Let me try another way.", (0, 3, 0, 0)),
        ("Hmm, a dead end; going back to the start. Alternatively, use 7.", (0, 3, 0, 0)),
        ("First, I'll find the sum, then divide.", (0, 0, 1, 0)),
        ("Let us break the problem into two subgoals.", (0, 0, 2, 0)),
        ("Needed: a, b. Check: no sums.", (0, 0, 1, 0)),
        ("My plan is simple.", (0, 0, 1, 0)),
        ("Let's work backwards from the target.", (0, 0, 0, 1)),
        ("To find the total we need the price.", (0, 0, 0, 1)),
        ("I need to consider the following: a, b.", (0, 0, 0, 0)),
        ("Please wait for the bus.", (0, 0, 0, 0)),
        ("It comes first. We get 5.", (0, 0, 0, 0)),
    ],
)
def test_habits_are_counted_by_their_words(text: str, counts: tuple[int, ...]) -> None:
    assert count_habits(text) == dict(zip(HABITS, counts, strict=True))


@pytest.mark.parametrize(
    ("style", "habits"),
    [
        (SumStyle(), set()),
        (SumStyle(symbols=True), set()),
        (SumStyle(restate=True), set()),
        (SumStyle(everything=True), set()),
        (SumStyle(plan=True), {"subgoal_setting"}),
        (SumStyle(verify=True), {"verification"}),
        (SumStyle(reflect=True), {"backtracking"}),
        (SumStyle(go_back=True), {"backtracking"}),
        (SumStyle(subgoals=True), {"subgoal_setting"}),
        (SumStyle(order="backward"), {"backward_chaining"}),
        (SumStyle(order="backward", plan=True), {"backward_chaining", "subgoal_setting"}),
    ],
)
def test_each_style_of_igsm_shows_its_habits_and_no_other(
    style: SumStyle, habits: set[str]
) -> None:
    task = IGSM()
    for index in (0, 1):  # whose questions need more than a sentence, and a sum
        read = read_problem(task.problem("train", index).prompt)
        assert seen(SumSolver(read, style, rng=Random(index)).write()) == habits


@pytest.mark.parametrize(
    ("style", "habits"),
    [
        (RoleStyle(retract="silent"), {"verification"}),
        (RoleStyle(retract="explicit"), {"verification", "backtracking"}),
        (RoleStyle(retract="next", numbered=True), {"verification", "backtracking"}),
        (RoleStyle(method="grow", retract="explicit"), {"verification", "backtracking"}),
        (RoleStyle(retract="silent", verify=True, facts_first=True), {"verification"}),
        (RoleStyle(retract="silent", subgoals=True), {"verification", "subgoal_setting"}),
        (RoleStyle(backward=True), {"backward_chaining"}),
    ],
)
def test_each_style_of_knights_shows_its_habits_and_no_other(
    style: RoleStyle, habits: set[str]
) -> None:
    """Both call each other a knave, so that the first case, two knights, is a conflict."""
    claims = [("knave", 1), ("knave", 0)]
    assert seen(RoleSolver(["Ann", "Bob"], claims, style).write()) == habits


def test_a_second_look_is_one_verification_more() -> None:
    once = count_habits("Suppose ANN honest. ANN Bob knave vs BOB lying true; ANN honest, fits.")
    again = count_habits("Suppose ANN honest. Check again. ANN honest, fits.")
    assert (once["verification"], again["verification"]) == (0, 1)


@pytest.mark.parametrize(
    "text",
    [
        *("first " * 40_000, "= 1" * 40_000, "try " * 40_000, "9" * 10**5),
        *("to find " * 20_000, "need a " * 20_000, "check " * 20_000, "wait " * 40_000),
    ],
)
@pytest.mark.timeout(5)
def test_counting_is_quick_on_any_text(text: str) -> None:
    assert tuple(count_habits(text)) == HABITS


def test_means_leave_out_what_was_not_counted() -> None:
    rows: list[dict[str, int | None]] = [
        dict.fromkeys(HABITS, 2),
        {**dict.fromkeys(HABITS, None), "verification": 5},
    ]
    assert mean_habits(rows) == {**dict.fromkeys(HABITS, 2.0), "verification": 3.5}
    assert mean_habits([]) == dict.fromkeys(HABITS, None)
