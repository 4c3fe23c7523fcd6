"""Which train problems are used before RL."""

from __future__ import annotations

from tailor_rl.config.schema import RunConfig
from tailor_rl.protocols import Task
from tailor_rl.task_extras import HasSizes
from tailor_rl.types import Problem

# RL takes train problems 0, 1, 2, ... The warm start takes its own where RL never gets to: else the
# first rewards would be of problems whose solutions the student has just been shown.
FIRST_WARM_START_INDEX = 2**24


def warm_start_problems(task: Task, num: int, *, skip: int = 0) -> list[Problem]:
    """The problems attempted or demonstrated before RL: the same for every initialisation.

    A data set is used from its end, while RL reads it from its beginning: they share problems only
    where it is too small for both.
    """
    if isinstance(task, HasSizes):
        size = task.size("train")
        return [task.problem("train", (size - 1 - skip - i) % size) for i in range(min(num, size))]
    return [task.problem("train", FIRST_WARM_START_INDEX + skip + i) for i in range(num)]


def trial_problems(task: Task, cfg: RunConfig) -> list[Problem]:
    """What primitives are tried on: neither attempted nor demonstrated, if there is enough."""
    taken = max(cfg.attempts.num_problems, cfg.demonstrations.num_problems)
    return warm_start_problems(task, cfg.primitives.trial_problems, skip=taken)
