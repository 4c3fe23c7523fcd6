"""Process correctness: is a solution in the published form right in every line?

    Define A as h; so h = 15. Define B as t; k = h + h = 15 + 15 = 7; so t = 3 * k = 3 * 7 = 21.

Checked, after the published checker and a little stricter: symbols are single letters, each
defined once and before its use; written numbers are the values of the symbols that they stand for;
every operation is right; every parameter exists, is defined once, from exactly the operands that it
has and by a formula that is algebraically its own; the last one is the question; an answer after it
is right. Further parameters may be computed, if they are right too.
"""

from __future__ import annotations

import re
from collections import Counter

from tailor_rl.tasks.igsm.puzzle import Formulas, Parameter, Part, calculate
from tailor_rl.tasks.igsm.reading import ReadProblem
from tailor_rl.tasks.igsm.wording import named, read_answer

_MAX_CHARS = 20_000  # the longest solution of 32 operations has about a quarter
_MAX_TERMS, _MAX_DEGREE = 64, 4  # no definition of ours has more
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]{0,8})")
_SYMBOL = re.compile(r"[A-Za-z]")

Polynomial = Counter[tuple[Parameter, ...]]  # product of parameters, sorted -> how often


class _Wrong(Exception):
    """The solution is not right, or not in the published form."""


def process_is_right(read: ReadProblem, text: str) -> bool:
    """Whether the text is a right solution in the published form, with or without the answer."""
    if len(text) > _MAX_CHARS:
        return False
    try:
        return _Check(read).accepts(text)
    except _Wrong:
        return False


class _Check:
    """What has been defined so far."""

    def __init__(self, read: ReadProblem) -> None:
        self._puzzle, self._wording = read.puzzle, read.wording
        self._formulas = Formulas.of(read.puzzle)
        every = [*self._formulas.told, *self._formulas.abstract()]
        self._parameters = {
            named(parameter, wording=read.wording): parameter for parameter in every
        }
        self._values: dict[str, int] = {}  # of symbols, also those of earlier intermediate results
        self._owners: dict[str, Parameter] = {}  # symbol -> the parameter that it stands for
        self._meanings: dict[str, Polynomial] = {}  # of this definition's intermediate results
        self._used: set[Parameter] = set()  # in this definition

    def accepts(self, text: str) -> bool:
        body, define, rest = text.strip().rpartition("Define ")
        last, _, answer = rest.partition(".")
        symbol = ""
        for definition in f"{body}{define}{last}".split("."):
            symbol = self._define(definition.strip())
        if self._owners[symbol] != self._puzzle.question:
            return False
        value = read_answer(answer, wording=self._wording)
        return not answer.strip() or value == self._values[symbol]

    def _define(self, text: str) -> str:
        """Take in one definition; its symbol."""
        head, *equations = text.split("; ")
        name, _, symbol = head.removeprefix("Define ").rpartition(" as ")
        parameter = self._parameters.get(name)
        _require(head.startswith("Define ") and bool(equations) and parameter is not None)
        assert parameter is not None
        _require(parameter not in self._owners.values())
        _require(equations[-1].startswith("so "))
        self._meanings, self._used = {}, set()
        defined = [self._equate(equation) for equation in equations[:-1]]
        defined.append(self._equate(equations[-1].removeprefix("so ")))
        _require(defined[-1] == symbol)
        _require(self._used == set(self._formulas.operands(parameter)))
        _require(self._meanings[symbol] == self._right_meaning(parameter))
        self._owners[symbol] = parameter
        return symbol

    def _equate(self, equation: str) -> str:
        """Take in "k = h + 4 = 15 + 4 = 19", "k = h = 15" or "k = 15"; its symbol, now known."""
        symbol, *sides = equation.split(" = ")
        _require(_SYMBOL.fullmatch(symbol) is not None and symbol not in self._values)
        _require(1 <= len(sides) <= 3)
        symbolic, numeric, written = sides[0].split(" "), sides[-2:][0].split(" "), sides[-1]
        _require(len(symbolic) == len(numeric) == (3 if len(sides) == 3 else 1))
        known = [self._side(side) for side in symbolic[::2]]
        _require(numeric[::2] == [str(value) for value, _ in known] or len(sides) == 2)
        left, right = known[0], known[-1]
        operator = symbolic[1] if len(symbolic) == 3 else "="
        _require(operator in ("+", "-", "*", "=") and numeric[1::2] == symbolic[1::2])
        result = calculate(operator, left[0], right[0], modulo=self._puzzle.modulo)
        _require(written == str(result))
        self._values[symbol] = result
        self._meanings[symbol] = _combined(operator, left[1], right[1])
        return symbol

    def _side(self, text: str) -> tuple[int, Polynomial]:
        """The value and the meaning of a number or a symbol."""
        if _NUMBER.fullmatch(text):
            return int(text), Counter({(): int(text)})
        if text in self._owners:
            owner = self._owners[text]
            self._used.add(owner)
            return self._values[text], Counter({(owner,): 1})
        _require(text in self._meanings)
        return self._values[text], self._meanings[text]

    def _right_meaning(self, parameter: Parameter) -> Polynomial:
        parts: list[Polynomial] = []

        def meaning(side: Parameter | int | Part) -> Polynomial:
            if isinstance(side, Part):
                return parts[side.number]
            return Counter({(): side}) if isinstance(side, int) else Counter({(side,): 1})

        for step in self._formulas.steps(parameter):
            parts.append(_combined(step.operator, meaning(step.left), meaning(step.right)))
        return parts[-1]


def _combined(operator: str, left: Polynomial, right: Polynomial) -> Polynomial:
    result = Counter(left) if operator != "*" else Polynomial()
    if operator in ("+", "-"):
        for factors, times in right.items():
            result[factors] += times if operator == "+" else -times
    elif operator == "*":
        _require(len(left) * len(right) <= _MAX_TERMS)
        for one, times in left.items():
            for other, more in right.items():
                result[tuple(sorted(one + other))] += times * more
    _require(len(result) <= _MAX_TERMS and max(map(len, result), default=0) <= _MAX_DEGREE)
    return result


def _require(condition: bool) -> None:
    if not condition:
        raise _Wrong
