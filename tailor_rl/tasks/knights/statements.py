"""What an islander can say: the statement grammar, its truth value, its wording, its sampler.

A statement is a nested tuple, so it hashes, compares and pickles: `("knight", i)`, `("knave", i)`,
`("not", s)`, `("and", s, t)`, `("or", s, t)`, `("if", s, t)`, `("iff", s, t)` with people numbered
from 0. The sampler follows the published Knights & Knaves generator (Xie et al., "On Memorization
of LLMs in Logical Reasoning"); the words are our own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache, reduce
from operator import and_, or_
from random import Random
from typing import Any

Statement = tuple[Any, ...]
LEAVES = ("knight", "knave")
_JOINTS = ("and", "or", "if", "iff")


def holds(statement: Statement, roles: Sequence[bool]) -> bool:
    """Truth value under an assignment; `roles[i]` is True where person i is a knight."""
    kind, *parts = statement
    if kind == "knight":
        return roles[parts[0]]
    if kind == "knave":
        return not roles[parts[0]]
    values = [holds(part, roles) for part in parts]
    return combine(kind, values)


def combine(kind: str, values: Sequence[bool]) -> bool:
    """The value of a compound statement from those of its parts."""
    if kind == "not":
        return not values[0]
    if kind == "and":
        return all(values)
    if kind == "or":
        return any(values)
    if kind == "if":
        return not values[0] or values[1]
    assert kind == "iff", kind
    return values[0] == values[1]


@lru_cache
def knight_tables(num_people: int) -> tuple[int, ...]:
    """For every person, in which assignments they are a knight: bit a of a whole number stands for
    the a-th of `itertools.product((True, False), repeat=num_people)`.
    """
    return tuple(
        sum(
            1 << a
            for a in range(1 << num_people)
            if not a >> (num_people - 1 - person) & 1  # the first person changes slowest
        )
        for person in range(num_people)
    )


def truth_table(statement: Statement, tables: Sequence[int], everywhere: int) -> int:
    """In which assignments a statement is true: `holds` for all of them in a few operations on
    whole numbers. `everywhere` has every assignment's bit set.
    """
    kind, *parts = statement
    if kind == "knight":
        return tables[parts[0]]
    if kind == "knave":
        return everywhere ^ tables[parts[0]]
    values = [truth_table(part, tables, everywhere) for part in parts]
    if kind == "not":
        return everywhere ^ values[0]
    if kind in ("and", "or"):
        return reduce(and_ if kind == "and" else or_, values)
    if kind == "if":
        return (everywhere ^ values[0]) | values[1]
    assert kind == "iff", kind
    return everywhere ^ values[0] ^ values[1]


def depth_of(statement: Statement) -> int:
    """1 for a leaf, one more for every level of joints and "not" above it."""
    kind, *parts = statement
    return 1 if kind in LEAVES else 1 + max(map(depth_of, parts))


def width_of(statement: Statement) -> int:
    """The most parts that any "and" or "or" in the statement has; 0 without one."""
    kind, *parts = statement
    if kind in LEAVES:
        return 0
    return max(len(parts) if kind in ("and", "or") else 0, *map(width_of, parts))


def people_in(statement: Statement) -> set[int]:
    kind, *parts = statement
    if kind in LEAVES:
        return {parts[0]}
    return set().union(*(people_in(part) for part in parts))


def sample_statement(
    rng: Random, *, num_people: int, depth: int, width: int, leaf_share: float = 1 / 6
) -> Statement:
    """One random statement: a leaf, or one of five joints of statements one level shallower.

    `leaf_share` is the chance of a leaf at this level; the published generator's is 1/6.
    """
    if depth == 1 or rng.random() < leaf_share:
        return (rng.choice(LEAVES), rng.randrange(num_people))
    dice = rng.randrange(1, 6)

    def part() -> Statement:
        return sample_statement(rng, num_people=num_people, depth=depth - 1, width=width)

    if dice == 1:
        return ("not", part())
    count = rng.randint(2, width) if dice in (2, 3) else 2
    return (["and", "or", "if", "iff"][dice - 2], *_distinct(part, count))


def _distinct(draw: Callable[[], Statement], count: int) -> list[Statement]:
    parts: list[Statement] = []
    while len(parts) < count:
        candidate = draw()
        if candidate not in parts:
            parts.append(candidate)
    return parts


def words(statement: Statement, names: Sequence[str], *, terse: bool = False) -> str:
    """The statement in English: "Bob is a knave and Cal is not a knight"; terse: "Bob knave and
    Cal not knight". Nested joints get brackets.
    """
    kind, *parts = statement
    if is_atom(statement):
        role, person = (kind, parts[0]) if kind in LEAVES else parts[0]
        negation = "" if kind in LEAVES else "not "
        return f"{names[person]} {negation if terse else f'is {negation}a '}{role}"
    if kind == "not":
        return f"not ({words(parts[0], names, terse=terse)})"
    spoken = [words(part, names, terse=terse) for part in parts]
    spoken = [
        text if is_atom(part) else f"({text})" for text, part in zip(spoken, parts, strict=True)
    ]
    return joined(kind, spoken, terse=terse)


def joined(kind: str, parts: Sequence[str], *, terse: bool = True) -> str:
    if kind == "if":
        return f"if {parts[0]} then {parts[1]}"
    return (" if and only if " if kind == "iff" and not terse else f" {kind} ").join(parts)


def is_atom(statement: Statement) -> bool:
    """A leaf or a negated leaf: what is judged in one go."""
    return statement[0] in LEAVES or (statement[0] == "not" and statement[1][0] in LEAVES)
