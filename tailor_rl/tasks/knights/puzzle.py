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

from tailor_rl.tasks.knights.statements import LEAVES, Statement, holds, sample_statement

NAMES = (
    "Ann", "Bob", "Cal", "Dee", "Eli", "Fay", "Gus", "Hal",
    "Ida", "Jon", "Kay", "Leo", "Mia", "Ned", "Sue", "Tom",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Puzzle:
    """Person i is `names[i]` and says `statements[i]`; `solution[i]` is True for a knight."""

    names: tuple[str, ...]
    statements: tuple[Statement, ...]
    solution: tuple[bool, ...]

    @property
    def num_people(self) -> int:
        return len(self.names)


def consistent(statements: Sequence[Statement], roles: Sequence[bool]) -> bool:
    """Knights speak the truth and knaves do not."""
    return all(holds(said, roles) == role for said, role in zip(statements, roles, strict=True))


def solutions(statements: Sequence[Statement]) -> list[tuple[bool, ...]]:
    """Every consistent assignment, by trying all 2^n."""
    every = itertools.product((True, False), repeat=len(statements))
    return [roles for roles in every if consistent(statements, roles)]


def generate(rng: Random, *, num_people: int, **shape: Any) -> Puzzle:
    """A random puzzle; `shape` is depth, width and leaf_share of `sample_statement`.

    It has exactly one solution (about one draw in three has).
    """
    while True:
        statements = tuple(
            _own_statement(rng, person, num_people=num_people, **shape)
            for person in range(num_people)
        )
        found = solutions(statements)
        if len(found) == 1:
            return Puzzle(tuple(rng.sample(NAMES, num_people)), statements, found[0])


def _own_statement(rng: Random, person: int, **shape: Any) -> Statement:
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
    to renaming always agree; unlike ones may collide, which costs a split some problems and never
    leaks one.
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
