# ruff: noqa: RUF001 - the typographic signs are what is read
"""The calculations in what a student wrote, in whatever sentence they stand.

Linear in the length of the text, whatever the text is; never raises on any text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

from tailor_rl.tasks.countdown.expressions import Expression, read_expression

# A point or comma before a digit is kept, so that "3.5 + 2" is unreadable and never "5 + 2".
_RUN = re.compile(r"(?:[-0-9+*/×÷−() \t=]|[.,](?=[0-9]))+")
_RESULT = re.compile(r"-?[0-9]+|\([0-9]+/[0-9]+\)")
_BULLETS = ("- ", "* ")


@dataclass(frozen=True, slots=True)
class Calculation:
    """ "3 + 7 = 11": the left side as written, its exact value (None: it divides by zero), and the
    value that the student gives it.
    """

    written: str
    value: Fraction | None
    claimed: Fraction

    @property
    def right(self) -> bool:
        return self.value == self.claimed


def calculations(text: str) -> Iterator[Calculation]:
    """Every operation with a number as its result, in order.

    Both of "3 + 7 = 10, 10 * 2 = 20" count; of "13 = 6 + 7 = (3 * 2) + 7" nothing does: it says one
    value in other words, and works out none.
    """
    for run in _RUN.findall(text):
        first, *rest = run.split("=")
        if not rest:
            continue
        sides = [_without_bullet(first.strip()), *(side.strip() for side in rest)]
        for left, result in pairwise(sides):
            said, claimed = read_expression(left), _number(result)
            if said is not None and said.operators and claimed is not None:
                yield Calculation(left, said.value, claimed)


def _without_bullet(side: str) -> str:
    """Of a list written with "- " or "* ", the item."""
    return side[2:].lstrip() if side.startswith(_BULLETS) else side


def _number(side: str) -> Fraction | None:
    """The value of "10", "-3" or "(8/3)"; None for anything that is still to be worked out."""
    said: Expression | None = read_expression(side) if _RESULT.fullmatch(side) else None
    return None if said is None else said.value
