"""A client of any OpenAI-compatible /chat/completions endpoint, made to survive a bad network.

Tried again, with backoff and jitter or as Retry-After says: connection faults, timeouts, bodies
that are no JSON, and HTTP 408, 409, 429 and 5xx. Refused at once: every other status. The key is
read from one environment variable and appears in no log, error or repr.
Knows nothing about prompts, primitives or the purchase book.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

import httpx
import stamina

from tailor_rl.errors import TeacherError
from tailor_rl.printable import one_line
from tailor_rl.protocols import TeacherReply, TeacherRequest
from tailor_rl.teachers.faults import (
    LONGEST_WAIT_S,
    Refused,
    Transient,
    advice,
    retry_after,
    retry_wait,
)
from tailor_rl.teachers.key import ApiKey
from tailor_rl.teachers.purchases import purchase_key
from tailor_rl.teachers.wire import checked_url, probe_body, read_models, read_reply, request_body

MAX_BODY_BYTES = 4 * 1024 * 1024
_RETRIED = frozenset({408, 409, 429})
_ATTEMPTS = 10
_ATTEMPTS_OF_CHECK = 2  # a wrong URL is told within seconds


class ChatClient:
    """One endpoint, one model. At most `requests_in_flight` requests are open at a time.

    `timeout_s` bounds one attempt from connecting to the last byte, `deadline_s` a request with all
    its retries and waits.
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
    ) -> None:
        self._base_url = checked_url(base_url)
        self._model = model
        self._key = ApiKey(api_key_env)
        self._timeout_s = timeout_s
        self._deadline_s = deadline_s
        self._with_seed = True
        self._slots = asyncio.Semaphore(requests_in_flight)
        # They log URLs and headers; stamina logs retries without a cause (faults.py does).
        for library, level in (("httpx", "WARNING"), ("httpcore", "WARNING"), ("stamina", "ERROR")):
            logging.getLogger(library).setLevel(level)
        self._http = httpx.AsyncClient(
            auth=self._key,
            timeout=httpx.Timeout(timeout_s),
            limits=httpx.Limits(max_connections=requests_in_flight + 1),
            # A proxy from the environment cannot reach this host's own loopback.
            trust_env=urlsplit(self._base_url).hostname not in ("127.0.0.1", "localhost", "::1"),
        )

    def __repr__(self) -> str:
        return f"ChatClient({self._base_url!r}, {self._model!r})"

    @property
    def name(self) -> str:
        return self._model

    async def complete(
        self, request: TeacherRequest, *, before_sending: Callable[[], None] | None = None
    ) -> TeacherReply:
        """Buy one completion. Raises UnusableAnswer for one without text, else TeacherError.

        `before_sending` is called once the request has its turn: until then nothing is paid for.
        """
        async with self._slots:
            if before_sending is not None:
                before_sending()
            try:
                payload = await self._buy(request)
            except (Transient, Refused) as fault:
                raise TeacherError(self._sentence(fault)) from None
        return read_reply(payload, url=self._base_url, model=self._model)

    async def check(self) -> None:
        """Find a wrong URL, key or model before a run starts: one GET, or a one-token completion.

        Raises TeacherError (exit code 2) with the URL, what was tried and what to set.
        """
        try:
            offered = await self._offered_models()
            if self._model not in offered:
                await self._probe(offered)
        except (Transient, Refused) as fault:
            raise TeacherError(self._sentence(fault), before_start=True) from None

    async def aclose(self) -> None:
        await self._http.aclose()

    async def _buy(self, request: TeacherRequest) -> dict[str, Any]:
        headers = {"Idempotency-Key": purchase_key(self._model, request)}
        path = "/chat/completions"
        while True:
            with_seed = self._with_seed
            body = request_body(self._model, request, with_seed=with_seed)
            try:
                return await self._exchange("POST", path, body, headers=headers)
            except Refused as refused:
                # Some providers refuse this parameter; they are asked without it from then on.
                if not (with_seed and refused.status in (400, 422) and "seed" in str(refused)):
                    raise
                self._with_seed = False

    async def _offered_models(self) -> list[str]:
        """Model names, as far as the endpoint tells; many list none or not all."""
        try:
            payload = await self._exchange("GET", "/models", None, attempts=_ATTEMPTS_OF_CHECK)
        except Refused as refused:
            if refused.status in (404, 405):
                return []
            raise
        return read_models(payload)

    async def _probe(self, offered: list[str]) -> None:
        body = probe_body(self._model)
        try:
            await self._exchange("POST", "/chat/completions", body, attempts=_ATTEMPTS_OF_CHECK)
        except Refused as refused:
            if refused.status not in (400, 404, 422) or not offered:
                raise
            names = ", ".join(offered[:8]) + (", ..." if len(offered) > 8 else "")
            raise TeacherError(
                f"The teacher at {self._base_url} has no model {self._model!r} ({refused});"
                f" set teacher.model to one of: {one_line(names, 300)}.",
                before_start=True,
            ) from None

    async def _exchange(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None,
        *,
        headers: Mapping[str, str] | None = None,
        attempts: int = _ATTEMPTS,
    ) -> dict[str, Any]:
        """One request with its retries. Raises the last Transient, Refused or TeacherError."""
        last: Transient | None = None
        try:
            async with asyncio.timeout(self._deadline_s):
                async for attempt in stamina.retry_context(
                    on=retry_wait, attempts=attempts, timeout=None,
                    wait_initial=0.5, wait_max=30.0, wait_jitter=1.0,
                ):  # fmt: skip
                    with attempt:
                        try:
                            return await self._attempt(method, path, body, headers or {})
                        except Transient as fault:
                            last = fault.counted(attempt.num)
                            raise last from None
        except TimeoutError:
            cause = f"; the last fault: {last}" if last else ""
            raise Transient(
                f"{method} {self._base_url}{path} did not end within {self._deadline_s:g} s{cause}"
            ) from None
        raise AssertionError("stamina returns or raises")

    async def _attempt(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None,
        headers: Mapping[str, str],
    ) -> dict[str, Any]:
        what = f"{method} {self._base_url}{path}"
        try:
            async with (
                asyncio.timeout(self._timeout_s),
                self._http.stream(
                    method, self._base_url + path, json=body, headers=headers
                ) as response,
            ):
                content = await self._capped(response, what)
        except TimeoutError:
            raise Transient(f"{what} had no full answer within {self._timeout_s:g} s") from None
        except httpx.RequestError as error:  # connecting, reading, a broken protocol or encoding
            cause = f"{type(error).__name__} {self._key.redact(str(error))}".strip()
            raise Transient(f"{what} failed with {cause}") from None
        return self._judged(response, content, what)

    async def _capped(self, response: httpx.Response, what: str) -> bytes:
        content = bytearray()
        async for chunk in response.aiter_bytes(65536):
            content += chunk
            if len(content) > MAX_BODY_BYTES:
                raise TeacherError(
                    f"{what} was answered with more than {MAX_BODY_BYTES} bytes, which is no chat"
                    " completion; check teacher.base_url."
                )
        return bytes(content)

    def _judged(self, response: httpx.Response, content: bytes, what: str) -> dict[str, Any]:
        status = response.status_code
        seen = (
            one_line(self._key.redact(content.decode("utf-8", "replace"))[:1000]) or "an empty body"
        )
        if status in _RETRIED or status >= 500:
            wait_s = retry_after(response.headers)
            if wait_s is not None and wait_s > LONGEST_WAIT_S:
                raise Refused(
                    f"{what} got HTTP {status} and is to wait {wait_s:.0f} s, longer than the"
                    f" {LONGEST_WAIT_S:.0f} s that are waited for: {seen}",
                    status=status,
                )
            raise Transient(f"{what} got HTTP {status}: {seen}", wait_s=wait_s)
        if not 200 <= status < 300:
            target = response.headers.get("location")
            moved = f" (a redirect to {one_line(self._key.redact(target))})" if target else ""
            raise Refused(f"{what} got HTTP {status}{moved}: {seen}", status=status)
        try:
            payload = json.loads(content)
        except (ValueError, RecursionError):
            kind = "a web page" if content.lstrip()[:1] == b"<" else "no JSON"
            raise Transient(f"{what} was answered with {kind}: {seen}", status=status) from None
        if not isinstance(payload, dict):
            raise Transient(f"{what} was answered with no JSON object: {seen}", status=status)
        return payload

    def _sentence(self, fault: Transient | Refused) -> str:
        hint = advice(fault, key_hint=self._key.hint)
        return f"The teacher {self._model!r} cannot be used: {fault}; {hint}."
