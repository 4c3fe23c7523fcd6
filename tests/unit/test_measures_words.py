"""Words, stems, and what is left of a trace without its problem's content."""

from __future__ import annotations

import pytest

from tailor_rl.measures.words import abstracted, content_words, stem, words


def test_words_are_lower_case_words_numbers_and_signs() -> None:
    assert words("So 12 + x_1 ≠ 3; isn\u2019t it? (No!)") == [
        *("so", "12", "+", "x", "1", "≠", "3"),
        *("isn't", "it", "no"),
    ]
    assert words("Double-check x-y, a 3-fold sub-goal") == [
        *("double-check", "x", "-", "y", "a", "3", "-", "fold", "sub-goal"),
    ]


@pytest.mark.parametrize(
    "forms",
    [
        "verify verifies verified verifying",
        "try tries tried trying",
        "use uses used using",
        "make makes making",
        "check checks checked checking",
        "knave knaves",
        "lie lies lied lying",
        "run runs running",
        "need needs needed needing",
        "Ann's".lower() + " ann",
    ],
)
def test_inflections_have_one_stem(forms: str) -> None:
    assert len({stem(form) for form in forms.split()}) == 1


def test_words_of_different_meaning_keep_different_stems() -> None:
    different = [
        *("if", "is", "not", "no", "class", "true", "false", "less", "king", "thing", "sing"),
        *("red", "bed", "us", "bus"),
    ]
    assert len({stem(word) for word in different}) == len(different)


def test_function_words_carry_no_content_and_negation_does() -> None:
    assert content_words("This is not the answer.") == ["not", "answer"]


def test_names_and_numbers_of_the_problem_are_abstracted() -> None:
    prompt = "Rye Bread = 4. If Ann's Oat is 2, then what?"
    assert abstracted("So Rye Bread is 4 + k; Ann's Oat fits.", prompt) == [
        *("so", "X", "is", "0", "+", "X", "fits"),
    ]


def test_words_of_reasoning_stay_though_the_prompt_has_them() -> None:
    assert abstracted("First check, then try again.", "Try and check it first, then again.") == [
        *("first", "check", "then", "try", "again"),
    ]


def test_traces_that_differ_in_content_alone_are_the_same_when_abstracted() -> None:
    first = abstracted("Suppose ANN honest, so 3.", "ANN Bob knave. 3?")
    second = abstracted("Suppose EVE honest, so 17.", "EVE Tom knave. 17?")
    assert first == second != abstracted("Case 1: EVE honest.", "EVE Tom knave. 17?")
