"""How good the built-in teacher is: its model name decides.

Share of right traces (%), by temperature, over 400 problems of each subject and 25 instructions of
the same teacher (benchmarks/builtin_strengths.py, results/builtin-strengths.json):

TABLE
"""

from __future__ import annotations

from dataclasses import dataclass

from tailor_rl.teachers.builtin.subject import GENERAL, OTHER, Habit, Subject


@dataclass(frozen=True, slots=True)
class Strength:
    """One of the built-in teacher's models.

    `slip` is the chance of a mistake at each step, besides temperature's. Of a subject's patterns a
    weak teacher tells apart the first `num_patterns` that are more than a matter of form, and calls
    the others "other"; its primitives speak of the first `num_fields` fields of a style alone, so
    they are more alike. None: all of them.
    """

    name: str
    slip: float = 0.0
    num_patterns: int | None = None
    num_fields: int | None = None

    def sees(self, subject: Subject, pattern: str) -> str:
        """The pattern that this teacher takes a pattern for."""
        special = [name for name in subject.patterns if name not in GENERAL]
        told_apart = pattern in GENERAL or pattern in special[: self.num_patterns]
        return pattern if told_apart else OTHER

    def habits(self, subject: Subject) -> tuple[Habit, ...]:
        """What it can advise. The subject's method always belongs to it."""
        if self.num_fields is None:
            return subject.habits
        others = dict.fromkeys(h.field for h in subject.habits if h.field != subject.method)
        fields = {subject.method, *list(others)[: self.num_fields - 1]}
        return tuple(habit for habit in subject.habits if habit.field in fields)


SOLVER = Strength("builtin-solver")
APPRENTICE = Strength("builtin-apprentice", slip=0.04, num_patterns=2, num_fields=5)
NOVICE = Strength("builtin-novice", slip=0.15, num_patterns=0, num_fields=3)
STRENGTHS = {strength.name: strength for strength in (SOLVER, APPRENTICE, NOVICE)}
