"""How many tries may be open at a time: as many as allowed, as few as a busy server makes it.

Additive increase, multiplicative decrease (Chiu and Jain, 1989, "Analysis of the increase and
decrease algorithms for congestion avoidance in computer networks").
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque

_log = logging.getLogger(__name__)

# Windows of successes that it takes to go beyond a limit at which the server refused before. With 1
# a server that takes 4 requests at a time would refuse every tenth, with this every fortieth.
_WINDOWS_AT_CEILING = 8


class AdaptiveLimiter:
    """A semaphore, first come first served, whose size `limit` is between 1 and `most`.

    A window is `limit` successes in a row: each adds 1. A refusal halves the limit, once for all
    tries that were open at that moment: they were sent under the limit that has fallen already.
    """

    def __init__(self, most: int) -> None:
        assert most >= 1, f"at least one request must be open at a time, not {most}"
        self._most = most
        self.limit = most
        self._open = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._round = 0  # of decreases
        self._successes = 0
        self._refused_at: int | None = None  # the lowest limit that is known to be too much

    async def acquire(self) -> int:
        """Wait for a turn. Give the result to `refused`, and `release` the turn in the end."""
        if self._open < self.limit and not self._waiting:
            self._open += 1
            return self._round
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():  # it was this one's turn already
                self.release()
            raise
        return self._round

    def release(self) -> None:
        self._open -= 1
        self._admit()

    def succeeded(self) -> None:
        self._successes += 1
        if self._successes < self._window():
            return
        self._successes = 0
        if self.limit < self._most:
            self.limit += 1
            self._admit()
        if self._refused_at is not None and self.limit > self._refused_at:
            self._refused_at = None  # the server takes more than it did

    def refused(self, turn: int) -> None:
        """The server has too much to do (HTTP 429 or 503), said to the try that has this turn."""
        self._successes = 0
        if turn < self._round:
            return
        self._round += 1
        self._refused_at = self.limit
        self.limit = max(1, self.limit // 2)
        _log.info("the teacher's server is at its limit: %d requests at a time", self.limit)

    def _window(self) -> int:
        at_ceiling = self._refused_at is not None and self.limit + 1 >= self._refused_at
        return self.limit * (_WINDOWS_AT_CEILING if at_ceiling else 1)

    def _admit(self) -> None:
        while self._waiting and self._open < self.limit:
            turn = self._waiting.popleft()
            if not turn.done():  # else its task was cancelled
                self._open += 1
                turn.set_result(None)
