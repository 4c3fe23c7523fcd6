"""The paper's baseline: the task's own solver writes every trace, always right, one pattern."""

from __future__ import annotations

from collections.abc import Sequence

from tailor_rl.config.schema import RunConfig
from tailor_rl.errors import GradeError
from tailor_rl.grading import grade
from tailor_rl.protocols import Journal, RolloutPool, Task, Teacher
from tailor_rl.stages.once import once
from tailor_rl.stages.problems import warm_start_problems
from tailor_rl.types import Demonstration, Problem


async def demonstrations(
    cfg: RunConfig, *, task: Task, teacher: Teacher, pool: RolloutPool, journal: Journal
) -> list[Demonstration]:
    """The problems that `tailor` demonstrates. Raises GradeError for a solver that is wrong."""

    async def make() -> Sequence[Demonstration]:
        problems = warm_start_problems(task, cfg.demonstrations.num_problems)
        journal.spend("demonstrate", {"problems": len(problems)})
        return [_demonstration(task, problem) for problem in problems]

    return await once(journal, "demonstrate", name="demonstrations", kind=Demonstration, make=make)


def _demonstration(task: Task, problem: Problem) -> Demonstration:
    trace = task.rule_based_trace(problem)
    reward = grade(task, problem, trace)
    if reward < 1.0:
        raise GradeError(
            f"task {task.name!r} gives its own solution of {problem.id!r} the reward {reward:g}; "
            "rule_based_trace() must end with the answer that grade() expects"
        )
    return Demonstration(
        id=f"{problem.id}/rule",
        problem_id=problem.id,
        prompt=problem.prompt,
        trace=trace,
        reward=reward,
        origin="rule",
        primitive_id=None,
        prompt_tokens=0,
        completion_tokens=0,
    )
