"""Expressions: exact values, and nothing but arithmetic gets in."""
# ruff: noqa: RUF001 - look-alike signs are what is tested

from __future__ import annotations

import time
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailor_rl.tasks.countdown.expressions import MAX_CHARS, MAX_DEPTH, read_expression


@pytest.mark.parametrize(
    ("text", "value", "numbers"),
    [
        ("7", Fraction(7), (7,)),
        (" 1 + 2 * 3 ", Fraction(7), (1, 2, 3)),
        ("(1 + 2) * 3", Fraction(9), (1, 2, 3)),
        ("8 - 3 - 2", Fraction(3), (2, 3, 8)),
        ("8 / 4 / 2", Fraction(1), (2, 4, 8)),
        ("8 / (4 / 2)", Fraction(4), (2, 4, 8)),
        ("2 * 8 / 3", Fraction(16, 3), (2, 3, 8)),
        ("8/(3-8/3)", Fraction(24), (3, 3, 8, 8)),
        ("1 / 3 + 1 / 3 + 1 / 3", Fraction(1), (1, 1, 1, 3, 3, 3)),
        ("3 × 4 ÷ 6 − 1", Fraction(1), (1, 3, 4, 6)),
        ("-3 + 5", Fraction(2), (3, 5)),
        ("4 * -2", Fraction(-8), (2, 4)),
        ("-(2 - 5) * 2", Fraction(6), (2, 2, 5)),
        ("((((5))))", Fraction(5), (5,)),
        ("1\n+\t2", Fraction(3), (1, 2)),
        ("0 * 999999999", Fraction(0), (0, 999999999)),
        ("1 / 0", None, (0, 1)),
        ("5 + 3 / (2 - 2) * 0", None, (0, 2, 2, 3, 5)),
    ],
)
def test_values_by_hand(text: str, value: Fraction | None, numbers: tuple[int, ...]) -> None:
    read = read_expression(text)
    assert read is not None
    assert (read.value, read.numbers) == (value, numbers)


def test_the_operators_are_told_and_a_minus_before_an_operand_is_one() -> None:
    read = read_expression("-(1 + 2) ÷ 3")
    assert read is not None and read.operators == {"-", "+", "/"}


REFUSED = [
    "",
    " ",
    "+",
    "1 +",
    "+ 1",
    "1 2",
    "(1",
    "1)",
    "()",
    "2(3)",
    "(1)(2)",
    "2 ** 3",
    "10**10**10",
    "7 // 2",
    "--3",
    "3 - - -2",
    "1.5",
    "1e3",
    "1_000",
    "0x10",
    "007",
    "1000000000",
    "[1 + 2]",
    "{1}",
    "1 = 1",
    "1 + x",
    "1 + \uff12",  # a full-width digit
    "1 + \u0662",  # an Arabic-Indic digit
    "\u00b2 + 1",  # a superscript
    "1\u00a0+ 2",  # a no-break space
    "1 \u2215 2",  # a division slash
    "1 \u2217 2",  # an asterisk operator
    "1 + 2;",
    "1, 2",
    "1 % 2",
    "5!",
    "__import__('os').system('ls')",
    "(lambda: 1)()",
    "True",
]


@pytest.mark.parametrize("text", REFUSED)
def test_what_is_no_plain_arithmetic_is_refused(text: str) -> None:
    assert read_expression(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "(" * 1_000_000,
        "(" * 120 + "1" + ")" * 120,
        "-" * 200 + "1",
        "-(" * 100 + "1" + ")" * 100,
        "1" * 5_000_000,
        "1 + " * 1_000_000 + "1",
        " " * 5_000_000,
        " " * 5_000_000 + "1",
        "1" + " " * 5_000_000,
        "999999999*" * 1_000_000 + "1",
    ],
)
def test_size_and_depth_cost_nothing(text: str) -> None:
    start = time.thread_time()
    assert read_expression(text) is None
    assert time.thread_time() - start < 0.05


def test_the_limits_are_where_they_are_said_to_be() -> None:
    assert read_expression("(" * MAX_DEPTH + "1" + ")" * MAX_DEPTH) is not None
    assert read_expression("(" * (MAX_DEPTH + 1) + "1" + ")" * (MAX_DEPTH + 1)) is None
    longest = "1" + "+1" * ((MAX_CHARS - 1) // 2)
    assert read_expression(longest) is not None
    assert read_expression(longest + "+1") is None


def exactly(tree: tuple | int) -> Fraction:
    if isinstance(tree, int):
        return Fraction(tree)
    sign, left, right = tree
    a, b = exactly(left), exactly(right)
    return {"+": a + b, "-": a - b, "*": a * b, "/": a / b if b else Fraction(0)}[sign]


def divides_by_zero(tree: tuple | int) -> bool:
    if isinstance(tree, int):
        return False
    sign, left, right = tree
    if divides_by_zero(left) or divides_by_zero(right):
        return True
    return sign == "/" and exactly(right) == 0


def bracketed(tree: tuple | int) -> str:
    if isinstance(tree, int):
        return str(tree)
    return f"({bracketed(tree[1])}{tree[0]}{bracketed(tree[2])})"


TREES = st.recursive(
    st.integers(0, 99),
    lambda tree: st.tuples(st.sampled_from("+-*/"), tree, tree),
    max_leaves=8,
)


@given(TREES)
def test_a_written_tree_has_the_value_of_the_tree(tree: tuple | int) -> None:
    read = read_expression(bracketed(tree))
    assert read is not None
    assert read.value == (None if divides_by_zero(tree) else exactly(tree))


@given(st.text(alphabet="0123456789+-*/() ×÷−=.x", max_size=40) | st.text(max_size=60))
def test_any_text_reads_as_an_expression_or_as_none(text: str) -> None:
    read = read_expression(text)
    if read is not None:
        assert read.numbers and read.operators <= set("+-*/")
