"""The definitions in a student's solution of an iGSM problem, read without judging them.

    So NorthRed: RedWool 3 + RedSilk 4 = 0; 2 * 0 = 0; NorthRed is 0.
    Define NorthRed as h; k = a + b = 3 + 4 = 0; so h = 2 * k = 2 * 0 = 0.

Linear in the length of the text; what cannot be read is left out.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

_INTEGER = re.compile(r"-?[0-9]{1,12}")
_TELLS = ("Told: ", "Total: ")
_OPERATORS = ("+", "-", "*")


@dataclass(frozen=True, slots=True)
class Operation:
    operator: str
    left: int
    right: int
    result: int


@dataclass(slots=True)
class Claim:
    """What one definition says. An operand without a name is a letter that stands for nothing."""

    name: str
    operands: list[tuple[str, int]] = field(default_factory=list)
    operations: list[Operation] = field(default_factory=list)
    value: int = 0


def claims(text: str) -> list[Claim]:
    """Every definition, in order."""
    found, letters = [], dict[str, str]()
    for said in map(str.strip, text.split(".")):
        try:
            if said.startswith("So "):
                found.append(_by_names(said.removeprefix("So ")))
            elif said.startswith("Define "):
                found.append(_by_letters(said.removeprefix("Define "), letters))
        except (ValueError, IndexError):  # not in one of the two forms
            continue
    return found


def restated(text: str) -> list[str]:
    """Every sentence that claims to repeat the problem, or to write a total out."""
    sentences = map(str.strip, text.split("."))
    return [said.partition(": ")[2] for said in sentences if said.startswith(_TELLS)]


def _by_names(said: str) -> Claim:
    name, colon, body = said.partition(": ")
    if not colon:
        name, _, value = said.rpartition(" is ")
        return Claim(name, value=_integer(value))
    *parts, last = body.split("; ")
    claim = Claim(name, value=_integer(last.rpartition(" ")[2]))
    for part in parts:
        worked, equals, result = part.rpartition(" = ")
        words = worked.split(" ") if equals else part.split(" ")
        place = _operator_in(words) if equals else len(words)
        sides = [_named_number(side) for side in (words[:place], words[place + 1 :]) if side]
        claim.operands.extend((called, number) for called, number in sides if called)
        if equals:
            (_, left), (_, right) = sides
            claim.operations.append(Operation(words[place], left, right, _integer(result)))
    return claim


def _by_letters(said: str, letters: dict[str, str]) -> Claim:
    """`letters` is what each letter so far stands for; this definition's own is added."""
    head, *equations = said.split("; ")
    name, _, letter = head.rpartition(" as ")
    claim, parts = Claim(name), set[str]()
    letters[letter] = name
    for equation in equations:
        symbol, *sides = equation.removeprefix("so ").split(" = ")
        claim.value = _integer(sides[-1])
        if len(sides) == 2:
            claim.operands.extend(_operand(sides[0], claim.value, letters, parts))
        elif len(sides) == 3:
            one, operator, other = sides[0].split(" ")
            left, again, right = sides[1].split(" ")
            if operator not in _OPERATORS or operator != again:
                raise ValueError(f"{equation!r} is not one operation")
            numbers = _integer(left), _integer(right)
            for side, number in zip((one, other), numbers, strict=True):
                claim.operands.extend(_operand(side, number, letters, parts))
            claim.operations.append(Operation(operator, *numbers, claim.value))
        parts.add(symbol)
    return claim


def _operand(
    side: str, number: int, letters: dict[str, str], parts: set[str]
) -> list[tuple[str, int]]:
    """The operand behind a letter; none for a plain number or a part of this definition."""
    if side in parts or _INTEGER.fullmatch(side):
        return []
    return [(letters.get(side, ""), number)]


def _named_number(words: list[str]) -> tuple[str, int]:
    """ "RedWool 3" as ("RedWool", 3); the name of a plain number is ""."""
    return " ".join(words[:-1]), _integer(words[-1])


def _operator_in(words: list[str]) -> int:
    places = [place for place, word in enumerate(words) if word in _OPERATORS]
    return places[0]


def _integer(text: str) -> int:
    if not _INTEGER.fullmatch(text):
        raise ValueError(f"{text!r} is no number")
    return int(text)
