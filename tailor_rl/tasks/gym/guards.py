"""What a model's answer may look like before the library sees it, and what the library overlooks.

Some scorers of reasoning-gym pass the answer to Python's `eval`, or to sympy's `parse_expr`, which
is `eval` too: whatever a model writes would run. Their answers are first held against an alphabet
in which nothing can be called or looked up. A scorer that evaluates and stands in no table here is
refused when the task is made.

Of the data sets of the backtracking study only "countdown" evaluates. "sudoku" and
"simple_geometry" compare text (with partial credit); "arc_1d", "list_functions", "zebra_puzzles",
"color_cube_rotation" and "self_reference" compare text; "advanced_geometry" calls `float`.
"""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
_ARITHMETIC = frozenset("0123456789+-*/() ")
_WORDS = frozenset(
    f"0123456789{_LETTERS}_ \n"
)  # no bracket, quote, point or comma: nothing to call
_ALGEBRA = _ARITHMETIC | frozenset(_LETTERS)
_FUNCTIONS = {
    *("sin", "cos", "tan", "sec", "csc", "cot", "asin", "acos", "atan"),
    *("sinh", "cosh", "tanh", "exp", "log", "ln", "sqrt", "pi"),
}
_ALPHABETS = {
    "countdown": _ARITHMETIC,
    "puzzle24": _ARITHMETIC,
    "simple_integration": _ALGEBRA,
    "intermediate_integration": _ALGEBRA,
    "string_insertion": _WORDS,
    "spiral_matrix": _WORDS,
    "binary_matrix": _WORDS,
    "n_queens": _WORDS,
}
_EVALUATES = re.compile(r"\b(?:eval|exec|parse_expr|sympify)\(")
_WORD = re.compile(r"[A-Za-z]+")


def may_be_scored(dataset: str, answer: str) -> bool:
    """Whether the data set's scorer may see this answer; always, where it only compares."""
    alphabet = _ALPHABETS.get(dataset)
    if alphabet is None:
        return True
    if not alphabet.issuperset(answer):
        return False
    if alphabet is _ARITHMETIC:
        # Powers hang (9**9**9) and are no operation of these puzzles; nor is rounding down.
        return "**" not in answer and "//" not in answer
    if alphabet is _ALGEBRA:
        return all(len(word) == 1 or word in _FUNCTIONS for word in _WORD.findall(answer))
    return True


def evaluates_unguarded(dataset: str, scorer: Callable[..., Any]) -> bool:
    """Whether the scorer evaluates text and no alphabet is known for it."""
    return dataset not in _ALPHABETS and bool(_EVALUATES.search(inspect.getsource(scorer)))


def overlooked(dataset: str, metadata: Mapping[str, Any], answer: str) -> bool:
    """Whether an answer that the library counts as right is wrong all the same.

    "countdown" lets a relative error of 1e-5 pass (a fraction near the target), "puzzle24" rounds
    down and does not look which numbers were used, "advanced_geometry" reads the first two numbers
    of however many.
    """
    if dataset == "countdown":
        return not _makes(answer, metadata["numbers"], Fraction(metadata["target"]))
    if dataset == "puzzle24":
        return not _makes(answer, metadata["numbers"], Fraction(24))
    if dataset == "advanced_geometry" and metadata["task_type"] == "orthocenter":
        return answer.count(",") != 1
    return False


def _makes(answer: str, numbers: list[int], target: Fraction) -> bool:
    """Whether an expression uses exactly these numbers and equals the target."""
    try:
        tree = ast.parse(answer.strip(), mode="eval").body
        used: list[int] = []
        value = _value(tree, used)
    except (SyntaxError, ValueError, ZeroDivisionError, RecursionError, MemoryError):
        return False
    return value == target and sorted(used) == sorted(numbers)


def _value(node: ast.expr, used: list[int]) -> Fraction:
    match node:
        case ast.Constant(value=int(number)):
            used.append(number)
            return Fraction(number)
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_value(operand, used)
        case ast.BinOp(left=left, op=operator, right=right):
            a, b = _value(left, used), _value(right, used)
            match operator:
                case ast.Add():
                    return a + b
                case ast.Sub():
                    return a - b
                case ast.Mult():
                    return a * b
                case ast.Div():
                    return a / b
    raise ValueError("no arithmetic of whole numbers")
