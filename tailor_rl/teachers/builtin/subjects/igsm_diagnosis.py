"""What went wrong in a student's calculation along a dependency graph, found by reading it.

Definitions are read in both forms of traces.py, and each is held against the problem. Of several
faults the first counts that touches what the question needs: what follows rests on it. Of a text in
other words only its operations are judged.
"""

from __future__ import annotations

from collections.abc import Mapping

from tailor_rl.tasks.answers import CLOSE, OPEN
from tailor_rl.tasks.igsm.puzzle import Formulas, Parameter, Part, calculate
from tailor_rl.tasks.igsm.reading import ReadProblem
from tailor_rl.tasks.igsm.wording import implied, named, read_answer, sentence
from tailor_rl.teachers.builtin.calculations import calculations
from tailor_rl.teachers.builtin.subject import Pattern
from tailor_rl.teachers.builtin.subjects.igsm_sentences import Claim, Operation, claims, restated

PATTERNS = {
    "guess": Pattern("The student names a number without working anything out.", ("order", "plan")),
    "misread": Pattern(
        "A quantity is worked out differently from how the text defines it.", ("restate", "plan")
    ),
    "undefined": Pattern(
        "A value is used for a quantity that was never worked out.", ("reflect", "plan", "order")
    ),
    "recalled": Pattern(
        "A value that was worked out is carried over as another one.", ("symbols", "restate")
    ),
    "wrap": Pattern(
        "A result beyond the range of the numbers is brought back into it wrongly.",
        ("verify", "symbols"),
    ),
    "slip": Pattern("An operation on small numbers has a wrong result.", ("verify", "restate")),
    "irrelevant": Pattern(
        "The student works out what the question does not need, and never gets to the question.",
        ("order", "plan", "everything"),
    ),
    "not_asked": Pattern(
        "The value that is answered belongs to another quantity than the one asked for.",
        ("order", "plan", "reflect"),
    ),
    "unreadable": Pattern("The final answer is not one whole number.", ("verify", "plan")),
    "unfinished": Pattern("The solution breaks off before an answer.", ("everything", "order")),
    "other": Pattern(
        "Nothing in the solution shows that the answered number is the right one.",
        ("verify", "order"),
    ),
}


def diagnose(read: ReadProblem, text: str) -> str:
    """The worst pattern in a wrong answer."""
    marks = (OPEN, CLOSE) if read.wording == "short" else ("\\boxed{", "}")
    if not all(mark in text for mark in marks):
        return "unfinished"
    answered = read_answer(text, wording=read.wording)
    if answered is None:
        return "unreadable"
    worked = text.rpartition("Once more.")[2]  # what stands before was given up
    return _Examiner(read).verdict(worked, answered)


class _Examiner:
    """What the student has worked out so far, beside what the problem says of it."""

    def __init__(self, read: ReadProblem) -> None:
        self._question, self._modulo = read.puzzle.question, read.puzzle.modulo
        self._formulas = Formulas.of(read.puzzle)
        told, totals = self._formulas.told, self._formulas.abstract()
        self._parameters = {named(p, wording=read.wording): p for p in (*told, *totals)}
        self._sayings = {sentence(p, said, wording=read.wording) for p, said in told.items()}
        self._sayings |= {implied(p, self._formulas, wording=read.wording) for p in totals}
        self._needed = self._formulas.needed(self._question)
        self._truth = self._formulas.values(self._formulas.in_order(self._needed))
        self._found: dict[Parameter, int] = {}

    def verdict(self, text: str, answered: int) -> str:
        made = claims(text)
        if not made:
            return self._of_operations(text)
        for claim in made:
            parameter = self._parameters.get(claim.name)
            if parameter in self._needed and (fault := self._fault(parameter, claim)):
                return fault
            if parameter is not None:
                self._found[parameter] = claim.value
        if self._question in self._found:
            return "other" if self._same(answered, self._found[self._question]) else "not_asked"
        if any(said not in self._sayings for said in restated(text)):
            return "misread"
        return "irrelevant" if self._found.keys() - self._needed else "not_asked"

    def _fault(self, parameter: Parameter, claim: Claim) -> str | None:
        """What is wrong in one definition, whatever was wrong before it."""
        numbers: dict[Parameter, int] = {}
        for name, number in claim.operands:
            operand = self._parameters.get(name)
            if operand is None:
                return "misread" if name else "undefined"
            if not self._same(number, self._found.get(operand, self._truth.get(operand, number))):
                return "recalled" if operand in self._found else "undefined"
            numbers[operand] = number
        if numbers.keys() != set(self._formulas.operands(parameter)):
            return "misread"
        wrong = (self._slip(operation) for operation in claim.operations)
        if fault := next((kind for kind in wrong if kind), None):
            return fault
        right = self._worked_out(parameter, numbers)
        if self._same(claim.value, right):
            return None
        last = claim.operations[-1].result if claim.operations else claim.value
        return "recalled" if self._same(last, right) else "misread"

    def _worked_out(self, parameter: Parameter, numbers: Mapping[Parameter, int]) -> int:
        """The value that the student's own numbers give by the right formula."""
        results: list[int] = []
        for step in self._formulas.steps(parameter):
            left, right = (
                results[side.number] if isinstance(side, Part)
                else side if isinstance(side, int)
                else numbers[side]
                for side in (step.left, step.right)
            )  # fmt: skip
            results.append(calculate(step.operator, left, right, modulo=self._modulo))
        return results[-1]

    def _slip(self, done: Operation) -> str | None:
        exact = calculate(done.operator, done.left, done.right, modulo=0)
        if self._same(exact, done.result):
            return None
        return "wrap" if self._modulo and not 0 <= exact < self._modulo else "slip"

    def _of_operations(self, text: str) -> str:
        """A text that defines nothing: calculations in whatever sentence they stand."""
        found = list(calculations(text))
        for one in found:
            off = None if one.value is None else one.value - one.claimed
            if off is None or (off % self._modulo if self._modulo else off):
                inside = one.value is None or 0 <= one.value < self._modulo
                return "slip" if inside or not self._modulo else "wrap"
        return "other" if found else "guess"

    def _same(self, one: int, other: int) -> bool:
        off = one - other
        return (off % self._modulo if self._modulo else off) == 0
