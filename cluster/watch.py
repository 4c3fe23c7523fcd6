"""Work that depends on actors, stopped by the death of any of them, which is told as the reason."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar

from cluster.handles import Actor
from tailor_rl.errors import EngineError, LearnerError, TeacherError, WeightSyncError

Result = TypeVar("Result")
# A peer's broken connection may be heard of before the death that broke it.
OBITUARY_S = 3.0
FOLLOWS_A_DEATH = (EngineError, LearnerError, TeacherError, WeightSyncError)


async def guarded(work: Coroutine[Any, Any, Result], actors: Sequence[Actor]) -> Result:
    """The result of `work`. Raises soon after one of `actors` dies, waited for or not.

    An error of a component is held back for up to OBITUARY_S seconds: when an actor turns out
    to have died, its death is raised, for it is the cause.
    """
    working = asyncio.ensure_future(work)
    deaths = [asyncio.ensure_future(actor.watch()) for actor in actors]
    try:
        await asyncio.wait([working, *deaths], return_when=asyncio.FIRST_COMPLETED)
        if working.done() and not working.cancelled():
            failure = working.exception()
            if isinstance(failure, FOLLOWS_A_DEATH):
                await asyncio.wait(deaths, timeout=OBITUARY_S, return_when=asyncio.FIRST_COMPLETED)
        for death in deaths:
            if death.done():
                death.result()
        return await working
    finally:
        await _cancel([working, *deaths])


async def _cancel(tasks: Sequence[asyncio.Future[Any]]) -> None:
    for task in tasks:
        task.cancel()
    for task in tasks:
        # What they raise now is a consequence of stopping, or was raised already.
        with contextlib.suppress(asyncio.CancelledError, Exception):
            await task
