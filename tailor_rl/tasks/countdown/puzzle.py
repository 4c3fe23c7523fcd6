"""Drawing Countdown problems that have a solution."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from tailor_rl.tasks.countdown.expressions import SIGNS
from tailor_rl.tasks.countdown.search import Tree, find
from tailor_rl.tasks.splits import belongs, fingerprint

MAX_DRAWS = 20_000  # a range in which one draw in so many is solvable is a mistake
Range = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Shape:
    """From what problems are drawn. Where `known_values` is given, at least one number must lie
    outside it.
    """

    numbers: tuple[int, ...]
    values: Range
    targets: Range
    operators: tuple[str, ...] = SIGNS
    known_values: Range | None = None


def draw(rng: Random, shape: Shape, *, split: str) -> tuple[tuple[int, ...], int, Tree]:
    """Numbers, a target, and a tree that solves them in whole numbers.

    Numbers and target are drawn independently and evenly, until they are solvable and belong to
    the split, as in the published generator. ValueError where MAX_DRAWS draws find nothing.
    """
    count = rng.choice(shape.numbers)
    for _ in range(MAX_DRAWS):
        numbers = tuple(rng.randint(*shape.values) for _ in range(count))
        target = rng.randint(*shape.targets)
        if shape.known_values and not _unknown(numbers, shape.known_values):
            continue
        if not belongs(split, fingerprint(canonical(numbers, target))):
            continue
        tree = find(numbers, target, operators=shape.operators, fractions=False)
        if tree is not None:
            return numbers, target, tree
    raise ValueError(
        f"{MAX_DRAWS} draws of {count} numbers in {list(shape.values)} never reached a target in "
        f"{list(shape.targets)} for the split {split!r}: bring task.options.values and "
        "task.options.targets (or ood_values and ood_targets) closer together, or leave the split "
        "out by an empty list"
    )


def canonical(numbers: Sequence[int], target: int) -> str:
    """ "2 3 7 -> 13": the problem without the order of its numbers, the same for every split."""
    return f"{' '.join(map(str, sorted(numbers)))} -> {target}"


def _unknown(numbers: Sequence[int], known: Range) -> bool:
    return any(not known[0] <= number <= known[1] for number in numbers)
