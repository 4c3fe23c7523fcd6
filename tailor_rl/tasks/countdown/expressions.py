# ruff: noqa: RUF001, RUF002 - the typographic signs are what is read
"""Reading an arithmetic expression that a model wrote: exact, bounded, never evaluated as code.

Grammar (spaces, tabs and line ends between tokens mean nothing)::

    sum     = product (("+" | "-") product)*
    product = operand (("*" | "/") operand)*
    operand = ["-"] (number | "(" sum ")")
    number  = "0" | a digit 1-9 and more ASCII digits, at most MAX_DIGITS in all

The typographic signs × ÷ − are read as * / -. One minus may stand before any operand ("-3 + 5",
"4 * -2"); it never makes more positive targets reachable, so it is no loophole. Unreadable are
"**", "//", "--", a plus sign before an operand, decimals, leading zeros, other brackets, digits of
other scripts, a product without its sign such as "2(3)", and whatever exceeds a limit.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

MAX_CHARS, MAX_DEPTH, MAX_DIGITS = 300, 30, 9
SIGNS = ("+", "-", "*", "/")
Value = int | Fraction

_TOKEN = re.compile(r"[ \t\r\n]*(?:([0-9]+)|([-+*/()×÷−]))")
_PLAIN = {"×": "*", "÷": "/", "−": "-"}


@dataclass(frozen=True, slots=True)
class Expression:
    """What an expression says. `value` is None where it divides by zero: then it has none."""

    value: Fraction | None
    numbers: tuple[int, ...]  # every number written, sorted: a multiset
    operators: frozenset[str]  # of "+-*/"; a minus before an operand counts as "-"


class _Unreadable(Exception):
    pass


def read_expression(text: str) -> Expression | None:
    """The expression that is the whole of `text`, or None where it is not one; never raises.

    "(1 + 2) × 8" has value 24, numbers (1, 2, 8) and operators {"+", "*"}.
    """
    try:
        reader = _Reader(_tokens(text))
        value = reader.sum(0)
        if reader.peek():
            return None
    except _Unreadable:
        return None
    exact = None if value is None else Fraction(value)
    return Expression(exact, tuple(sorted(reader.numbers)), frozenset(reader.operators))


def apply(sign: str, left: Value | None, right: Value | None) -> Value | None:
    """`left sign right`, exactly; None where a side has no value or the divisor is zero."""
    if left is None or right is None:
        return None
    if sign == "+":
        return left + right
    if sign == "-":
        return left - right
    if sign == "*":
        return left * right
    return ratio(left, right) if right else None


def ratio(top: Value, bottom: Value) -> Value:
    """`top / bottom`; an int where it is whole: faster than the Fraction that it equals."""
    return top // bottom if top % bottom == 0 else Fraction(top) / bottom


def _tokens(text: str) -> list[str]:
    """Numbers, signs and brackets of a text that has nothing else in it."""
    if len(text) > MAX_CHARS:  # before anything looks at the text
        raise _Unreadable
    tokens, place, end = [], 0, len(text.rstrip(" \t\r\n"))
    while place < end:
        found = _TOKEN.match(text, place)
        if found is None:
            raise _Unreadable
        number, sign = found.groups()
        if number and (len(number) > MAX_DIGITS or (number[0] == "0" and number != "0")):
            raise _Unreadable
        tokens.append(number or _PLAIN.get(sign, sign))
        place = found.end()
    return tokens


class _Reader:
    """Recursive descent; only brackets recurse, and MAX_DEPTH bounds them."""

    def __init__(self, tokens: list[str]) -> None:
        self._tokens, self._place = tokens, 0
        self.numbers: list[int] = []
        self.operators: set[str] = set()

    def peek(self) -> str:
        return self._tokens[self._place] if self._place < len(self._tokens) else ""

    def sum(self, depth: int) -> Value | None:
        value = self._product(depth)
        while (sign := self.peek()) in ("+", "-"):
            self._take_sign()
            value = apply(sign, value, self._product(depth))
        return value

    def _product(self, depth: int) -> Value | None:
        value = self._operand(depth)
        while (sign := self.peek()) in ("*", "/"):
            self._take_sign()
            value = apply(sign, value, self._operand(depth))
        return value

    def _operand(self, depth: int) -> Value | None:
        if self.peek() == "-":
            self._take_sign()
            return apply("-", 0, self._unsigned(depth))
        return self._unsigned(depth)

    def _unsigned(self, depth: int) -> Value | None:
        token = self.peek()
        self._place += 1
        if token.isdigit():
            self.numbers.append(int(token))
            return self.numbers[-1]
        if token != "(" or depth == MAX_DEPTH:
            raise _Unreadable
        value = self.sum(depth + 1)
        if self.peek() != ")":
            raise _Unreadable
        self._place += 1
        return value

    def _take_sign(self) -> None:
        self.operators.add(self.peek())
        self._place += 1
