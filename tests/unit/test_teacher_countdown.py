# ruff: noqa: RUF001 - typographic signs are what students write
"""Countdown and hands of cards, as the built-in teacher reads a student's answers."""

from __future__ import annotations

import re
import time
from fractions import Fraction
from random import Random

import pytest

from tailor_rl.tasks.countdown.drills import Mixture, Upbringing
from tailor_rl.tasks.countdown.task import Countdown, given
from tailor_rl.tasks.countdown.wording import is_right
from tailor_rl.teachers.builtin.calculations import calculations
from tailor_rl.teachers.builtin.subjects.countdown import COUNTDOWN
from tailor_rl.teachers.builtin.subjects.general_points import GENERAL_POINTS
from tailor_rl.teachers.prompts import ShownAttempt

PROBLEM = "Numbers 3 7 2. Target 13."
HAND = "Black cards K 4 2 A. J Q K count 11 12 13. Target 24."
TRIED = "Try 3 + 7 = 10, left 10 2: 10 + 2 = 12, 10 - 2 = 8, 10 * 2 = 20, 10 / 2 = 5. None is 13."
SHOWN = {
    "guess": "I think it is this: <answer>(3 + 7) + 2</answer>",
    "misused": f"{TRIED} Try 10 + 3 = 13. 13 is 13. <answer>(3 + 7) + 3</answer>",
    "slip": "Try 3 + 7 = 11, left 11 2: 11 + 2 = 13. 13 is 13. <answer>(3 + 7) + 2</answer>",
    "differs": "Try 3 * 2 = 6, left 6 7: 6 + 7 = 13. 13 is 13. <answer>(3 + 2) + 7</answer>",
    "few_tries": "Try 3 + 7 = 10, left 10 2. Try 10 + 2 = 12. So 12 = 10 + 2 = (3 + 7) + 2. "
    "<answer> (3 + 7) + 2</answer>",
    "other": f"{TRIED} Go back to 3 7 2. Try 7 - 3 = 4, left 4 2: 4 + 2 = 6, 4 - 2 = 2, 4 * 2 = 8. "
    "None is 13. <answer> (7 - 3) * 2</answer>",
    "unreadable": f"{TRIED} <answer>ten and two</answer>",
    "unfinished": f"{TRIED} Go back to 3 7 2. Try",
}


@pytest.mark.parametrize("kind", SHOWN)
def test_each_kind_of_wrong_answer_is_diagnosed(kind: str) -> None:
    assert COUNTDOWN.pattern_of(ShownAttempt(PROBLEM, SHOWN[kind], False)) == kind


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        ("3 + 7 = 10. <answer>3 + 7</answer>", "misused"),  # leaves one out
        ("3 + 7 = 10. <answer>3 + 7 + 2 + 1</answer>", "misused"),  # brings one in
        ("Ten: <answer>3 + 7", "unfinished"),
        ("3 + 7 = 10. <answer>3 + 7 + 2 = 12</answer>", "unreadable"),
        ("3 + 7 = 10. <answer>3 + 7 + 2</answer><answer>3 * 2 + 7</answer>", "unreadable"),
        ("3 + 7 = 10. <answer>7 / (3 - 3) + 2</answer>", "misused"),
        ("3 × 7 = 21 and 21 − 2 = 18, so <answer>3 × 7 − 2</answer>", "slip"),
        (f"{TRIED} 3 * 2 = 6, 6 + 7 = 13. 13 is 13. <answer>(3 + 7) + 2</answer>", "differs"),
        ("7 / 0 = 7. <answer>3 + 7 + 2</answer>", "slip"),
    ],
)
def test_other_words_and_signs_are_read_too(answer: str, kind: str) -> None:
    assert COUNTDOWN.pattern_of(ShownAttempt(PROBLEM, answer, False)) == kind


def test_an_operation_that_is_not_allowed_is_misuse() -> None:
    shown = ShownAttempt(f"{PROBLEM} Only + -.", "3 * 2 = 6. <answer>3 * 2 + 7</answer>", False)
    assert COUNTDOWN.pattern_of(shown) == "misused"


def test_a_miscounted_card_is_diagnosed_before_what_follows_from_it() -> None:
    shown = {
        "miscounted": "Values 10 4 2 1. Try 10 + 4 = 14. <answer> (10 + 4) * 2 - 4</answer>",
        "few_tries": "Values 13 4 2 1. Try 13 + 4 = 17, left 17 2 1. Try 17 + 2 = 19, left 19 1. "
        "Try 19 + 1 = 20. <answer> ((13 + 4) + 2) + 1</answer>",
        "guess": "<answer> ((13 + 4) + 2) + 1</answer>",
        "misused": "10 + 4 = 14. <answer> 10 + 4 + 2 + 1</answer>",
    }
    for kind, text in shown.items():
        assert GENERAL_POINTS.pattern_of(ShownAttempt(HAND, text, False)) == kind


@pytest.mark.parametrize(("habit", "kind"), [("guess", "guess"), ("one_try", "few_tries")])
def test_the_bad_habits_that_students_are_raised_on_are_seen(habit: str, kind: str) -> None:
    raised = Upbringing(seed=1, mixture=dict.fromkeys(Mixture.__slots__, 0.0) | {habit: 1.0})
    documents = [raised.document() for _ in range(100)]
    wrong = [
        ShownAttempt(prompt, text, False)
        for prompt, text in documents
        if not is_right(text, COUNTDOWN.read(prompt))
    ]
    assert len(wrong) > 50
    assert {COUNTDOWN.pattern_of(shown) for shown in wrong} == {kind}


def test_a_slip_of_a_tired_teacher_is_found() -> None:
    """A hot teacher takes a miss for the target; its expression then has another value."""
    task = Countdown(numbers=[3])
    for index in range(40):
        problem = task.problem("train", index)
        text = COUNTDOWN.write(given(problem), COUNTDOWN.style(tries=12), Random(index), 1.0)
        if task.grade(problem, text) < 1.0:
            assert COUNTDOWN.pattern_of(ShownAttempt(problem.prompt, text, False)) == "slip"


def test_every_calculation_of_a_steady_trace_is_right() -> None:
    task = Countdown(numbers=[3, 4])
    for index in range(100):
        style = COUNTDOWN.style_for(None, Random(index), variety=1.0)
        text = COUNTDOWN.write(given(task.problem("train", index)), style, Random(index), 0.0)
        found = list(calculations(text))
        assert len(found) >= 2 and all(one.right for one in found), text


@pytest.mark.parametrize("count", [3, 4, 5, 6])
def test_the_longest_search_stays_within_the_context_of_a_student(count: int) -> None:
    """1,024 tokens, prompt and answer included; here every number, word and sign is one."""
    task = Countdown(numbers=[count], ood_numbers=[], ood_values=[])
    for index in range(60):
        problem = task.problem("train", index)
        style = COUNTDOWN.style(tries=12, numbered=True, restate=True, each=index % 2 == 0)
        text = COUNTDOWN.write(given(problem), style, Random(index), 0.0)
        assert len(re.findall(r"\w+|[^\w\s]", f"{problem.prompt} {text}")) < 1000


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("3 + 7 = 10", [("3 + 7", 10)]),
        ("3 + 7 = 10 * 2 = 20", [("10 * 2", 20)]),
        ("- 3 + 7 = 10\n* 2 * 5 = 10", [("3 + 7", 10), ("2 * 5", 10)]),
        ("1. (3 + 7) × 2 = 20.", [("(3 + 7) × 2", 20)]),
        ("8 / 3 = (8/3).", [("8 / 3", Fraction(8, 3))]),
        ("13 = 6 + 7 = (3 * 2) + 7", []),
        ("3.5 + 2 = 5.5, 1,000 + 5 = 1,005", []),
        ("x = 3, 10 = 10, 3 + = 4, = = =", []),
        ("3 + 4 + 5 = 12 left", [("3 + 4 + 5", 12)]),
    ],
)
def test_calculations_are_found_in_any_sentence(text: str, found: list[tuple[str, int]]) -> None:
    assert [(one.written, one.claimed) for one in calculations(text)] == found


@pytest.mark.parametrize(
    "prompt", ["Numbers 1 2 3 4 5 6 7. Target 999.", "Numbers 3 7. Target 4. Only - /."]
)
def test_what_would_take_too_long_or_cannot_be_searched_is_declined(prompt: str) -> None:
    assert not COUNTDOWN.knows(prompt)


@pytest.mark.parametrize(
    "unit", ["3 + 7 = ", "(", "1 + 1 = 2 ", "= ", "Values 1 2 ", "-", "<", "9"]
)
def test_a_diagnosis_of_a_long_text_comes_at_once(unit: str) -> None:
    text = f"{unit * (200_000 // len(unit))} <answer>{unit}</answer>"
    started = time.perf_counter()
    for subject, prompt in ((COUNTDOWN, PROBLEM), (GENERAL_POINTS, HAND)):
        assert subject.pattern_of(ShownAttempt(prompt, text, False)) in subject.patterns
    assert time.perf_counter() - started < 5.0
