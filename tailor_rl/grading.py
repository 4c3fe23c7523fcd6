"""The one place where a task's reward is called: what is no reward becomes an error, never a 0."""

from __future__ import annotations

import math

from tailor_rl.errors import GradeError
from tailor_rl.protocols import Task
from tailor_rl.types import Problem


def grade(task: Task, problem: Problem, text: str) -> float:
    """The outcome reward of an answer.

    Called on the event loop's own thread: graders are pure Python and quick, and some (those that
    use signals for deadlines) work on the main thread only. Raises GradeError where the task raised
    or gave no finite number: a defect counted as "wrong" would train the policy away from right
    answers.
    """
    try:
        reward = float(task.grade(problem, text))
    except Exception as error:
        raise GradeError(
            f"task {task.name!r} could not grade an answer to {problem.id!r}: "
            f"{type(error).__name__}: {error}; fix its grade(), a wrong answer is 0.0"
        ) from error
    if not math.isfinite(reward):
        raise GradeError(
            f"task {task.name!r} gave the reward {reward} to an answer to {problem.id!r}; "
            "a reward is a finite number"
        )
    return reward
