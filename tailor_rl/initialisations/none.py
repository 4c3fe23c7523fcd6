"""No warm start: RL begins from the student as it is."""

from __future__ import annotations

from tailor_rl.config.schema import RunConfig
from tailor_rl.protocols import Grader, Journal, RolloutPool, Task, Teacher
from tailor_rl.types import Demonstration


async def demonstrations(
    cfg: RunConfig,
    *,
    task: Task,
    teacher: Teacher,
    pool: RolloutPool,
    grader: Grader,
    journal: Journal,
) -> list[Demonstration]:
    return []
