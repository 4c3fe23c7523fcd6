"""The four habits in a solution of an iGSM problem, found by following its thread.

Followed are the quantities that sentences name, which of them have a value by then, and the
operations done. What counts:

- verification: a sentence that does no operation for the first time, and is no definition; or a
  quantity that gets its value a second time (a run of those is one place);
- backtracking: a quantity is begun, said to be unknown or out of reach, and worked out later; or
  the work is done afresh;
- subgoal setting: quantities without a value are named before they are worked out;
- backward chaining: a quantity without a value is named together with nothing but what it is made
  of, or the question is named as where the work begins.
"""

from __future__ import annotations

import re

from tailor_rl.tasks.igsm.puzzle import Formulas, Parameter
from tailor_rl.tasks.igsm.reading import ReadProblem
from tailor_rl.tasks.igsm.wording import named
from tailor_rl.teachers.builtin.calculations import calculations
from tailor_rl.teachers.builtin.sentences import sentences

_STUCK = re.compile(
    r"\b(?:unknown|missing|not (?:yet )?known|cannot|can't|don't know|no value)\b", re.IGNORECASE
)
_BACKWARDS = re.compile(r"\bbackwards?\b", re.IGNORECASE)
_TELLS = ("Told:", "Total:")


def places(read: ReadProblem, habit: str, trace: str) -> list[str] | None:
    """The sentences at which a habit is seen; None where no quantity of the problem is named."""
    reader = _Reader(read)
    found = [said for said in sentences(trace) if habit in reader.take(said)]
    return found if reader.understood else None


class _Reader:
    """What has a value so far, and which operations were done."""

    def __init__(self, read: ReadProblem) -> None:
        self._question = read.puzzle.question
        self._formulas = Formulas.of(read.puzzle)
        every = {*self._formulas.told, *self._formulas.abstract(), self._question}
        self._parameters = {named(p, wording=read.wording): p for p in every}
        longest_first = sorted(self._parameters, key=len, reverse=True)
        self._name = re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, longest_first))})(?!\w)")
        self._known: set[Parameter] = set()
        self._done: set[str] = set()
        self._afresh = self.understood = False

    def take(self, said: str) -> set[str]:
        """The habits that are seen in the next sentence."""
        names = [self._parameters[name] for name in self._name.findall(said)]
        self.understood = self.understood or bool(names)
        without = self._name.sub("", said)
        if said.startswith(_TELLS) or "answer" in said:
            return set()
        if any(character.isdigit() for character in without):
            return self._define(names[0], without) if names else self._test(without)
        return self._speak(said, names)

    def _define(self, parameter: Parameter, said: str) -> set[str]:
        self._note(said)
        again, goes_on = parameter in self._known, self._afresh
        self._afresh = again
        self._known.add(parameter)
        return {"verification", "backtracking"} if again and not goes_on else set()

    def _test(self, said: str) -> set[str]:
        before = len(self._done)
        tested = self._note(said)
        return {"verification"} if tested and len(self._done) == before else set()

    def _speak(self, said: str, names: list[Parameter]) -> set[str]:
        """A sentence without a number."""
        if not names or names[0] in self._known:
            return set()
        head, *others = names
        if _STUCK.search(said):
            return {"backtracking"}
        if head == self._question and _BACKWARDS.search(said):
            return {"backward_chaining"}
        if others and set(others) <= set(self._formulas.operands(head)):
            return {"backward_chaining"}
        return {"subgoal_setting"} if others or head != self._question else set()

    def _note(self, said: str) -> bool:
        """Remember the operations of a sentence; whether it had any."""
        found = [one.written.replace(" ", "") for one in calculations(said)]
        self._done.update(found)
        return bool(found)
