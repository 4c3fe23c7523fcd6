"""A grader that sets failures aside, counts them, and gives up when there are too many."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from tailor_rl.errors import GradeError
from tailor_rl.types import Grade, GradeFailure, Problem

_LEAST = 100  # answers before which a share means little
_SHOWN = 300  # characters of an answer in an error message


class Bench(Protocol):
    """Where the grading is done: worker processes, or this one."""

    async def __call__(
        self, problem: Problem, texts: Sequence[str]
    ) -> list[Grade | GradeFailure]: ...


class CountingGrader:
    """Grades by `bench`; what could not be graded is None: set aside, counted, never scored 0.

    Raises GradeError with an example as soon as more than `max_error_share` of the answers (of at
    least 100) could not be graded.
    """

    def __init__(
        self,
        bench: Bench,
        *,
        max_error_share: float,
        on_failure: Callable[[GradeFailure], None] | None = None,
    ) -> None:
        self._bench = bench
        self._max_error_share = max_error_share
        self._on_failure = on_failure
        self.num_texts = 0
        self.num_failures = 0

    async def grade(self, problem: Problem, texts: Sequence[str]) -> list[Grade | None]:
        results = await self._bench(problem, texts)
        self.num_texts += len(results)
        for result in results:
            if isinstance(result, GradeFailure):
                self._count(result)
        return [result if isinstance(result, Grade) else None for result in results]

    def _count(self, failure: GradeFailure) -> None:
        self.num_failures += 1
        if self._on_failure is not None:
            self._on_failure(failure)
        if self.num_failures > self._max_error_share * max(self.num_texts, _LEAST):
            shown = " ".join(failure.text.split())
            shown = shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}..."
            raise GradeError(
                f"{self.num_failures} of {self.num_texts} answers could not be graded, more than "
                f"reward.max_error_share={self._max_error_share:g} allows; the last: "
                f"{failure.error} (the answer: {shown!r}); fix the reward or raise the share"
            )
