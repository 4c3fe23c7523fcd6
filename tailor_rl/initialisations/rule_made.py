"""Demonstrations that the task's own solver writes: no teacher, always right."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tailor_rl.concurrency import together
from tailor_rl.errors import GradeError
from tailor_rl.kit import Kit
from tailor_rl.protocols import Grader
from tailor_rl.stages.once import once
from tailor_rl.types import Demonstration, Problem


async def rule_made(
    kit: Kit, write: Callable[[Problem], str], *, method: str
) -> list[Demonstration]:
    """A trace for every query by `write`, a method of the task that is called `method` in errors.

    Raises GradeError for a solver that is wrong.
    """

    async def make() -> Sequence[Demonstration]:
        queries = kit.queries
        kit.journal.spend("demonstrate", {"problems": len(queries)})
        return await together(
            _demonstration(kit.grader, query, write(query), method) for query in queries
        )

    return await once(kit.journal, "demonstrate", name="traces", kind=Demonstration, make=make)


async def _demonstration(
    grader: Grader, problem: Problem, trace: str, method: str
) -> Demonstration:
    (grade,) = await grader.grade(problem, [trace])
    if grade is None or grade.correct < 1.0:
        verdict = "none at all" if grade is None else f"{grade.correct:g}"
        raise GradeError(
            f"the task's own solution of {problem.id!r} gets the grade {verdict}; "
            f"{method}() must end with the answer that grade() expects"
        )
    return Demonstration(
        id=f"{problem.id}/rule",
        problem_id=problem.id,
        prompt=problem.prompt,
        trace=trace,
        reward=grade.correct,
        origin="rule",
        primitive_id=None,
        prompt_tokens=0,
        completion_tokens=0,
    )
