"""How a Countdown problem is asked, how an answer is judged, and the words of a worked solution.

Text only: knows no search.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction

from tailor_rl.tasks.answers import CLOSE, OPEN, tagged_answer
from tailor_rl.tasks.countdown.expressions import (
    SIGNS,
    Expression,
    Value,
    read_expression,
)
from tailor_rl.tasks.countdown.search import Tree, evaluate

FORMAT_CREDIT = 0.1  # TinyZero's, for an answer that is there and wrong
_READ = re.compile(
    r"(?:Numbers|Use each of the numbers) ([0-9]{1,9}(?:,? [0-9]{1,9}){0,11})"
    r"(?:\. Target| exactly once .{0,60}equals) ([0-9]{1,9})\."
)
_ONLY = re.compile(r"Only ([-+*/](?: [-+*/]){0,3})\.")
_NAMES = {"+": "addition (+)", "-": "subtraction (-)", "*": "multiplication (*)"} | {
    "/": "division (/)"
}


class UnreadableProblem(ValueError):
    """A prompt that is no Countdown problem of ours."""


@dataclass(frozen=True, slots=True)
class Given:
    """What a reader of the prompt knows: no solution. `opening` is what a trace says first."""

    numbers: tuple[int, ...]
    target: int
    operators: tuple[str, ...] = SIGNS
    opening: str = ""


def ask(given: Given, *, style: str) -> str:
    """The prompt: "short" for students that were raised on it, "full" says what a stranger needs to
    know.

    Short: "Numbers 3 7 2. Target 13." and, with fewer operators, " Only + -." behind it.
    """
    only = "" if given.operators == SIGNS else f" Only {' '.join(given.operators)}."
    if style == "short":
        return f"Numbers {' '.join(map(str, given.numbers))}. Target {given.target}.{only}"
    return (
        f"Use each of the numbers {', '.join(map(str, given.numbers))} exactly once to write an "
        f"expression that equals {given.target}.{only} {full_rules(given.operators)}"
    )


def full_rules(operators: Sequence[str]) -> str:
    """What may stand in an answer and how it is given; letters in the example, so that a prompt
    repeated is never a right answer.
    """
    names = [_NAMES[sign] for sign in operators]
    allowed = names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
    return (
        f"You may use {allowed}, and brackets; other numbers are not allowed, none may be left "
        f"over, and none may be used twice. Think step by step, then finish with one line such as "
        f"{OPEN}(a + b) * c{CLOSE}, with your numbers in place of the letters."
    )


def read_problem(prompt: str) -> Given:
    """The inverse of `ask`, for solvers that only see the text (the built-in teacher).

    Raises UnreadableProblem.
    """
    found = _READ.search(prompt)
    if found is None:
        raise UnreadableProblem("no 'Numbers 3 7 2. Target 13.' in the prompt")
    only = _ONLY.search(prompt, found.end())
    operators = tuple(only[1].split(" ")) if only else SIGNS
    numbers = tuple(int(number) for number in re.findall("[0-9]+", found[1]))
    return Given(numbers, int(found[2]), operators)


def read_answer(text: str, target: int) -> Expression | None:
    """The expression in the one `<answer>` of a text, or None.

    " = 24" behind it is read over where 24 is the target: prompts ask for what "equals" it, and
    the expression alone decides. Any other equation is no expression.
    """
    answer = tagged_answer(text)
    if answer is None:
        return None
    left, equals, right = answer.partition("=")
    if equals and right.strip() != str(target):
        return None
    return read_expression(left)


def is_right(text: str, given: Given) -> bool:
    """Whether the text's one answer uses all the numbers, each once, and reaches the target."""
    said = read_answer(text, given.target)
    return (
        said is not None
        and said.value == given.target
        and said.numbers == tuple(sorted(given.numbers))
        and said.operators <= set(given.operators)
    )


def tinyzero_reward(text: str, given: Given) -> float:
    """1.0 right, 0.1 for an answer that is there and wrong, 0.0 without one.

    TinyZero's rule with our way of finding the answer. What differs: the original looks for the
    answer in the last line only, so whoever writes one more line after it gets 0, takes the last
    of several answers, runs Python's `eval` and compares floats to 1e-5. Here there must be
    exactly one answer, wherever it stands, and values are exact.
    """
    if is_right(text, given):
        return 1.0
    return 0.0 if tagged_answer(text) is None else FORMAT_CREDIT


def written(tree: Tree, *, levels: int = 99, value_of: Callable[[Tree], Value] = evaluate) -> str:
    """A tree as an expression, its parts in brackets: "(3 * 2) + 7". `levels` of operations are
    written out, what lies deeper as its value: "6 + 7".
    """
    if levels == 0 or not isinstance(tree, tuple):
        return number(value_of(tree))
    sign, *parts = tree
    left, right = (
        f"({written(part, levels=levels - 1, value_of=value_of)})"
        if isinstance(part, tuple) and levels > 1
        else written(part, levels=levels - 1, value_of=value_of)
        for part in parts
    )
    return f"{left} {sign} {right}"


def rewriting(tree: Tree, goal: Value, *, value_of: Callable[[Tree], Value] = evaluate) -> str:
    """The steps put together from the target down: "13 = 6 + 7 = (3 * 2) + 7"."""
    levels = range(1, max(2, _depth(tree) + 1))
    rows = (written(tree, levels=level, value_of=value_of) for level in levels)
    return " = ".join([number(goal), *rows])


def answered(tree: Tree) -> str:
    return f"{OPEN} {written(tree)}{CLOSE}"


def number(value: Value) -> str:
    """ "13", or "(8/3)" where it is not whole."""
    if isinstance(value, Fraction) and value.denominator != 1:
        return f"({value.numerator}/{value.denominator})"
    return str(int(value))


def step(sign: str, left: Value, right: Value, value: Value) -> str:
    """ "3 + 7 = 10"."""
    return f"{number(left)} {sign} {number(right)} = {number(value)}"


def undoing(sign: str, left: Value, right: Value, goal: Value, needed: Value) -> str:
    """The operation that tells what is needed: "13 - 2 = 11" for 11 + 2 = 13."""
    known = right if left == needed else left
    inverse = {"+": "-", "-": "+", "*": "/", "/": "*"}[sign]
    if sign in "-/" and left != needed:  # known - needed = goal
        return step(sign, known, goal, needed)
    return step(inverse, goal, known, needed)


def row(values: Sequence[Value]) -> str:
    """ "10 2"."""
    return " ".join(map(number, values))


def compared(value: Value, goal: Value) -> str:
    """ "12 is not 13." or "13 is 13."."""
    return f"{number(value)} {'is' if value == goal else 'is not'} {number(goal)}."


def _depth(tree: Tree) -> int:
    return 1 + max(map(_depth, tree[1:])) if isinstance(tree, tuple) else 0
