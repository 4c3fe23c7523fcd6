"""A problem as values: what is told, what is asked, and what follows. No text and no chance here.

A parameter is a pair (owner, thing): how many of `thing` each `owner` has. Where the thing is an
item it is told in a sentence (an instance parameter); where it is a category it is implied (an
abstract parameter): the sum over the owner's things of that category, and, for a category further
down, over the things between: how many of them times how many of the category each of them has.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from tailor_rl.tasks.splits import fingerprint

Parameter = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Definition:
    """The right-hand side of a sentence: a constant, a sum or difference of operands, or both.

    "5 more than the difference of A and B" is `Definition((A, B), 5, minus=True)`.
    """

    operands: tuple[Parameter, ...] = ()
    constant: int | None = None
    times: bool = False  # the constant multiplies the operands' total; else it is added
    minus: bool = False  # the second of two operands is taken from the first


@dataclass(frozen=True, slots=True)
class Puzzle:
    """What a reader of the prompt knows: no solution. Items that no sentence names are left out."""

    sentences: tuple[tuple[Parameter, Definition], ...]  # as told
    question: Parameter
    kinds: tuple[tuple[str, tuple[str, ...]], ...]  # category and its items, largest category first
    modulo: int  # 0: whole numbers


@dataclass(frozen=True, slots=True)
class Part:
    """The result of an earlier step of the same definition."""

    number: int


@dataclass(frozen=True, slots=True)
class Step:
    """One operation: + - * on two operands, or "=" on one (a constant or a parameter as it is)."""

    operator: str
    left: Parameter | int | Part
    right: Parameter | int | Part = 0


def calculate(operator: str, left: int, right: int, *, modulo: int) -> int:
    """The result, from 0 to modulo - 1; with modulo 0 the whole number itself."""
    result = {"+": left + right, "-": left - right, "*": left * right, "=": left}[operator]
    return result % modulo if modulo else result


class Formulas:
    """What the sentences define and imply: every parameter's operands, steps and value."""

    def __init__(
        self,
        sentences: Iterable[tuple[Parameter, Definition]],
        kinds: Iterable[tuple[str, Collection[str]]],
        *,
        modulo: int,
    ) -> None:
        self.told = dict(sentences)
        self._modulo = modulo
        self._kinds = list(kinds)
        self._depth = {item: i for i, (_, items) in enumerate(self._kinds) for item in items}
        self._level = {category: i for i, (category, _) in enumerate(self._kinds)}
        self._children: dict[str, list[str]] = {}
        for owner, thing in self.told:
            self._children.setdefault(owner, []).append(thing)
        self._terms: dict[Parameter, tuple[tuple[Parameter, ...], ...]] = {}

    @classmethod
    def of(cls, puzzle: Puzzle) -> Formulas:
        return cls(puzzle.sentences, puzzle.kinds, modulo=puzzle.modulo)

    def terms(self, parameter: Parameter) -> tuple[tuple[Parameter, ...], ...]:
        """An abstract parameter's summands: (instance,) or, across layers, (instance, abstract).

        Things that hold nothing of the category add nothing and are left out; () where no thing is
        left: then there is no such parameter.
        """
        if parameter not in self._terms:
            owner, category = parameter
            gap = self._level[category] - self._depth[owner]
            things = self._children.get(owner, []) if gap > 0 else []
            if gap == 1:
                found: list[tuple[Parameter, ...]] = [((owner, thing),) for thing in things]
            else:
                below = [(thing, category) for thing in things]
                found = [((owner, lower[0]), lower) for lower in below if self.terms(lower)]
            self._terms[parameter] = tuple(found)
        return self._terms[parameter]

    def abstract(self) -> list[Parameter]:
        """Every abstract parameter that counts anything."""
        pairs = [(item, category) for category in self._level for item in self._depth]
        return [pair for pair in pairs if self.terms(pair)]

    def operands(self, parameter: Parameter) -> tuple[Parameter, ...]:
        """What must be known first, in the order in which it is named."""
        if parameter in self.told:
            return self.told[parameter].operands
        return tuple(operand for term in self.terms(parameter) for operand in term)

    def steps(self, parameter: Parameter) -> list[Step]:
        """The operations of one definition, two operands each, left to right, the constant last and
        in front; their number is the definition's op count.
        """
        if parameter not in self.told:
            return _summed(self.terms(parameter))
        definition = self.told[parameter]
        constant = definition.constant
        if not definition.operands:
            assert constant is not None, parameter
            return [Step("=", constant)]
        steps = _chained("-" if definition.minus else "+", definition.operands)
        if constant is not None:
            total = Part(len(steps) - 1) if steps else definition.operands[0]
            steps.append(Step("*" if definition.times else "+", constant, total))
        return steps or [Step("=", definition.operands[0])]

    def needed(self, question: Parameter) -> set[Parameter]:
        """The question and everything that it depends on."""
        found = {question}
        frontier = [question]
        while frontier:
            fresh = [p for p in self.operands(frontier.pop()) if p not in found]
            found.update(fresh)
            frontier.extend(fresh)
        return found

    def in_order(self, wanted: Collection[Parameter]) -> list[Parameter]:
        """`wanted` so that operands come first; otherwise as told, abstract parameters as soon as
        they can be computed. ValueError where a definition leads back to itself.
        """
        first = sorted(p for p in wanted if p not in self.told)
        waiting = [*first, *(p for p in self.told if p in wanted)]
        ordered: dict[Parameter, None] = {}
        while waiting:
            ready = next((p for p in waiting if all(o in ordered for o in self.operands(p))), None)
            if ready is None:
                raise ValueError(f"{waiting[0]} depends on itself, or on what is not told")
            ordered[ready] = None
            waiting.remove(ready)
        return list(ordered)

    def values(self, ordered: Iterable[Parameter]) -> dict[Parameter, int]:
        """The value of every parameter; operands must come first."""
        known: dict[Parameter, int] = {}
        for parameter in ordered:
            results: list[int] = []
            for step in self.steps(parameter):
                left, right = (_value(side, known, results) for side in (step.left, step.right))
                results.append(calculate(step.operator, left, right, modulo=self._modulo))
            known[parameter] = results[-1]
        return known

    def template(self, ordered: Sequence[Parameter]) -> str:
        """The shape of a solution: blind to names, numbers, symbols, and the order of definitions
        and of summands (the last two beyond the published template). Operands come first in
        `ordered`; the question is last, or anywhere.
        """
        digests: dict[Parameter, str] = {}
        for parameter in ordered:
            digests[parameter] = f"{fingerprint(self._shape(parameter, digests)):016x}"
        return "|".join(sorted(digests.values()))

    def _shape(self, parameter: Parameter, digests: Mapping[Parameter, str]) -> str:
        if parameter not in self.told:
            terms = ("*".join(digests[p] for p in term) for term in self.terms(parameter))
            return f"total({'+'.join(sorted(terms))})"
        definition = self.told[parameter]
        parts = [digests[p] for p in definition.operands]
        joined = "-".join(parts) if definition.minus else "+".join(sorted(parts))
        constant = "" if definition.constant is None else "0*" if definition.times else "0+"
        return f"{constant}({joined})"


def _value(side: Parameter | int | Part, known: Mapping[Parameter, int], results: list[int]) -> int:
    if isinstance(side, Part):
        return results[side.number]
    return side if isinstance(side, int) else known[side]


def _chained(operator: str, parts: Sequence[Parameter | Part], start: int = 0) -> list[Step]:
    """a + b + c as (a + b), then that + c; `start` steps of the definition stand before."""
    steps: list[Step] = []
    for right in parts[1:]:
        left = Part(start + len(steps) - 1) if steps else parts[0]
        steps.append(Step(operator, left, right))
    return steps


def _summed(terms: Sequence[tuple[Parameter, ...]]) -> list[Step]:
    """The products first, then their sum."""
    products = [Step("*", *term) for term in terms if len(term) == 2]
    parts: list[Parameter | Part] = [Part(i) for i in range(len(products))]
    parts = parts or [term[0] for term in terms]
    return [*products, *_chained("+", parts, len(products))] or [Step("=", terms[0][0])]
