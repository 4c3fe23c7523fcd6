"""How long a client waits, and for what. Knows nothing about HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Self


@dataclass(frozen=True, slots=True)
class Patience:
    """Waits between tries and the rules of the circuit breaker; tests shorten them."""

    # Between two requests that leave. Those that leave in one burst come back in one, and then wait
    # for each other while the server waits for them; many servers count bursts as too many, too.
    gap_s: float = 0.0015
    tries: int = 10  # of one request, while the endpoint answers others
    first_wait_s: float = 0.5  # doubled after every try ...
    longest_wait_s: float = 30.0  # ... up to this
    jitter_s: float = 1.0  # added at random, so that many requests do not come back together
    failures: int = 8  # exchanges that fail in a row, of any requests, open the circuit
    cool_down_s: float = 2.0  # until a probe; doubled with every probe that fails ...
    longest_cool_down_s: float = 60.0  # ... up to this

    def within(self, deadline_s: float) -> Patience:
        """Cool-downs so short that a request outlives several: else an endpoint could be back for
        long, and its requests would end without having asked.
        """
        most_s = deadline_s / 8
        return replace(
            self,
            cool_down_s=min(self.cool_down_s, most_s),
            longest_cool_down_s=min(self.longest_cool_down_s, most_s),
        )


class Pace:
    """Lets callers pass one after another, `gap_s` apart."""

    def __init__(self, gap_s: float) -> None:
        self._gap_s = gap_s
        self._next = 0.0  # of the event loop's clock

    async def keep(self) -> None:
        now = asyncio.get_running_loop().time()
        when = max(now, self._next)
        self._next = when + self._gap_s
        if when > now:
            await asyncio.sleep(when - now)


class Deadline:
    """Ends a block with TimeoutError after `seconds`, of which paused ones do not count."""

    def __init__(self, seconds: float) -> None:
        self._timeout = asyncio.timeout(seconds)

    async def __aenter__(self) -> Self:
        await self._timeout.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._timeout.__aexit__(kind, error, trace)

    @property
    def when(self) -> float:
        """The moment of the event loop's clock at which the block ends."""
        when = self._timeout.when()
        assert when is not None, "asked while paused"
        return when

    @contextmanager
    def paused(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        left_s = self.when - loop.time()
        self._timeout.reschedule(None)
        try:
            yield
        finally:
            self._timeout.reschedule(loop.time() + left_s)
