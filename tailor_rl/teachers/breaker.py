"""Stops asking an endpoint that answers nobody, says why, and finds out when it is back.

    closed -- failures in a row, or told to wait --> open -- cooled down --> one probe
      ^                                               ^                        |   |
      |                                               +------- fails ----------+   |
      +------------------------- works --------------------------------------------+

Waits for: the cool-down, or the probe of another request. Unblocked by: `worked`, `failed`, `left`.
"""

from __future__ import annotations

import asyncio
import logging

from tailor_rl.teachers.faults import Transient, Unavailable
from tailor_rl.teachers.patience import Patience

_log = logging.getLogger(__name__)


class CircuitBreaker:
    """The circuit of one endpoint, over all requests to it. `what` names it in errors and logs."""

    def __init__(self, what: str, patience: Patience) -> None:
        self._what = what
        self._patience = patience
        self._failures = 0  # in a row
        self._cool_down_s = patience.cool_down_s
        self._open_until: float | None = None
        self.reason = ""  # why it opened last, in words that follow `what`
        self._status: int | None = None
        self._probing = False
        self._changed = asyncio.Event()

    @property
    def is_open(self) -> bool:
        return self._open_until is not None

    async def admit(self, *, until: float) -> bool:
        """Return once a try may start: True if it is the probe. `left` must be told of its end.

        Raises Unavailable as soon as it is clear that this cannot be before `until` (of the event
        loop's clock).
        """
        loop = asyncio.get_running_loop()
        while self._open_until is not None:
            left_s = self._open_until - loop.time()
            if self._open_until > until:
                raise Unavailable(
                    f"{self._sentence()}; it may be asked again in {left_s:.0f} s, which is beyond"
                    " the deadline of this request",
                    status=self._status,
                )
            if left_s <= 0 and not self._probing:
                self._probing = True
                return True
            try:
                async with asyncio.timeout(None if self._probing else left_s):
                    await self._changed.wait()
            except TimeoutError:
                continue
        return False

    def worked(self, *, probe: bool) -> None:
        """An exchange came to its end; a refusal counts, for the server is there."""
        if self.is_open and not probe:
            return  # sent before the circuit opened: says nothing about now
        self._failures = 0
        self._cool_down_s = self._patience.cool_down_s
        if self.is_open:
            _log.warning("%s answers again", self._what)
            self._open_until = None
            self._wake()

    def failed(self, fault: Transient, *, probe: bool) -> None:
        self._failures += 1
        if self.is_open and not probe:
            return
        if probe or self._failures >= self._patience.failures:
            times = "once" if self._failures == 1 else f"{self._failures} times in a row"
            cool_down_s = max(self._cool_down_s, fault.wait_s or 0.0)
            self._open(cool_down_s, f"failed {times}, the last time so: {fault}", fault)
            self._cool_down_s = min(2 * self._cool_down_s, self._patience.longest_cool_down_s)

    def hold(self, fault: Transient, seconds: float) -> None:
        """Ask nothing for so long: the server has said when it will answer again."""
        self._open(seconds, f"is not to be asked for {seconds:.0f} s: {fault}", fault)

    def left(self, *, probe: bool) -> None:
        """A try has ended, whatever came of it; only then may the next probe start."""
        if probe:
            self._probing = False
            self._wake()

    def _open(self, seconds: float, reason: str, fault: Transient) -> None:
        until = asyncio.get_running_loop().time() + seconds
        self._open_until = max(until, self._open_until or until)
        self.reason, self._status = reason, fault.status
        _log.warning("%s; next try in %.0f s", self._sentence(), seconds)

    def _sentence(self) -> str:
        return f"{self._what} {self.reason}"

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()
