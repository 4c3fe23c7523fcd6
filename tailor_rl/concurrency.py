"""Many coroutines at once, where the first failure is the one that is seen."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any, TypeVar

Result = TypeVar("Result")

# Enough to fill engines; few enough that no request waits longer than its own deadline.
ROLLOUTS_IN_FLIGHT = 1024


def rollout_slots(samples: int) -> asyncio.Semaphore:
    """How many problems, of `samples` rollouts each, may be with the engines at a time."""
    return asyncio.Semaphore(max(1, ROLLOUTS_IN_FLIGHT // samples))


async def together(coroutines: Iterable[Coroutine[Any, Any, Result]]) -> list[Result]:
    """Their results, in order. When one fails the others are cancelled and its own error is raised.

    `asyncio.gather` would leave the others running, and a bare TaskGroup raises an ExceptionGroup,
    in which a user cannot see the one sentence that says what to fix.
    """
    try:
        async with asyncio.TaskGroup() as tasks:
            running = [tasks.create_task(coroutine) for coroutine in coroutines]
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from None
    return [task.result() for task in running]
