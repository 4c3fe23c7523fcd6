"""Which targets a set of numbers reaches, exactly, and by which expression.

A tree is a number or `(sign, left, right)`. Every number is used, each once. No value on the way is
below zero: whatever is positive and can be reached through negative values can be reached without
them too, by swapping the sides of differences (a - (b - c) is a + (c - b)); that needs "+", so "+"
is always among the operators. In whole numbers (`fractions=False`) a quotient counts only where
nothing is left over, as in the published Countdown generators; with fractions it always counts.

Small sets are tabulated; larger ones are split in two and asked what the larger half would have to
be (meeting in the middle), which keeps six numbers within some hundredths of a second.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

from tailor_rl.tasks.countdown.expressions import Value, apply, ratio

Tree = Any  # int | tuple[str, Tree, Tree]: mypy cannot say it and stay readable
Result = tuple[str, Value, Value, Value]  # sign, left, right, value
_TABULATED = 3  # sets up to this size are tabulated


def evaluate(tree: Tree) -> Value:
    """The value of a tree that has one."""
    if not isinstance(tree, tuple):
        number: Value = tree
        return number
    value = apply(tree[0], evaluate(tree[1]), evaluate(tree[2]))
    assert value is not None, tree
    return value


def results(
    one: Value, other: Value, *, operators: Sequence[str], fractions: bool
) -> Iterator[Result]:
    """Everything not below zero that two numbers make, in the order of `operators`."""
    high, low = (one, other) if one >= other else (other, one)
    for sign in operators:
        if sign == "+":
            yield sign, one, other, one + other
        elif sign == "-":
            yield sign, high, low, high - low
        elif sign == "*":
            yield sign, one, other, one * other
        else:
            if low and (fractions or high % low == 0):
                yield sign, high, low, ratio(high, low)
            if high != low and (fractions or low == 0):
                yield sign, low, high, ratio(low, high)


def undone(
    known: Value, goal: Value, *, operators: Sequence[str], fractions: bool
) -> Iterator[Result]:
    """Every `(sign, left, right, needed)` with `left sign right = goal` where one side is `known`
    and the other, `needed`, is not below zero.
    """
    for sign in operators:
        if sign == "+" and goal >= known:
            yield sign, goal - known, known, goal - known
        elif sign == "-":
            yield sign, goal + known, known, goal + known
            if known > goal:
                yield sign, known, known - goal, known - goal
        elif sign == "*" and known and (fractions or goal % known == 0):
            yield sign, ratio(goal, known), known, ratio(goal, known)
        elif sign == "/" and known:
            yield sign, goal * known, known, goal * known
            if goal and (fractions or known % goal == 0):
                yield sign, known, ratio(known, goal), ratio(known, goal)


def find(
    numbers: Sequence[Value], goal: Value, *, operators: Sequence[str], fractions: bool
) -> Tree | None:
    """A tree over all the numbers with the value `goal` (not below zero), or None where there is
    none.
    """
    return _find(tuple(sorted(numbers)), goal, tuple(operators), fractions)


def _find(
    numbers: tuple[Value, ...], goal: Value, operators: tuple[str, ...], fractions: bool
) -> Tree | None:
    if len(numbers) <= _TABULATED:
        return _table(numbers, operators, fractions).get(goal)
    for few, many in _splits(len(numbers)):
        rest = tuple(numbers[i] for i in many)
        for value, tree in _table(tuple(numbers[i] for i in few), operators, fractions).items():
            if value == goal == 0:  # nothing times anything, nothing shared out
                sign = "*" if "*" in operators else "/"
                if sign in operators and (sign == "*" or any(rest)):
                    return (sign, tree, _sum_of(rest))
            for sign, left, _, needed in undone(
                value, goal, operators=operators, fractions=fractions
            ):
                found = _find(rest, needed, operators, fractions)
                if found is not None:
                    return (sign, found, tree) if left == needed else (sign, tree, found)
    return None


@lru_cache(maxsize=2048)
def _table(
    numbers: tuple[Value, ...], operators: tuple[str, ...], fractions: bool
) -> Mapping[Value, Tree]:
    """Every value of a small set, with the first tree that has it."""
    if len(numbers) == 1:
        return {numbers[0]: numbers[0]}
    table: dict[Value, Tree] = {}
    for few, many in _splits(len(numbers)):
        ones = _table(tuple(numbers[i] for i in few), operators, fractions)
        others = _table(tuple(numbers[i] for i in many), operators, fractions)
        for (one, tree), (other, more) in itertools.product(ones.items(), others.items()):
            for sign, left, _, value in results(
                one, other, operators=operators, fractions=fractions
            ):
                if value not in table:
                    table[value] = (sign, tree, more) if left == one else (sign, more, tree)
    return table


@lru_cache
def _splits(count: int) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
    """Every way to part the places 0..count-1 in two, the smaller part first."""
    splits = []
    for size in range(1, count // 2 + 1):
        for few in itertools.combinations(range(count), size):
            if 2 * size == count and few[0] != 0:
                continue  # the same two halves again
            splits.append((few, tuple(i for i in range(count) if i not in few)))
    return splits


def _sum_of(numbers: Sequence[Value]) -> Tree:
    tree: Tree = numbers[0]
    for number in numbers[1:]:
        tree = ("+", tree, number)
    return tree
