"""One weight sync: learner and rollout engines meet on a channel. Knows nothing about transports.

    learner.send(version, ...) --offer--> MeetingChannel --accept--> pool.receive(version, ...)

Publishing first and loading afterwards would deadlock as soon as the transport is a collective, so
both sides always run at the same time, and when one fails the other is cancelled.
"""

from __future__ import annotations

import asyncio
from typing import Any

from tailor_rl.concurrency import together
from tailor_rl.errors import WeightSyncError
from tailor_rl.protocols import Learner, RolloutPool
from tailor_rl.types import WeightVersion


class MeetingChannel:
    """A WeightChannel in one process, good for one sync: both must be there to change hands."""

    def __init__(self) -> None:
        self._slot: asyncio.Queue[Any] = asyncio.Queue(maxsize=1)

    async def offer(self, payload: Any) -> None:
        """Waits for the other side: the learner keeps its payload alive until it is taken over."""
        await self._slot.put(payload)
        await self._slot.join()

    async def accept(self) -> Any:
        payload = await self._slot.get()
        self._slot.task_done()
        return payload


async def sync_weights(learner: Learner, pool: RolloutPool, *, timeout_s: float) -> WeightVersion:
    """Bring every engine to the weights that the learner holds now, and return their name.

    Raises WeightSyncError after `timeout_s` seconds, naming the side that was waited for; an error
    of either side is raised as it is and cancels the other.
    """
    waiting_for = {"the learner's version"}

    async def stage(name: str, work: Any) -> Any:
        waiting_for.add(name)
        result = await work
        waiting_for.discard(name)
        return result

    try:
        async with asyncio.timeout(timeout_s):
            version = await learner.version()
            waiting_for.clear()
            channel = MeetingChannel()
            await together(
                [
                    stage("the learner's send", learner.send(version, channel)),
                    stage("the engines' receive", pool.receive(version, channel)),
                ]
            )
    except TimeoutError as error:
        raise WeightSyncError(
            f"weight sync took longer than rollout.sync_timeout_s={timeout_s:g} s; still waiting "
            f"for {' and '.join(sorted(waiting_for))}"
        ) from error
    return version
