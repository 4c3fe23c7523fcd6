"""How good the built-in teacher is: its model name decides.

Right traces of 400 (%), each following one of 25 primitives by the same model, and how many sets
of habits the 25 are; measured by benchmarks/builtin_strengths.py into
benchmarks/results/builtin-strengths.json::

                                   temperature
                                   0.4  0.8  1.2  1.6   sets
    knights    builtin-solver      100  100   71    1     25
               builtin-apprentice   83   83   56    1     25
               builtin-novice       53   52   32    0     18
    countdown  builtin-solver      100  100   73    3     25
               builtin-apprentice   85   86   57    4     25
               builtin-novice       66   61   44    4     25
    hands of   builtin-solver      100  100   68    2     25
    cards      builtin-apprentice   82   83   58    3     25
               builtin-novice       58   55   46    2     25
    iGSM       builtin-solver      100  100   90   11     25
    (small)    builtin-apprentice   96   96   82   11     25
               builtin-novice       80   80   71   17     12

Small iGSM is modulo 7: a guess is right in one of seven.
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
