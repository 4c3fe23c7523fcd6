"""iGSM, as the built-in teacher reads a student's answers."""

from __future__ import annotations

import time
from random import Random

import pytest

from tailor_rl.tasks.igsm.drills import Mixture, Upbringing
from tailor_rl.tasks.igsm.reading import read_problem
from tailor_rl.tasks.igsm.task import IGSM
from tailor_rl.tasks.igsm.traces import Style
from tailor_rl.tasks.igsm.wording import ask
from tailor_rl.teachers.builtin.subjects.igsm import IGSM_PROBLEMS
from tailor_rl.teachers.builtin.subjects.igsm_sentences import claims
from tailor_rl.teachers.prompts import ShownAttempt

PROBLEM = (
    "Modulo 7. NorthRed = 4 more than SouthRed. SouthRed = 6. NorthBlue = 5. "
    "SouthBlue = 3 times SouthRed + NorthRed. SouthBlue?"
)
FIRST, SECOND = "So SouthRed is 6.", "So NorthRed: 4 + SouthRed 6 = 3; NorthRed is 3."
END = "<answer> 3</answer>"
LAST = "So SouthBlue: SouthRed 6 + NorthRed 3 = 2; 3 * 2 = 6; SouthBlue is 6."
SHOWN = {
    "guess": "It must be <answer> 1</answer>",
    "misread": f"{FIRST} So NorthRed: 3 + SouthRed 6 = 2; NorthRed is 2. <answer> 2</answer>",
    "undefined": "So NorthRed: 4 + SouthRed 2 = 6; NorthRed is 6. <answer> 1</answer>",
    "recalled": f"{FIRST} So NorthRed: 4 + SouthRed 5 = 2; NorthRed is 2. <answer> 2</answer>",
    "wrap": f"{FIRST} So NorthRed: 4 + SouthRed 6 = 4; NorthRed is 4. <answer> 4</answer>",
    "slip": f"{FIRST} {SECOND} So SouthBlue: SouthRed 6 + NorthRed 3 = 2; 3 * 2 = 5; "
    "SouthBlue is 5. <answer> 5</answer>",
    "irrelevant": f"{FIRST} So NorthBlue is 5. <answer> 5</answer>",
    "not_asked": f"{FIRST} {SECOND} <answer> 3</answer>",
    "unreadable": f"{FIRST} {SECOND} {LAST} <answer> six</answer>",
    "unfinished": f"{FIRST} {SECOND} So South",
    "other": "SouthRed and 4 more are 4 + 6 = 3. <answer> 4</answer>",
}
LETTERS = {
    "misread": "Define SouthRed as a; so a = 5. <answer> 5</answer>",
    "undefined": "Define NorthRed as b; so b = 4 + a = 4 + 2 = 6. <answer> 6</answer>",
    "recalled": "Define SouthRed as a; so a = 6. Define NorthRed as b; so b = 4 + a = 4 + 1 = 5. "
    "<answer> 5</answer>",
    "wrap": "Define SouthRed as a; so a = 6. Define NorthRed as b; so b = 4 + a = 4 + 6 = 2. "
    "<answer> 2</answer>",
    "slip": "Define SouthRed as a; so a = 6. Define NorthRed as b; so b = 4 + a = 4 + 6 = 3. "
    "Define SouthBlue as c; k = a + b = 6 + 3 = 2; so c = 3 * k = 3 * 2 = 1. <answer> 1</answer>",
    "not_asked": "Define SouthRed as a; so a = 6. <answer> 6</answer>",
}


def pattern(text: str, prompt: str = PROBLEM) -> str | None:
    return IGSM_PROBLEMS.pattern_of(ShownAttempt(prompt, text, False))


@pytest.mark.parametrize("kind", SHOWN)
def test_each_kind_of_wrong_answer_is_diagnosed(kind: str) -> None:
    assert pattern(SHOWN[kind]) == kind


@pytest.mark.parametrize("kind", LETTERS)
def test_definitions_with_letters_are_read_too(kind: str) -> None:
    assert pattern(LETTERS[kind]) == kind


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (f"{FIRST} {SECOND} {LAST} <answer> 5</answer>", "not_asked"),  # another's value
        (f"{FIRST} {SECOND} {LAST.replace('is 6', 'is 5')} <answer> 5</answer>", "recalled"),
        ("Told: NorthRed = 3. So NorthBlue is 5. <answer> 5</answer>", "misread"),
        (f"{FIRST} So NorthRed: 4 + SouthBlue 6 = 3; NorthRed is 3. {END}", "misread"),
        (f"{FIRST} So NorthRed: 4 - SouthRed 6 = 5; NorthRed is 5. {END}", "misread"),
        (f"So NorthBlue: 4 + 4 = 5; NorthBlue is 3. So NorthPlum is 3. {END}", "irrelevant"),
        ("4 + 6 = 4, so <answer> 4</answer>", "wrap"),
        ("3 * 2 = 5, so <answer> 5</answer>", "slip"),
        (f"{FIRST} <answer> 6</answer> <answer> 5</answer>", "unreadable"),
        ("So SouthRed is 5. Once more. So SouthRed is 6. <answer> 6</answer>", "not_asked"),
    ],
)  # fmt: skip
def test_finer_points_of_a_diagnosis(answer: str, kind: str) -> None:
    assert pattern(answer) == kind


def test_a_result_beyond_the_range_is_no_fault_while_it_is_the_same_number() -> None:
    unwrapped = "So NorthRed: 4 + SouthRed 6 = 10; NorthRed is 10."
    assert pattern(f"{FIRST} {unwrapped} <answer> 10</answer>") == "not_asked"


def test_the_long_wording_is_diagnosed_in_its_own_words() -> None:
    full = ask(read_problem(PROBLEM).puzzle, wording="full")
    shown = {
        "guess": "The answer is \\boxed{2}.",
        "unfinished": "So South's Red is 6. The answer",
        "not_asked": "So South's Red is 6. The answer is \\boxed{6}.",
        "wrap": "So South's Red is 6. So North's Red: 4 + South's Red 6 = 4; North's Red is 4. "
        "The answer is \\boxed{4}.",
    }
    assert {kind: pattern(text, full) for kind, text in shown.items()} == {k: k for k in shown}


@pytest.mark.parametrize(
    ("habit", "kinds"),
    [
        ("guess", {"guess"}),
        ("one_number", {"irrelevant", "not_asked", "guess"}),
        ("two_numbers", {"irrelevant", "not_asked", "guess"}),
    ],
)
def test_the_bad_habits_that_students_are_raised_on_are_seen(habit: str, kinds: set[str]) -> None:
    raised = Upbringing(seed=1, mixture=dict.fromkeys(Mixture.__slots__, 0.0) | {habit: 1.0})
    found = {pattern(text, prompt) for prompt, text in (raised.document() for _ in range(150))}
    assert found <= kinds and (habit == "guess" or len(found) > 1)


@pytest.mark.parametrize("preset", ["small", "med", "rl"])
def test_a_steady_trace_has_no_fault_to_be_found(preset: str) -> None:
    """What is left to say of a trace that is right in every line, and called wrong."""
    task = IGSM(preset=preset)
    for index in range(30):
        prompt = task.problem("train", index).prompt
        style = IGSM_PROBLEMS.style_for(None, Random(index), variety=1.0)
        text = IGSM_PROBLEMS.write(read_problem(prompt), style, Random(index), 0.0)
        assert claims(text), text
        assert pattern(text, prompt) == "other", text


@pytest.mark.parametrize("symbols", [False, True])
def test_the_slips_of_a_tired_teacher_are_found(symbols: bool) -> None:
    task = IGSM(preset="small")
    seen = set()
    for index in range(200):
        problem = task.problem("train", index)
        style = Style(symbols=symbols)
        text = IGSM_PROBLEMS.write(read_problem(problem.prompt), style, Random(index), 0.3)
        if task.grade(problem, text) < 1.0:
            seen.add(pattern(text, problem.prompt))
    assert seen == {"slip", "wrap"}


LONG = "So |So a: |Define a as b; |= |1 + 1 = 2; |. So SouthRed is 6|. Told: a|\\boxed{"


@pytest.mark.parametrize("unit", LONG.split("|"))
def test_a_diagnosis_of_a_long_text_comes_at_once(unit: str) -> None:
    text = f"{unit * (200_000 // len(unit))} <answer> 3</answer>"
    started = time.perf_counter()
    assert pattern(text) in IGSM_PROBLEMS.patterns
    assert time.perf_counter() - started < 5.0
