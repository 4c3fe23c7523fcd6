"""Endless puzzles of every split, each from its own random numbers: (seed, split, index) is all it
takes.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from tailor_rl.tasks.knights.axes import CHANGED, Shape, fresh_shape, reaches
from tailor_rl.tasks.knights.puzzle import Puzzle, fingerprint, generate
from tailor_rl.tasks.splits import BINS, belongs

_FAR = 1_000_000  # where a test puzzle cannot be changed: no two problems start from the same one
_MOST_ORIGINALS = 500
_MOST_DRAWS = 100_000


@dataclass(frozen=True, slots=True)
class Drawn:
    """A puzzle of a split, and what belongs to it there."""

    puzzle: Puzzle
    fingerprint: int
    original: int | None = None  # the index of the test puzzle that was changed into this one
    prompt: str | None = None  # where the puzzle came with a text of its own


class Generated:
    """Draws the puzzles of train, validation, test and "ood/<axis>"."""

    def __init__(
        self, name: str, *, seed: int, people: Sequence[int], axes: Sequence[str], shape: Shape
    ) -> None:
        self._name, self._seed, self._people, self._shape = name, seed, people, shape
        self.splits = (*BINS, *(f"ood/{axis}" for axis in axes))

    def draw(self, split: str, index: int) -> Drawn:
        axis = split.partition("/")[2]
        return self._changed(axis, index) if axis in CHANGED else self._fresh(split, axis, index)

    def _fresh(self, split: str, axis: str, index: int) -> Drawn:
        rng = self._random(split, index)
        people, shape = self._people, self._shape
        if axis:
            people, shape = fresh_shape(axis, people, shape)
        num_people = rng.choice(people)
        for _ in range(_MOST_DRAWS):
            puzzle = generate(rng, num_people=num_people, **shape)
            number = fingerprint(puzzle.statements)
            if belongs(split, number) and reaches(axis, puzzle):
                return Drawn(puzzle, number)
        raise ValueError(f"{split} seems to be empty: {_MOST_DRAWS} puzzles were drawn in vain")

    def _changed(self, axis: str, index: int) -> Drawn:
        """The test puzzle of the same index with one thing changed. Where that cannot be, the test
        puzzle a million further on is tried: its neighbour is another problem's original.
        """
        rng = self._random(f"ood/{axis}", index)
        for original in itertools.islice(itertools.count(index, _FAR), _MOST_ORIGINALS):
            before = self._fresh("test", "", original).puzzle
            after = CHANGED[axis](rng, before, self._shape)
            if after is not None:
                return Drawn(after, fingerprint(after.statements), original)
        raise ValueError(f"ood/{axis} seems to be empty: no test puzzle can be changed that way")

    def _random(self, split: str, index: int) -> Random:
        return Random(f"{self._name}/{self._seed}/{split}/{index}")
