"""Worked solutions: right in every style, visibly different, short enough, and wrong by slips
only.
"""

from __future__ import annotations

import itertools
import re
from random import Random
from typing import Literal

import pytest

from tailor_rl.measures.habits import count_habits as count_behaviours
from tailor_rl.tasks.countdown.expressions import read_expression
from tailor_rl.tasks.countdown.task import Countdown, given
from tailor_rl.tasks.countdown.traces import Solver, Style, rule_based
from tailor_rl.tasks.countdown.wording import Given, is_right, read_problem

TASK = Countdown(ood_numbers=[5])
THREE = Countdown(numbers=[3], ood_numbers=[])
WAYS: tuple[tuple[int, Literal["explicit", "again", "silent"]], ...] = (
    (0, "silent"), (6, "explicit"), (6, "again"), (4, "silent")
)  # fmt: skip
METHODS: tuple[Literal["forward", "backward", "subgoals"], ...] = (
    "forward",
    "backward",
    "subgoals",
)
STYLES = [
    Style(method, tries, each, products, large, restate, verify, retract, numbered)
    for method in METHODS
    for tries, retract in WAYS
    for each, products, large, restate, verify, numbered in itertools.product(
        (True, False), repeat=6
    )
]


def tokens(text: str) -> int:
    """As a student counts them: digits and signs one by one, words in one piece."""
    return len(re.findall(r"[A-Za-z]+|[0-9]|[^\sA-Za-z0-9]", text))


def check_equations(text: str) -> int:
    """How many equations a text has; all sides of each must have one value."""
    seen = 0
    for part in re.split(r"[.,:]", text):
        if "=" in part:
            first, *others = re.sub(r"^[^\d(]*", "", part).split(" = ")
            read = [read_expression(side) for side in (first, *others)]
            assert len({side.value if side else None for side in read}) == 1, (part, text)
            assert None not in read
            seen += 1
    return seen


@pytest.mark.parametrize("split", ["train", "ood/numbers-5"])
def test_every_style_reaches_a_right_answer(split: str) -> None:
    for number, style in enumerate(STYLES):
        problem = TASK.problem(split, number % 50)
        for rng in (None, Random(number)):
            text = Solver(read_problem(problem.prompt), style, rng=rng).write()
            assert TASK.grade(problem, text) == 1.0, (style, text)


def test_styles_write_visibly_different_traces() -> None:
    problem = TASK.problem("train", 3)
    traces = {Solver(given(problem), style, rng=Random(0)).write() for style in STYLES}
    assert len(traces) > len(STYLES) // 3


def test_every_calculation_of_a_trace_is_true() -> None:
    """Whatever is written as "a + b = c", also on the way to nowhere, also undone from the goal."""
    seen = 0
    for number, style in enumerate(STYLES):
        text = Solver(given(TASK.problem("train", number)), style, rng=Random(number)).write()
        seen += check_equations(text)
    assert seen > 3000


def test_every_comparison_of_a_trace_is_true() -> None:
    for number, style in enumerate(STYLES):
        text = Solver(given(TASK.problem("train", number)), style, rng=Random(number)).write()
        for value, negated, goal in re.findall(r"(\d+) is (not )?(\d+)\.", text):
            assert (value != goal) == bool(negated)


def test_traces_of_three_and_four_numbers_fit_a_context_of_1024_tokens() -> None:
    for number, style in enumerate(STYLES):
        for problem in (THREE.problem("train", number), TASK.problem("ood/targets", number)):
            for text in (
                Solver(given(problem), style, rng=Random(number)).write(),
                TASK.rule_based_trace(problem),
            ):
                assert tokens(problem.prompt) + tokens(text) < 980


def test_failures_are_bounded_and_none_means_straight_to_the_solution() -> None:
    for number, style in enumerate(STYLES):
        text = Solver(given(TASK.problem("train", number)), style, rng=Random(number)).write()
        if style.verify:
            assert len(re.findall(r"None is|is not", text)) <= style.tries
        if style.tries == 0:
            assert not re.search("Go back|Try again|None is|is not", text)


def test_the_rule_based_trace_of_three_numbers_tries_everything_before_the_solution() -> None:
    text = rule_based(Given((2, 3, 7), 13))
    assert text == (
        "Try 2 + 3 = 5, left 5 7: 5 + 7 = 12, 7 - 5 = 2, 5 * 7 = 35. None is 13. Go back to 2 3 7. "
        "Try 3 - 2 = 1, left 1 7: 1 + 7 = 8, 7 - 1 = 6, 1 * 7 = 7, 7 / 1 = 7. None is 13. "
        "Go back to 2 3 7. Try 2 * 3 = 6, left 6 7: 6 + 7 = 13. 13 is 13. "
        "Check: 2 * 3 = 6, 6 + 7 = 13. So 13 = 6 + 7 = (2 * 3) + 7. <answer> (2 * 3) + 7</answer>"
    )


@pytest.mark.parametrize(
    ("style", "behaviours"),
    [
        (Style(tries=0, verify=False), set()),
        (Style(tries=0, verify=True), {"verification"}),
        (Style(tries=9, verify=False), {"backtracking"}),
        (Style(tries=9, verify=False, retract="again"), {"backtracking"}),
        (Style(tries=9, verify=False, retract="silent"), set()),
        (Style(tries=9, verify=True, each=False), {"backtracking", "verification"}),
        (Style(tries=0, verify=False, method="backward"), {"backward_chaining"}),
        (Style(tries=0, verify=False, method="subgoals"), {"subgoal_setting"}),
        (Style(tries=9, method="subgoals"), {"verification", "backtracking", "subgoal_setting"}),
    ],
)
def test_each_behaviour_can_be_switched_on_and_off(style: Style, behaviours: set[str]) -> None:
    text = Solver(Given((2, 3, 7), 13), style).write()
    assert {name for name, count in count_behaviours(text).items() if count} == behaviours, text


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("each", [True, False])
def test_a_slip_makes_wrong_answers(method, each: bool) -> None:
    style = Style(method=method, each=each)
    right = []
    for i in range(100):
        problem = TASK.problem("train", i)
        right.append(
            TASK.grade(problem, Solver(given(problem), style, rng=Random(i), slip=0.3).write())
        )
    assert 0 < sum(right) < 100


def test_a_trace_with_fractions_is_right() -> None:
    for method in METHODS:
        for each in (True, False):
            hand = Given((3, 8, 3, 8), 24)
            style = Style(method=method, each=each)
            assert is_right(Solver(hand, style, rng=Random(0)).write(), hand)


@pytest.mark.parametrize("numbers", [(1, 1), (1, 1, 1), (1, 1, 1, 1), (5,)])
def test_a_problem_without_solution_is_given_up_aloud(numbers: tuple[int, ...]) -> None:
    text = Solver(Given(numbers, 97), Style()).write()
    assert "I find no way." in text and text.endswith("</answer>")


def test_numbers_that_need_two_pairs_are_solved_backwards_too() -> None:
    hand = Given((2, 3, 5, 11), 80)  # (2 + 3) * (5 + 11), and no operation has one number on a side
    for method in METHODS[1:]:
        style = Style(method=method)
        assert is_right(Solver(hand, style).write(), hand)


@pytest.mark.parametrize(
    ("text", "behaviour", "count"),
    [
        ("This makes 1, which is not equal to 22.", "verification", 1),
        ("12 is not 13, too low. 14 != 13, too high", "verification", 3),
        ("That doesn't equal 22. 5 ≠ 6.", "verification", 2),
        ("Let me try again. We need to try a different sequence; going back.", "backtracking", 3),
        ("First, I'll try to get close to 12, then add.", "subgoal_setting", 1),
        ("Sub-goal: 12. Next subgoal 24.", "subgoal_setting", 2),
        ("Let's work backwards from the target.", "backward_chaining", 1),
        ("Try 13 - 2 = 11, so 11 from 3 7:", "backward_chaining", 1),
        ("3 + 7 = 10, left 10 2.", "verification", 0),
        ("Give me the first number. Then another. We get 5.", "subgoal_setting", 0),
    ],
)
def test_behaviours_are_counted_by_their_words(text: str, behaviour: str, count: int) -> None:
    assert count_behaviours(text)[behaviour] == count


@pytest.mark.parametrize(
    "text", ["first " * 200_000, "= 1" * 200_000, "try " * 200_000, "9" * 10**6]
)
@pytest.mark.timeout(5)
def test_counting_is_quick_on_any_text(text: str) -> None:
    assert set(count_behaviours(text)) == {
        "verification",
        "backtracking",
        "subgoal_setting",
        "backward_chaining",
    }
