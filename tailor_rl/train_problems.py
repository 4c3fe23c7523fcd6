"""Which train problems are used for what: RL has its own, the warm start has others.

    index   0, 1, 2, ...             RL, in this order
            2^24, 2^24 + 1, ...      the warm start: attempts, demonstrations, then trials

Indices alone do not keep them apart: a task of small puzzles draws the same one again, or one that
differs in names. So the families of a task are dealt out too, half to each, and an index whose
problem belongs to the other half stands for one that is drawn further on.
"""

from __future__ import annotations

from tailor_rl.config.schema import RunConfig
from tailor_rl.protocols import Task
from tailor_rl.task_extras import HasSizes
from tailor_rl.tasks.splits import fingerprint
from tailor_rl.types import Problem

# Else the first rewards would be of problems whose solutions the student has just been shown.
FIRST_WARM_START_INDEX = 2**24
_FURTHER_ON = 2 * FIRST_WARM_START_INDEX  # from an index to the next that may stand in for it
_TRIES = 64  # a task with families of one half alone gives what it has


def train_problem(task: Task, index: int) -> Problem:
    """The train problem of an index: RL's below 2^24, else the warm start's.

    The index in the problem's `id` is where it was drawn, and gives the same problem again. Data
    sets, and tasks that know of no families, are used as they are.
    """
    given = task.problem("train", index)
    if isinstance(task, HasSizes) or not given.family:
        return given
    for attempt in range(_TRIES):
        problem = task.problem("train", index + attempt * _FURTHER_ON) if attempt else given
        if _is_for_warm_start(problem.family) == _is_of_warm_start(index):
            return problem
    return given


def warm_start_problems(task: Task, num: int, *, skip: int = 0) -> list[Problem]:
    """The problems attempted or demonstrated before RL: the same for every initialisation.

    A data set is used from its end, while RL reads it from its beginning: they share problems only
    where it is too small for both.
    """
    if isinstance(task, HasSizes):
        size = task.size("train")
        return [task.problem("train", (size - 1 - skip - i) % size) for i in range(min(num, size))]
    return [train_problem(task, FIRST_WARM_START_INDEX + skip + i) for i in range(num)]


def trial_problems(task: Task, cfg: RunConfig) -> list[Problem]:
    """What primitives are tried on: neither attempted nor demonstrated, if there is enough."""
    taken = max(cfg.attempts.num_problems, cfg.demonstrations.num_problems)
    return warm_start_problems(task, cfg.primitives.trial_problems, skip=taken)


def _is_of_warm_start(index: int) -> bool:
    return index // FIRST_WARM_START_INDEX % 2 == 1


def _is_for_warm_start(family: str) -> bool:
    """Apart from how splits are cut, which are shares of a fingerprint of the same things."""
    return fingerprint(f"warm start: {family}") % 2 == 1
