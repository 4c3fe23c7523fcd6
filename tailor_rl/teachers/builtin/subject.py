"""A subject of the built-in teacher: instructions it understands, faults it sees, how it solves.

Reading an instruction is by keywords, so one written by a person or by another teacher works as
well as our own.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from random import Random
from typing import Any

from tailor_rl.teachers.prompts import ShownAttempt

OTHER = "other"  # the pattern of a subject that is named where nothing else was to be seen


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
    """

    name: str
    style: Any
    method: str
    habits: tuple[Habit, ...]
    patterns: Mapping[str, Pattern]
    read: Callable[[str], Any]
    write: Callable[[Any, Any, Random, float], str]
    diagnose: Callable[[Any, str], str]

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

    def frequent_patterns(self, attempts: Iterable[ShownAttempt]) -> list[str]:
        """Patterns by falling frequency; "other" where nothing was wrong to see."""
        counts = Counter(found for attempt in attempts if (found := self.pattern_of(attempt)))
        return [pattern for pattern, _ in counts.most_common()] or [OTHER]

    def recognised(self, instruction: str) -> dict[str, Any]:
        """The fields that an instruction speaks of, by its words; the first habit of a field that
        matches counts.
        """
        fields: dict[str, Any] = {}
        for habit in self.habits:
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


def describe(habits: Iterable[Habit], rng: Random) -> tuple[str, str]:
    """A name and an instruction in words for a set of habits."""
    chosen = list(habits)
    name = ", ".join(habit.label for habit in chosen[:2])
    return name.capitalize(), " ".join(rng.choice(habit.wordings) for habit in chosen)
