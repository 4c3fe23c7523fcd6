"""The paper's baseline: the task's own solver writes every trace, always right, one pattern."""

from __future__ import annotations

from collections.abc import Sequence

from tailor_rl.concurrency import together
from tailor_rl.config.schema import RunConfig
from tailor_rl.errors import GradeError
from tailor_rl.protocols import Grader, HasTraces, Journal, RolloutPool, Task, Teacher
from tailor_rl.stages.once import once
from tailor_rl.stages.problems import warm_start_problems
from tailor_rl.types import Demonstration, Problem


async def demonstrations(
    cfg: RunConfig,
    *,
    task: Task,
    teacher: Teacher,
    pool: RolloutPool,
    grader: Grader,
    journal: Journal,
) -> list[Demonstration]:
    """The problems that `tailor` demonstrates. Raises GradeError for a solver that is wrong."""
    assert isinstance(task, HasTraces), task.name  # checked with the recipe

    async def make() -> Sequence[Demonstration]:
        problems = warm_start_problems(task, cfg.demonstrations.num_problems)
        journal.spend("demonstrate", {"problems": len(problems)})
        return await together(_demonstration(task, grader, problem) for problem in problems)

    return await once(journal, "demonstrate", name="demonstrations", kind=Demonstration, make=make)


async def _demonstration(task: HasTraces, grader: Grader, problem: Problem) -> Demonstration:
    trace = task.rule_based_trace(problem)
    (grade,) = await grader.grade(problem, [trace])
    if grade is None or grade.correct < 1.0:
        verdict = "none at all" if grade is None else f"{grade.correct:g}"
        raise GradeError(
            f"the task's own solution of {problem.id!r} gets the grade {verdict}; "
            "rule_based_trace() must end with the answer that grade() expects"
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
