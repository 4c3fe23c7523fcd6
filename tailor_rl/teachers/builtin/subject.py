"""A subject of the built-in teacher: instructions it understands, faults it sees, how it solves.

Reading an instruction is by keywords, so one written by a person or by another teacher works as
well as our own.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from random import Random
from typing import Any

from tailor_rl.teachers.prompts import ShownAttempt

OTHER = "other"  # the pattern of a subject that is named where nothing else was to be seen
GENERAL = ("guess", "unreadable", "unfinished", OTHER)  # told without following the thought


@dataclass(frozen=True, slots=True)
class Habit:
    """One value of a style's field: how it is asked for, and by which words it is recognised."""

    field: str
    value: Any
    label: str
    cues: str  # a regular expression, matched without case
    wordings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Pattern:
    """A kind of fault: what the teacher says of it, and the fields of a style that repair it."""

    sentence: str
    repairs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Subject:
    """One kind of problem.

    `read` makes of a problem's text what `write` needs, and raises ValueError for any other text.
    `write(read, style, rng, slip)` is a whole solution in a style (a frozen dataclass whose
    defaults are plain), with the chance `slip` of a mistake at each step. `diagnose` names the
    worst pattern in a wrong answer. `method` is the field that every primitive speaks of.
    `asides` are habits that are understood but never advised. `four` are the fields of a style in
    which all of the four habits are to be seen; `places(read, habit, trace)` are the sentences of a
    trace in which one of them is, None where the trace is not in terms that the subject reads.
    """

    name: str
    style: Any
    method: str
    habits: tuple[Habit, ...]
    patterns: Mapping[str, Pattern]
    read: Callable[[str], Any]
    write: Callable[[Any, Any, Random, float], str]
    diagnose: Callable[[Any, str], str]
    asides: tuple[Habit, ...]
    four: Mapping[str, Any]
    places: Callable[[Any, str, str], list[str] | None]

    def knows(self, problem: str) -> bool:
        try:
            self.read(problem)
        except ValueError:
            return False
        return True

    def pattern_of(self, attempt: ShownAttempt) -> str | None:
        """The worst pattern in a wrong answer; None where it is right or the problem unreadable."""
        if attempt.right or not self.knows(attempt.problem):
            return None
        return self.diagnose(self.read(attempt.problem), attempt.answer)

    def recognised(self, instruction: str) -> dict[str, Any]:
        """The fields that an instruction speaks of, by its words; the first habit of a field that
        matches counts. Two instructions in one are obeyed both, where they differ in fields.
        """
        fields: dict[str, Any] = {}
        for habit in (*self.habits, *self.asides):
            if habit.field not in fields and re.search(habit.cues, instruction, re.IGNORECASE):
                fields[habit.field] = habit.value
        return fields

    def style_for(self, instruction: str | None, rng: Random, *, variety: float) -> Any:
        """A style that obeys the instruction; each field it leaves open is drawn at random with
        chance `variety`.
        """
        fields = self.recognised(instruction or "")
        for habit in rng.sample(self.habits, len(self.habits)):
            if habit.field not in fields and rng.random() < variety / 2:
                fields[habit.field] = habit.value
        return replace(self.style(), **fields)

    def four_habits(self, rng: Random, *, variety: float) -> Any:
        """A style that shows all of the four habits, and is drawn like a plain one otherwise."""
        return replace(self.style_for(None, rng, variety=variety), **self.four)


def describe(habits: Iterable[Habit], rng: Random) -> tuple[str, str]:
    """A name and an instruction in words for a set of habits."""
    chosen = list(habits)
    name = ", ".join(habit.label for habit in chosen[:2])
    return name.capitalize(), " ".join(rng.choice(habit.wordings) for habit in chosen)
