"""A client of any OpenAI-compatible /chat/completions endpoint, made to survive a bad network.

    complete -- its place among `requests_in_flight`, first come first served
        `-- a try: the circuit is closed -- a turn of the limiter -- one exchange
              |-- a passing fault: backoff with jitter or as Retry-After says, then another try
              |-- the circuit has opened: the next try waits until it closes
              |-- a refusal: of the question, once the endpoint has answered another, or of all
              `-- an answer, or the deadline

Knows nothing about prompts, primitives, prices or the purchase book.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import stamina

from tailor_rl.errors import TeacherError
from tailor_rl.protocols import TeacherReply, TeacherRequest
from tailor_rl.teachers.breaker import CircuitBreaker
from tailor_rl.teachers.faults import (
    LONGEST_WAIT_S,
    Refused,
    Transient,
    Unavailable,
    UnusableAnswer,
    advice,
    refused_question,
    retry_wait,
)
from tailor_rl.teachers.limiter import AdaptiveLimiter
from tailor_rl.teachers.patience import Deadline, Pace, Patience
from tailor_rl.teachers.probing import find_model
from tailor_rl.teachers.purchases import purchase_key
from tailor_rl.teachers.refusals import Verdict
from tailor_rl.teachers.transport import Transport
from tailor_rl.teachers.wire import COMPLETIONS, OPTIONAL, read_reply, request_body

_TOO_BUSY = frozenset({429, 503})
_log = logging.getLogger(__name__)


class ChatClient:
    """One endpoint, one model. At most `requests_in_flight` requests are begun at a time, fewer
    where the server cannot take so many.

    `timeout_s` bounds one try from connecting to the last byte, `deadline_s` a request with all its
    tries and waits, from its first turn on. `section` is the endpoint's place in the recipe.
    `proven`: it has answered in an earlier sitting.
    """

    def __init__(
        self,
        base_url: str,
        model: str,
        *,
        api_key_env: str,
        timeout_s: float,
        requests_in_flight: int,
        deadline_s: float = 600.0,
        section: str = "teacher",
        patience: Patience | None = None,
        proven: bool = False,
    ) -> None:
        self._transport = Transport(
            base_url,
            api_key_env=api_key_env,
            timeout_s=timeout_s,
            section=section,
        )
        self._model = model
        self._section = section
        self._deadline_s = deadline_s
        self._patience = patience or Patience()
        self._places = asyncio.Semaphore(requests_in_flight)
        self._limiter = AdaptiveLimiter(requests_in_flight)
        self._pace = Pace(self._patience.gap_s)
        self._breaker = CircuitBreaker(self._transport.base_url, self._patience.within(deadline_s))
        self._verdict = Verdict(proven=proven)
        self._unwanted: frozenset[str] = frozenset()  # parameters that this server refuses

    def __repr__(self) -> str:
        return f"ChatClient({self._transport.base_url!r}, {self._model!r})"

    @property
    def name(self) -> str:
        return self._model

    @property
    def limit(self) -> int:
        """How many tries may be open now."""
        return self._limiter.limit

    async def complete(
        self, request: TeacherRequest, *, before_sending: Callable[[], None] | None = None
    ) -> TeacherReply:
        """Buy one completion. Raises UnusableAnswer for one without text, RefusedQuestion where the
        endpoint answers others, else TeacherError.

        `before_sending` is called once the request has its turn: until then nothing is paid for.
        `request.schema` is sent as the form of the answer, unless the server has refused that.
        """
        async with self._places:
            errand = _Errand(before_sending)
            try:
                with self._verdict.on_its_way():
                    async with Deadline(self._deadline_s) as deadline:
                        payload = await self._buy(request, errand, deadline)
            except TimeoutError:
                raise TeacherError(self._sentence(self._too_late(errand))) from None
            except Refused as refused:
                raise await self._judged(refused, errand) from None
            except (Transient, Unavailable) as fault:
                raise TeacherError(self._sentence(fault)) from None
        self._verdict.answered()
        try:
            reply = read_reply(payload, url=self._transport.base_url, model=self._model)
        except UnusableAnswer as answer:
            counted = replace(answer.reply, retries=errand.failures)
            raise UnusableAnswer(str(answer), counted) from None
        return replace(reply, retries=errand.failures)

    async def check(self) -> None:
        """Find a wrong URL, key or model before a run starts: one GET, or a one-token completion.

        Raises TeacherError (exit code 2) with the URL, what was tried and what to set.
        """
        try:
            async with asyncio.timeout(self._deadline_s):
                await find_model(self._transport, self._model, section=self._section)
        except TimeoutError:
            late = f"{self._transport.base_url} had not answered after {self._deadline_s:g} s"
            raise TeacherError(self._sentence(Transient(late)), before_start=True) from None
        except (Transient, Refused) as fault:
            raise TeacherError(self._sentence(fault), before_start=True) from None

    async def aclose(self) -> None:
        await self._transport.aclose()

    async def _judged(self, refused: Refused, errand: _Errand) -> TeacherError:
        if not (refused.may_be_of_the_question and await self._verdict.is_proven()):
            return TeacherError(self._sentence(refused))
        return refused_question(
            f"The teacher {self._model!r} refused a question: {refused}",
            model=self._model,
            retries=errand.failures,
        )

    async def _buy(
        self, request: TeacherRequest, errand: _Errand, deadline: Deadline
    ) -> dict[str, Any]:
        headers = {"Idempotency-Key": purchase_key(self._model, request)}
        without = self._unwanted
        while True:
            body = request_body(self._model, request, without=without)
            try:
                payload = await self._persist(body, headers, errand, deadline)
            except Refused as refused:
                named = {name for name in OPTIONAL & body.keys() if name in refused.seen}
                if refused.status not in (400, 422) or not named:
                    raise
                without |= named
            else:
                self._remember(without)
                return payload

    def _remember(self, unwanted: frozenset[str]) -> None:
        for parameter in sorted(unwanted - self._unwanted):
            _log.warning("%r refuses %s and is asked without it from now on", self, parameter)
        self._unwanted |= unwanted

    async def _persist(
        self,
        body: Mapping[str, Any],
        headers: Mapping[str, str],
        errand: _Errand,
        deadline: Deadline,
    ) -> dict[str, Any]:
        patience = self._patience
        async for again in stamina.retry_context(
            on=retry_wait, attempts=patience.tries, timeout=None, wait_jitter=patience.jitter_s,
            wait_initial=patience.first_wait_s, wait_max=patience.longest_wait_s,
        ):  # fmt: skip
            with again:
                while True:
                    try:
                        return await self._try(body, headers, errand, deadline)
                    except Transient as fault:
                        # While nobody is answered it is not this request that is at fault: its
                        # tries are not counted, and only its deadline ends it.
                        if not self._breaker.is_open:
                            raise fault.counted(errand.failures) from None
        raise AssertionError("stamina returns or raises")

    async def _try(
        self,
        body: Mapping[str, Any],
        headers: Mapping[str, str],
        errand: _Errand,
        deadline: Deadline,
    ) -> dict[str, Any]:
        turn, probe = await self._turn(deadline)
        try:
            await self._pace.keep()
            errand.begins()
            payload = await self._transport.exchange("POST", COMPLETIONS, body, headers=headers)
        except Transient as fault:
            errand.failed(fault)
            self._blame(fault, turn=turn, probe=probe)
            raise
        except Refused:
            self._breaker.worked(probe=probe)
            raise
        finally:
            self._breaker.left(probe=probe)
            self._limiter.release()
        self._breaker.worked(probe=probe)
        self._limiter.succeeded()
        return payload

    async def _turn(self, deadline: Deadline) -> tuple[int, bool]:
        """A turn of the limiter, and whether it is for a probe. Nobody keeps a turn while the
        circuit is open, and waiting for the circuit counts against the deadline: else requests
        would run out of time one after another.
        """
        while True:
            probe = await self._breaker.admit(until=deadline.when)
            try:
                with deadline.paused():
                    turn = await self._limiter.acquire()
            except BaseException:
                self._breaker.left(probe=probe)
                raise
            if probe or not self._breaker.is_open:
                return turn, probe
            self._limiter.release()

    def _blame(self, fault: Transient, *, turn: int, probe: bool) -> None:
        if fault.status in _TOO_BUSY:
            self._limiter.refused(turn)
        if (fault.wait_s or 0.0) > LONGEST_WAIT_S:
            self._breaker.hold(fault, fault.wait_s or 0.0)
        # A server that limits the rate is well, as long as one could ask more gently.
        elif fault.status != 429 or self._limiter.limit == 1 or probe:
            self._breaker.failed(fault, probe=probe)

    def _too_late(self, errand: _Errand) -> Transient:
        last = errand.last
        seen = str(last.counted(errand.failures)) if last else self._breaker.reason
        cause = f"; the last fault: {seen}" if seen else ""
        what = f"POST {self._transport.base_url}{COMPLETIONS}"
        return Transient(
            f"{what} did not end within {self._deadline_s:g} s{cause}",
            status=last.status if last else None,
        )

    def _sentence(self, fault: Transient | Refused | Unavailable) -> str:
        hint = advice(fault, key_hint=self._transport.key.hint, section=self._section)
        return f"The teacher {self._model!r} cannot be used: {fault}; {hint}."


class _Errand:
    """How far one request has come."""

    def __init__(self, before_sending: Callable[[], None] | None) -> None:
        self._before_sending = before_sending
        self.failures = 0
        self.last: Transient | None = None

    def begins(self) -> None:
        if self._before_sending is not None:
            self._before_sending()
            self._before_sending = None

    def failed(self, fault: Transient) -> None:
        self.failures += 1
        self.last = fault
