"""Solvers that write down how they solve a problem; each style is one visible way to go about it.

Knows nothing about teachers or students: the built-in teacher, the rule-based baseline and the
students' drills all speak through this file, so their parts have the same words.
"""

from __future__ import annotations

import string
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Literal

from tailor_rl.tasks.igsm.puzzle import Formulas, Parameter, Part, Step, calculate
from tailor_rl.tasks.igsm.reading import ReadProblem
from tailor_rl.tasks.igsm.wording import implied, named, sentence, spoken_answer


@dataclass(frozen=True, slots=True)
class Style:
    """How a solver goes about it. Every field is one visible habit of the trace."""

    order: Literal["forward", "backward"] = (
        "forward"  # what can be computed, as told; or from the question down to what is told
    )
    everything: bool = False  # also computes what the question does not need
    plan: bool = False  # everything that is needed is listed before the first number
    restate: bool = False  # the sentence is repeated before it is computed
    verify: bool = False  # all operations are done a second time before answering
    reflect: bool = False  # notices aloud what is unknown yet, and turns to that first
    symbols: bool = False  # letters stand for what is defined; else its name and value side by side
    subgoals: bool = False  # names what is to be found next before it is worked out
    go_back: bool = False  # begins now and then what cannot be worked out yet, and takes that back
    announce: bool = False  # says at the beginning from where the work starts


@dataclass(frozen=True, slots=True)
class Sum:
    """One operation done on numbers: "3 + 4 = 0" modulo 7."""

    operator: str
    left: int
    right: int
    result: int

    def __str__(self) -> str:
        return f"{self.left} {self.operator} {self.right} = {self.result}"


PUBLISHED = Style(symbols=True)  # the form in which the published data write solutions


class Solver:
    """Writes one trace. `slip` is the chance that an operation goes wrong (a tired teacher).

    A slip spoils what depends on it, unless the style verifies: then the work is done again once.
    """

    def __init__(
        self, read: ReadProblem, style: Style, *, rng: Random | None = None, slip: float = 0.0
    ) -> None:
        self.puzzle, self.wording, self.style = read.puzzle, read.wording, style
        self.formulas = Formulas.of(read.puzzle)
        self._rng, self._slip = rng or Random(0), slip
        self._start()

    def write(self) -> str:
        """The whole trace, ending with the answer as the prompt wants it."""
        question = self.puzzle.question
        needed = self.formulas.in_order(self.formulas.needed(question))
        lines = [self.start()] if self.style.announce else []
        lines.extend([self.plan(needed)] if self.style.plan else [])
        lines.extend(self._work(needed))
        if self.style.verify:
            check, same = self.check_again()
            lines.append(check)
            if not same:
                lines.append("Once more.")
                self._start()
                lines.extend(self._work(needed))
        answer = spoken_answer(self.values[question], wording=self.wording)
        return " ".join([*lines, answer])

    def plan(self, needed: Iterable[Parameter]) -> str:
        """ "Needed: RedWool, NorthRed."."""
        return f"Needed: {self._listed(needed)}."

    def needs(self, parameter: Parameter) -> str:
        """ "Need NorthSack: NorthRed, RedSack.": one level, for the backward order."""
        return f"Need {self.name(parameter)}: {self._listed(self._distinct(parameter))}."

    def unknown(self, parameter: Parameter, missing: Parameter, *, first: Parameter) -> str:
        """ "Try NorthRed: RedWool is unknown yet, so first RedSilk."."""
        return (
            f"Try {self.name(parameter)}: {self.name(missing)} is unknown yet, "
            f"so first {self.name(first)}."
        )

    def start(self) -> str:
        """ "Work backwards from NorthSack.", or "Work forwards to NorthSack."."""
        way = "backwards from" if self.style.order == "backward" else "forwards to"
        return f"Work {way} {self.name(self.puzzle.question)}."

    def aim(self, parameter: Parameter) -> str:
        """ "Sub-goal: RedWool."."""
        return f"Sub-goal: {self.name(parameter)}."

    def retreat(self, parameter: Parameter, missing: Parameter) -> str:
        """ "Try NorthRed: RedWool is unknown yet. Go back."."""
        return f"Try {self.name(parameter)}: {self.name(missing)} is unknown yet. Go back."

    def told(self, parameter: Parameter) -> str:
        """ "Told: NorthRed = 3 more than RedWool.", or "Total: NorthCart = NorthRed + ..."."""
        if parameter in self.formulas.told:
            definition = self.formulas.told[parameter]
            return f"Told: {sentence(parameter, definition, wording=self.wording)}."
        return f"Total: {implied(parameter, self.formulas, wording=self.wording)}."

    def compute(self, parameter: Parameter) -> str:
        """One definition, after which its value is known; its operands must be.

        With symbols "Define NorthRed as h; k = a + b = 3 + 4 = 0; so h = 2 * k = 2 * 0 = 0.", with
        names "So NorthRed: RedWool 3 + RedSilk 4 = 0; 2 * 0 = 0; NorthRed is 0.".
        """
        steps, sums = self.formulas.steps(parameter), list[Sum]()
        for step in steps:
            left, right = (self._number(side, sums) for side in (step.left, step.right))
            sums.append(self._calculate(step.operator, left, right))
        self.values[parameter] = sums[-1].result
        self._sums.extend(done for done in sums if done.operator != "=")
        write = self._with_symbols if self.style.symbols else self._with_names
        return write(parameter, steps, sums)

    def check_again(self) -> tuple[str, bool]:
        """ "Check: 3 + 4 = 0; 2 * 0 = 0.", and whether every result was the same again."""
        if not self._sums:
            return "Check: no sums.", True
        again = [self._calculate(done.operator, done.left, done.right) for done in self._sums]
        parts = [
            str(new) if new == done else f"{new} not {done.result}"
            for done, new in zip(self._sums, again, strict=True)
        ]
        return f"Check: {'; '.join(parts)}.", again == self._sums

    def know(self, values: Mapping[Parameter, int]) -> list[str]:
        """Take values as given; with symbols, how each is called: "RedWool as a = 3"."""
        self.values.update(values)
        if not self.style.symbols:
            return [f"{self.name(p)} is {value}" for p, value in values.items()]
        self._letters.update((parameter, next(self._free)) for parameter in values)
        return [f"{self.name(p)} as {self._letters[p]} = {value}" for p, value in values.items()]

    def name(self, parameter: Parameter) -> str:
        return named(parameter, wording=self.wording)

    def _start(self) -> None:
        self.values: dict[Parameter, int] = {}
        self._letters: dict[Parameter, str] = {}
        self._free = _symbols(self._rng)
        self._sums: list[Sum] = []
        self._begun = False  # whether a way down from the question was entered

    def _work(self, needed: Sequence[Parameter]) -> list[str]:
        backward = self.style.order == "backward"
        lines = self._down(self.puzzle.question) if backward else []
        wanted: Collection[Parameter] = needed
        if self.style.everything:
            wanted = {*needed, *self.formulas.told, *self.formulas.abstract()}
        rest = [p for p in self.formulas.in_order(wanted) if p not in self.values]
        for place, parameter in enumerate(rest):
            if (self.style.reflect or self.style.go_back) and not backward:
                lines.extend(self._stumble(parameter, rest[place + 1 :]))
            lines.extend(self._aimed(parameter))
            lines.extend(self._define(parameter))
        return lines

    def _define(self, parameter: Parameter) -> list[str]:
        return [*([self.told(parameter)] if self.style.restate else []), self.compute(parameter)]

    def _down(self, parameter: Parameter) -> list[str]:
        """What a parameter needs, each from its own needs up, and then the parameter."""
        lines = []
        unknown = [p for p in self._distinct(parameter) if p not in self.values]
        if unknown and self.style.go_back and (not self._begun or self._rng.random() < 0.3):
            lines.append(self.retreat(parameter, unknown[0]))
        self._begun = True
        if unknown and not self.style.reflect:
            lines.append(self.needs(parameter))
        for operand in unknown:
            if operand in self.values:  # by way of another operand
                continue
            if self.style.reflect:
                lines.append(self.unknown(parameter, operand, first=operand))
            lines.extend(self._aimed(operand))
            lines.extend(self._down(operand))
        return [*lines, *self._define(parameter)]

    def _aimed(self, parameter: Parameter) -> list[str]:
        wanted = self.style.subgoals and parameter != self.puzzle.question
        return [self.aim(parameter)] if wanted else []

    def _stumble(self, parameter: Parameter, later: Sequence[Parameter]) -> list[str]:
        """The question is begun at once, and now and then something else too early."""
        begun = parameter
        if not self.values:
            begun = self.puzzle.question
        elif later and self._rng.random() < 0.3:
            begun = self._rng.choice(later)
        missing = [p for p in self._distinct(begun) if p not in self.values]
        if not missing:
            return []
        if self.style.go_back:
            return [self.retreat(begun, missing[0])]
        return [self.unknown(begun, missing[0], first=parameter)]

    def _calculate(self, operator: str, left: int, right: int) -> Sum:
        modulo = self.puzzle.modulo
        result = calculate(operator, left, right, modulo=modulo)
        if operator != "=" and self._slip and self._rng.random() < self._slip:
            wrong = result + self._rng.randint(1, (modulo or 10) - 1)
            result = wrong % modulo if modulo else wrong
        return Sum(operator, left, right, result)

    def _number(self, side: Parameter | int | Part, sums: Sequence[Sum]) -> int:
        if isinstance(side, Part):
            return sums[side.number].result
        return side if isinstance(side, int) else self.values[side]

    def _with_names(self, parameter: Parameter, steps: Sequence[Step], sums: Sequence[Sum]) -> str:
        """Every operand stands beside its value: one place to look for a small model."""
        name, parts = self.name(parameter), []
        for step, done in zip(steps, sums, strict=True):
            sides = [
                f"{self.name(side)} {number}" if isinstance(side, tuple) else str(number)
                for side, number in ((step.left, done.left), (step.right, done.right))
            ]
            joined = f"{sides[0]} {step.operator} {sides[1]} = {done.result}"
            parts.append(sides[0] if step.operator == "=" else joined)
        if not self.formulas.operands(parameter):
            return f"So {name} is {sums[-1].result}."
        return f"So {name}: {'; '.join(parts)}; {name} is {sums[-1].result}."

    def _with_symbols(
        self, parameter: Parameter, steps: Sequence[Step], sums: Sequence[Sum]
    ) -> str:
        own = self._letters[parameter] = next(self._free)
        letters = [*(next(self._free) for _ in steps[:-1]), own]
        parts = []
        for letter, step, done in zip(letters, steps, sums, strict=True):
            sides = [
                letters[side.number] if isinstance(side, Part)
                else str(side) if isinstance(side, int)
                else self._letters[side]
                for side in (step.left, step.right)
            ]  # fmt: skip
            if step.operator == "=":
                worked = "" if isinstance(step.left, int) else f"{sides[0]} = "
            else:
                numbers = f"{done.left} {step.operator} {done.right}"
                worked = f"{sides[0]} {step.operator} {sides[1]} = {numbers} = "
            parts.append(f"{letter} = {worked}{done.result}")
        defined = f"Define {self.name(parameter)} as {own}"
        return "; ".join([defined, *parts[:-1], f"so {parts[-1]}."])

    def _distinct(self, parameter: Parameter) -> list[Parameter]:
        return list(dict.fromkeys(self.formulas.operands(parameter)))

    def _listed(self, parameters: Iterable[Parameter]) -> str:
        return ", ".join(map(self.name, parameters))


def _symbols(rng: Random) -> Iterator[str]:
    """Distinct letters in random order; where a trace computes more than it must, then pairs."""
    letters = string.ascii_letters
    yield from rng.sample(letters, len(letters))
    yield from (a + b for a in letters for b in letters)
