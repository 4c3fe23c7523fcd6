"""Rollouts of one problem, sorted by whether they could be graded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tailor_rl.protocols import Grader
from tailor_rl.types import Grade, Problem, Rollout


@dataclass(frozen=True, slots=True)
class GradedRollouts:
    """`grades[i]` is that of `rollouts[i]`."""

    rollouts: tuple[Rollout, ...]
    grades: tuple[Grade, ...]
    ungraded: tuple[Rollout, ...]


async def grade_rollouts(
    grader: Grader, problem: Problem, rollouts: Sequence[Rollout]
) -> GradedRollouts:
    """The rewards of rollouts; those that the grader failed on stand apart."""
    grades = await grader.grade(problem, [rollout.text for rollout in rollouts])
    pairs = list(zip(rollouts, grades, strict=True))
    return GradedRollouts(
        rollouts=tuple(rollout for rollout, grade in pairs if grade is not None),
        grades=tuple(grade for _, grade in pairs if grade is not None),
        ungraded=tuple(rollout for rollout, grade in pairs if grade is None),
    )
