"""Away from what was trained on: what each out-of-distribution axis changes, and nothing else.

A *changed* axis changes one thing about a puzzle of the test split, so that the two can be
compared; a *fresh* axis draws puzzles of another shape. Knows nothing about splits but that no
puzzle may be alike to one in a train bin.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from random import Random
from typing import Any

from tailor_rl.tasks.knights.puzzle import (
    PLAIN,
    Puzzle,
    RoleWords,
    fingerprint,
    only_solution,
    own_statement,
)
from tailor_rl.tasks.knights.statements import LEAVES, Statement, depth_of, width_of
from tailor_rl.tasks.splits import belongs

UNCOMMON_NAMES = (
    "Aldhelm", "Bertrada", "Dragomir", "Faustina", "Gwilym", "Hrothgar", "Krzysia", "Mfundo",
    "Ngaio", "Oyelaran", "Pellinore", "Quetzal", "Sveinung", "Torvald", "Umberto", "Vashti",
)  # fmt: skip
ROLE_WORDS: tuple[RoleWords, ...] = (
    ("falcon", "raven"),
    ("mirror", "mask"),
    ("scribe", "jester"),
    ("pilot", "pirate"),
    ("lantern", "shadow"),
    ("carpenter", "conjurer"),
    ("gardener", "gambler"),
    ("beaver", "magpie"),
)  # each with the article "a" and a plural in -s, and no word is anybody's name
_MOST_TRIES = 200  # for another statement: where none is right by then, few are

Shape = dict[str, Any]  # depth, width and leaf_share of `sample_statement`
Change = Callable[[Random, Puzzle, Shape], Puzzle | None]


def other_statement(rng: Random, puzzle: Puzzle, shape: Shape) -> Puzzle | None:
    """One person says something else altogether, which changes who is who; None where no such
    statement was found.
    """
    num_people = puzzle.num_people
    for _ in range(_MOST_TRIES):
        person = rng.randrange(num_people)
        said = own_statement(rng, person, num_people=num_people, **shape)
        if changed := _with_statement(puzzle, person, said):
            return changed
    return None


def other_leaf(rng: Random, puzzle: Puzzle, shape: Shape) -> Puzzle | None:
    """One "X is a knight" or "X is a knave" inside one statement becomes another, which changes who
    is who; None where no leaf of the puzzle can do that.
    """
    changes = [
        (person, said)
        for person, statement in enumerate(puzzle.statements)
        for said in _one_leaf_away(statement, puzzle.num_people)
        if said != ("knave", person)
    ]
    rng.shuffle(changes)
    found = (_with_statement(puzzle, person, said) for person, said in changes)
    return next((changed for changed in found if changed), None)


def other_role_words(rng: Random, puzzle: Puzzle, shape: Shape) -> Puzzle:
    """Knights and knaves are called something else."""
    return replace(puzzle, role_words=rng.choice(ROLE_WORDS))


def flipped_role_words(rng: Random, puzzle: Puzzle, shape: Shape) -> Puzzle:
    """Knaves tell the truth and knights lie: the words are exchanged wherever they stand."""
    return replace(puzzle, role_words=PLAIN[::-1])


def uncommon_names(rng: Random, puzzle: Puzzle, shape: Shape) -> Puzzle:
    """The people have names that no puzzle of another split has."""
    return replace(puzzle, names=tuple(rng.sample(UNCOMMON_NAMES, puzzle.num_people)))


def reordered(rng: Random, puzzle: Puzzle, shape: Shape) -> Puzzle:
    """The same claims of the same people, told in another order."""
    people = range(puzzle.num_people)
    order = list(people)
    while order == list(people):
        order = rng.sample(people, len(people))
    place = {person: i for i, person in enumerate(order)}
    return replace(
        puzzle,
        names=tuple(puzzle.names[person] for person in order),
        statements=tuple(_renumbered(puzzle.statements[person], place) for person in order),
        solution=tuple(puzzle.solution[person] for person in order),
    )


CHANGED: dict[str, Change] = {
    "statement": other_statement,
    "leaf": other_leaf,
    "role-words": other_role_words,
    "role-flip": flipped_role_words,
    "uncommon-names": uncommon_names,
    "reordered": reordered,
}
FRESH = (*(f"people-{n}" for n in range(2, 9)), "depth-3", "width-3")


def fresh_shape(axis: str, people: Sequence[int], shape: Shape) -> tuple[Sequence[int], Shape]:
    """The numbers of people and the shape from which a fresh axis draws."""
    kind, _, number = axis.partition("-")
    if kind == "people":
        return (int(number),), shape
    return people, {**shape, kind: int(number)}


def reaches(axis: str, puzzle: Puzzle) -> bool:
    """Whether a freshly drawn puzzle is as far out as its axis says: deeper statements may turn out
    shallow.
    """
    if axis == "depth-3":
        return max(map(depth_of, puzzle.statements)) == 3
    return axis != "width-3" or max(map(width_of, puzzle.statements)) == 3


def _with_statement(puzzle: Puzzle, person: int, said: Statement) -> Puzzle | None:
    """The puzzle with another statement, if its one solution is another, and it is in no train
    bin.
    """
    statements = (*puzzle.statements[:person], said, *puzzle.statements[person + 1 :])
    solution = only_solution(statements)
    if solution is None or solution == puzzle.solution:
        return None
    if not belongs("ood", fingerprint(statements)):
        return None
    return replace(puzzle, statements=statements, solution=solution)


def _one_leaf_away(statement: Statement, num_people: int) -> Iterator[Statement]:
    """Every statement that differs in one leaf; the parts of a joint stay distinct."""
    kind, *parts = statement
    if kind in LEAVES:
        everyone = ((role, person) for role in LEAVES for person in range(num_people))
        yield from (leaf for leaf in everyone if leaf != statement)
        return
    for i, part in enumerate(parts):
        for other in _one_leaf_away(part, num_people):
            if other not in parts:
                yield (kind, *parts[:i], other, *parts[i + 1 :])


def _renumbered(statement: Statement, place: dict[int, int]) -> Statement:
    kind, *parts = statement
    if kind in LEAVES:
        return (kind, place[parts[0]])
    return (kind, *(_renumbered(part, place) for part in parts))
