"""Answers of mathematics: the same in other words is right, and nothing else is."""

from __future__ import annotations

import subprocess
import sys
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tailor_rl.tasks.data.math_answers import (
    CHECKERS,
    get_ready,
    read_number,
    same_math,
    same_number,
    same_text,
    written_answer,
)

get_ready()


@pytest.mark.parametrize(
    ("right", "answer"),
    [
        ("72", "72.0"),
        ("72", "$72$"),
        ("72", "72."),
        ("1,000", "1000"),
        ("10000", r"10{,}000"),
        (r"\$32,348", "32348"),
        ("5", r"5\text{ cm}"),
        (r"12\text{ inches}", "12 inch"),
        (r"90^\circ", "90"),
        (r"50\%", "50"),
        (r"\frac{1}{2}", "0.5"),
        (r"\frac12", "2/4"),
        (r"-\frac{7}{4}", r"-1\frac34"),
        ("5", "x = 5"),
        ("-2", "−2"),  # noqa: RUF001  # the typographic minus
    ],
)
def test_a_number_is_the_same_however_it_is_written(right: str, answer: str) -> None:
    assert same_number(right, answer)
    assert same_math(right, answer)


@pytest.mark.parametrize(
    ("right", "answer"),
    [
        ("5", "4, 5"),
        ("5", "4=5"),
        ("5", "x=4=5"),
        ("5", r"4\text{ or }5"),
        ("5", "5 or 6"),
        ("56", "5 6"),
        ("11", "5 6"),
        ("6", "5$ $6"),
        ("5", ""),
        (r"\frac13", "0.333333"),
        (r"50\%", "0.5"),
        (r"5\text{ cm}", r"5\text{ m}"),
        ("10_3", "10_4"),
        ("0", r"\frac{0}{0}"),
        ("100", "1e2"),
        ("5", "5x"),
        ("5", "5 x"),
        ("5", "5 plus six"),
        ("5", "5 million"),
        ("100", "1,00"),
        ("199200", "199, 200"),
    ],
)
def test_lists_guesses_units_and_roundings_are_not_the_number(right: str, answer: str) -> None:
    assert not same_number(right, answer)
    assert not same_math(right, answer)


@pytest.mark.parametrize(
    ("right", "answer"), [("391", "17*23"), ("1024", "2^{10}"), ("720", "6!"), ("15", "7+8")]
)
def test_the_question_is_no_answer(right: str, answer: str) -> None:
    assert not same_math(right, answer)


@pytest.mark.parametrize(
    ("right", "answer"),
    [
        ("x^2+2x+1", "(x+1)^2"),
        ("2x+1", "y=2x+1"),
        (r"2\sqrt{2}", r"\sqrt{8}"),
        (r"\frac{\sqrt3}{3}", r"\frac{1}{\sqrt{3}}"),
        (r"9\pi", r"\pi \cdot 9"),
        ("-2,3", r"\{3,-2\}"),
        ("-199, 200", r"\{200, -199\}"),
        (r"(2,3)\cup(4,5)", r"(4,5)\cup(2,3)"),
        (r"(-\infty,3]", r"\left(-\infty, 3\right]"),
        (r"(1,\frac12)", "(1, 0.5)"),
        (r"\begin{pmatrix}1\\2\end{pmatrix}", r"\begin{pmatrix} 1 \\ 2 \end{pmatrix}"),
        (r"\text{(C)}", "C"),
        ("east", r"\text{East}"),
        ("10_3", "10"),
    ],
)
def test_an_expression_is_the_same_in_another_form(right: str, answer: str) -> None:
    assert same_math(right, answer)


@pytest.mark.parametrize(
    ("right", "answer"),
    [
        ("(1,2)", "(2,1)"),
        ("(1,2)", "[1,2]"),
        ("(1,2)", r"\{1,2\}"),
        (r"(-\infty,3]", r"(-\infty,3)"),
        ("1,2", "1,2,3"),
        ("3,-3", "3"),
        (r"\sqrt2", "1.414214"),
        (r"\pi", "3.141593"),
        ("2k+2", "2(k+2)"),
        ("east", "seat"),
        (r"\text{Evelyn}", "Tom"),
        ("x+11", "x+5 6"),
        (r"\begin{pmatrix}1\\2\end{pmatrix}", r"\begin{pmatrix}2\\1\end{pmatrix}"),
        ("x", "y$ $x"),
        ("x", ""),
    ],
)
def test_what_only_looks_like_the_expression_is_not_it(right: str, answer: str) -> None:
    assert not same_math(right, answer)


@pytest.mark.timeout(10)
@pytest.mark.parametrize(
    "bomb",
    [
        r"9^{9^{9^9}}",
        r"9^{9^9}",
        r"(9^{99})^{99999}",
        "99999999!",
        r"\sum_{i=1}^{100000000} i^i",
        r"\binom{99999999}{9999999}",
        "10^{-99999999999}",
        "(x+y+z)^{60}",
    ],
)
def test_known_bombs_are_wrong_at_once(bomb: str) -> None:
    assert not same_math("x", bomb)
    assert not same_math("5", bomb)


@given(st.text(max_size=200) | st.text(alphabet=r"\{}()[]^_$,=.%0123456789x ", max_size=40))
@settings(max_examples=100, deadline=None)
def test_no_text_raises_or_is_right_by_accident(text: str) -> None:
    read = read_number(text)
    is_it = read is not None and read[0] == 314159265
    assert same_number("314159265", text) == same_math("314159265", text) == is_it
    for check in CHECKERS.values():
        assert not check(r"\sqrt{17}+\frac{e}{3}", text)


@given(st.fractions())
def test_every_fraction_is_read_back(value: Fraction) -> None:
    sign, top, bottom = "-" * (value < 0), abs(value.numerator), value.denominator
    assert read_number(rf"{sign}\frac{{{top}}}{{{bottom}}}") == (value, "")
    assert read_number(f"{sign}{top:,}/{bottom:,}") == (value, "")


def test_an_answer_is_the_one_tag_or_the_last_box() -> None:
    assert written_answer(r"first \boxed{1}, no: \boxed{\frac{1}{2}}") == r"\frac{1}{2}"
    assert written_answer(r"\boxed{1} <answer>2</answer>") == "2"
    assert written_answer(r"<answer>\boxed{2}</answer>") == "2"
    assert written_answer(r"<answer>1</answer> <answer>2</answer> \boxed{1}") is None
    assert written_answer(r"</answer> \boxed{1}") is None
    assert written_answer("so it is 5") is None


def test_megabytes_of_text_are_graded_in_a_moment() -> None:
    for text in (
        "\\boxed{" * 300_000,
        "<answer>" + "9" * 2_000_000,
        "{" * 2_000_000 + "\\boxed{5}",
    ):
        written_answer(text)
    assert same_number("5", "5" + " " * 1990 + "x") is False
    assert same_text("a b", " a\nb ")


def test_importing_the_task_imports_no_library_of_mathematics() -> None:
    code = (
        "import sys, tailor_rl.tasks.data.loading, tailor_rl.tasks.gym.task;"
        "print([m for m in ('sympy', 'math_verify', 'reasoning_gym', 'pyarrow', 'datasets')"
        " if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
