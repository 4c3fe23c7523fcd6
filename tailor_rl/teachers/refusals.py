"""Is it the question that a teacher refuses, or does it refuse whatever it is asked?

A content filter and a prompt beyond the context cost one question; a wrong parameter or an account
without credit may get the same HTTP status and would cost them all. Knows nothing about HTTP.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

_FEWEST = 20  # answers that a flood is judged by
_WINDOW = 100  # of the last answers: more would hide a flood that begins late


class Verdict:
    """Whether an endpoint has answered any request: then its recipe is right.

    `proven`: it has, in an earlier sitting.
    """

    def __init__(self, *, proven: bool) -> None:
        self._proven = proven
        self._num_open = 0
        self._changed = asyncio.Event()

    @contextmanager
    def on_its_way(self) -> Iterator[None]:
        """Around the time in which a request may be answered."""
        self._num_open += 1
        try:
            yield
        finally:
            self._num_open -= 1
            if not self._num_open:
                self._changed.set()

    def answered(self) -> None:
        self._proven = True
        self._changed.set()

    async def is_proven(self) -> bool:
        """Consumes nothing; waits while others are on their way, for a refusal comes back sooner
        than an answer; unblocked by the first answer, or by the end of the last of the others.
        """
        while not self._proven and self._num_open:
            self._changed.clear()
            await self._changed.wait()
        return self._proven


class Flood:
    """Whether more than half of the last answers of a teacher were refusals.

    Judged by no fewer than are in flight: of the first of them the refusals come back first.
    """

    def __init__(self, *, in_flight: int) -> None:
        self._fewest = max(_FEWEST, in_flight)
        self._last: deque[bool] = deque(maxlen=max(_WINDOW, 2 * in_flight))

    def __str__(self) -> str:
        return f"{sum(self._last)} of its last {len(self._last)} questions"

    @property
    def is_here(self) -> bool:
        return len(self._last) >= self._fewest and 2 * sum(self._last) > len(self._last)

    def saw(self, *, refused: bool) -> None:
        self._last.append(refused)
