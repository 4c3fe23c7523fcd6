"""A Knights & Knaves puzzle: generate with exactly one solution, solve by brute force, recognise
when renamed.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from tailor_rl.tasks.knights.statements import (
    LEAVES,
    Statement,
    knight_tables,
    sample_statement,
    truth_table,
)

NAMES = (
    "Ann", "Bob", "Cal", "Dee", "Eli", "Fay", "Gus", "Hal",
    "Ida", "Jon", "Kay", "Leo", "Mia", "Ned", "Sue", "Tom",
)  # fmt: skip

RoleWords = tuple[str, str]  # for who always tells the truth, and for who always lies
PLAIN: RoleWords = ("knight", "knave")


@dataclass(frozen=True, slots=True)
class Puzzle:
    """Person i is `names[i]` and says `statements[i]`; `solution[i]` is True for who tells the
    truth. In statements that role is always "knight" and the other "knave"; `role_words` are what
    the text calls them.
    """

    names: tuple[str, ...]
    statements: tuple[Statement, ...]
    solution: tuple[bool, ...]
    role_words: RoleWords = PLAIN

    @property
    def num_people(self) -> int:
        return len(self.names)


def solutions(statements: Sequence[Statement]) -> list[tuple[bool, ...]]:
    """Every assignment in which knights speak the truth and knaves do not, by trying all 2^n."""
    fitting = _fitting(statements)
    every = itertools.product((True, False), repeat=len(statements))
    return [roles for a, roles in enumerate(every) if fitting >> a & 1] if fitting else []


def only_solution(statements: Sequence[Statement]) -> tuple[bool, ...] | None:
    """The solution where there is exactly one, else None."""
    fitting = _fitting(statements)
    if not fitting or fitting & (fitting - 1):
        return None
    place = fitting.bit_length() - 1
    return tuple(not place >> i & 1 for i in reversed(range(len(statements))))


def _fitting(statements: Sequence[Statement]) -> int:
    """The consistent assignments, as bits (see `knight_tables`)."""
    tables = knight_tables(len(statements))
    everywhere = fitting = (1 << (1 << len(statements))) - 1
    for said, speaker in zip(statements, tables, strict=True):
        fitting &= everywhere ^ truth_table(said, tables, everywhere) ^ speaker
    return fitting


def generate(rng: Random, *, num_people: int, **shape: Any) -> Puzzle:
    """A random puzzle; `shape` is depth, width and leaf_share of `sample_statement`.

    It has exactly one solution (about one draw in three has).
    """
    while True:
        statements = tuple(
            own_statement(rng, person, num_people=num_people, **shape)
            for person in range(num_people)
        )
        solution = only_solution(statements)
        if solution is not None:
            return Puzzle(tuple(rng.sample(NAMES, num_people)), statements, solution)


def own_statement(rng: Random, person: int, **shape: Any) -> Statement:
    """A statement of one person; "I am a knave" is no puzzle: nobody can say it."""
    while True:
        said = sample_statement(rng, **shape)
        if said != ("knave", person):
            return said


def fingerprint(statements: Sequence[Statement]) -> int:
    """A number that does not change when people are renamed, reordered, or and/or/iff parts are
    swapped.

    Colour refinement: everybody starts alike; each round a person's colour becomes the hash of
    their own statement with the people in it replaced by their colours. Puzzles that are alike up
    to renaming always agree, so no split leaks into another. It is not exact the other way round:
    people whom three rounds cannot tell apart are alike to it, whoever of them a claim names, so a
    few unlike puzzles share a number. That makes a family a little too large, never too small.
    """
    colours = ["" for _ in statements]
    for _ in range(3):
        colours = [
            _digest(f"{_shape(said, colours, person)}|{colours[person]}")
            for person, said in enumerate(statements)
        ]
    return int(_digest("|".join(sorted(colours))), 16)


def _shape(statement: Statement, colours: Sequence[str], speaker: int) -> str:
    kind, *parts = statement
    if kind in LEAVES:
        return f"{kind}({'self' if parts[0] == speaker else colours[parts[0]]})"
    shapes = [_shape(part, colours, speaker) for part in parts]
    if kind in ("and", "or", "iff"):
        shapes.sort()
    return f"{kind}({','.join(shapes)})"


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
