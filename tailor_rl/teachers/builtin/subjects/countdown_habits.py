"""The four habits in a search for an expression, found by following its thread.

Followed are the numbers that are left to be used and the goals: the target, and what is said to be
needed on the way to it. What counts:

- verification: a value is set beside a goal ("12 is not 13."), or steps are gone through once more;
- backtracking: after a calculation it is said that the search returns, to numbers it had before or
  to another try;
- subgoal setting: a value is to be made "from" at least two of the numbers;
- backward chaining: a calculation undoes a step on a goal, and its result is then what is needed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from tailor_rl.tasks.countdown.wording import Given
from tailor_rl.teachers.builtin.calculations import Calculation, calculations
from tailor_rl.teachers.builtin.sentences import sentences

_NUMBER = re.compile(r"[0-9]{1,9}(?:/[0-9]{1,9})?")
_NEEDED = re.compile(
    r"\(?([0-9]{1,9}(?:/[0-9]{1,9})?)\)? from((?:,? \(?[0-9]{1,9}(?:/[0-9]{1,9})?\)?){2,12})"
)
_LEFT = re.compile(r"\bleft((?:,? \(?[0-9]{1,9}(?:/[0-9]{1,9})?\)?){2,12})")
_COMPARES = re.compile(
    r"\b(?:is|are|equals?|gives?|isn't|not)\b|≠|too (?:big|small|high|low)", re.IGNORECASE
)
_RETURNS = re.compile(r"\b(?:again|back|instead|another|different)\b", re.IGNORECASE)
_CHECKS = re.compile(r"\W*(?:check|verif|double.?check|to confirm)", re.IGNORECASE)
_NAMES_GOAL = re.compile(r"\bsub-?goal|\bfirst,? (?:reach|get|make|aim)", re.IGNORECASE)
_BACKWARDS = re.compile(r"\bbackwards?\b", re.IGNORECASE)


def places(given: Given, habit: str, trace: str) -> list[str] | None:
    """The sentences at which a habit is seen; None where nothing is calculated."""
    reader = _Reader(given)
    told = sentences(trace)
    found = [
        said
        for i, said in enumerate(told)
        if habit in reader.take(said, "".join(told[i + 1 : i + 2]))
    ]
    return found if reader.calculated else None


class _Reader:
    """Which rows of numbers the search has had, and which goals."""

    def __init__(self, given: Given) -> None:
        self._rows = {_row(given.numbers)}
        self._target = str(given.target)
        self._goals = {self._target}
        self.calculated = False

    def take(self, said: str, following: str) -> set[str]:
        """The habits that are seen in the next sentence, with the one behind it in sight."""
        if "answer" in said:
            return set()
        habits = set()
        done = list(calculations(said))
        if _CHECKS.match(said):
            return {"verification"} if done else set()
        if self._compares(said, done):
            habits.add("verification")
        if self._returns(said, done):
            habits.add("backtracking")
        if self._undoes(said, done, following):
            habits.add("backward_chaining")
        if needed := _NEEDED.search(said):
            habits.add("subgoal_setting")
            self._goals.add(needed[1])
            self._rows.add(_row(_NUMBER.findall(needed[2])))
        elif _NAMES_GOAL.search(said):
            habits.add("subgoal_setting")
        if left := _LEFT.search(said):
            self._rows.add(_row(_NUMBER.findall(left[1])))
        self.calculated = self.calculated or bool(done)
        return habits

    def _compares(self, said: str, done: list[Calculation]) -> bool:
        numbers = _NUMBER.findall(said)
        if not numbers or numbers[-1] not in self._goals or not _COMPARES.search(said):
            return False
        return self.calculated and (len(numbers) <= 2 or "not" in said)

    def _returns(self, said: str, done: list[Calculation]) -> bool:
        if done or not self.calculated:
            return False
        return _row(_NUMBER.findall(said)) in self._rows or bool(_RETURNS.search(said))

    def _undoes(self, said: str, done: list[Calculation], following: str) -> bool:
        if _BACKWARDS.search(said) and self._target in _NUMBER.findall(said):
            return True
        needed = _NEEDED.search(said) or _NEEDED.search(following)
        if needed is None or not done:
            return False
        operands = _NUMBER.findall(done[0].written)
        return bool(self._goals & set(operands)) and needed[1] == str(done[0].claimed)


def _row(numbers: Iterable[object]) -> tuple[str, ...]:
    return tuple(sorted(map(str, numbers)))
