"""What a task may have besides. Each is found by asking `isinstance`: a plain class with the method
is enough.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, runtime_checkable

from tailor_rl.types import Problem


@runtime_checkable
class HasTraces(Protocol):
    def rule_based_trace(self, problem: Problem) -> str:
        """The task's own solver writes the trace (the "rule-based demonstration" baseline)."""
        ...


@runtime_checkable
class HasVariedTraces(Protocol):
    def varied_trace(self, problem: Problem, draw: int) -> str:
        """A right solution by the task's own solver, in the style that `draw` decides: one of many
        (the "rule-based, but diverse" control).
        """
        ...


@runtime_checkable
class HasAnswers(Protocol):
    def answer_text(self, problem: Problem) -> str:
        """The shortest text to which `grade` gives 1.0, for people who want to see the format."""
        ...


@runtime_checkable
class HasSizes(Protocol):
    def size(self, split: str) -> int:
        """How many problems a split has, where it is a data set. `problem` takes the index modulo
        the size.
        """
        ...


@runtime_checkable
class HasSlowGrades(Protocol):
    @property
    def longest_grading_s(self) -> float:
        """Seconds that `grade` may take by its own limits: `reward.timeout_s` must be more."""
        ...


@runtime_checkable
class HasNotes(Protocol):
    @property
    def notes(self) -> Sequence[str]:
        """What a user should know before the start, such as rows that were left out."""
        ...


@runtime_checkable
class HasRewards(Protocol):
    @property
    def rewards(self) -> Mapping[str, Callable[[Problem, str], float]]:
        """Further rewards by name, for `reward.weights`: shaping, format. Any finite number."""
        ...
