"""One HTTP exchange with a chat-completions endpoint: a JSON object, or a fault with its reason.

The key is read from one environment variable and appears in no log, error or repr.
Knows nothing about retries, prompts or the purchase book.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import httpx

from tailor_rl.errors import TeacherError
from tailor_rl.printable import one_line
from tailor_rl.teachers.faults import Refused, Transient, retry_after
from tailor_rl.teachers.key import ApiKey
from tailor_rl.teachers.wire import checked_url

MAX_BODY_BYTES = 4 * 1024 * 1024
_PASSING = frozenset({408, 409, 429})
_SEEN = 1000  # characters of an answer that are looked at to say what is wrong


class Transport:
    """One endpoint. `timeout_s` bounds an exchange from connecting to the last byte."""

    def __init__(
        self, base_url: str, *, api_key_env: str, timeout_s: float, connections: int, section: str
    ) -> None:
        self.base_url = checked_url(base_url, section=section)
        self.key = ApiKey(api_key_env)
        self._section = section
        self._timeout_s = timeout_s
        # They log URLs and headers; stamina logs retries without a cause (faults.py does).
        for library, level in (("httpx", "WARNING"), ("httpcore", "WARNING"), ("stamina", "ERROR")):
            logging.getLogger(library).setLevel(level)
        self._http = httpx.AsyncClient(
            auth=self.key,
            timeout=httpx.Timeout(timeout_s),
            limits=httpx.Limits(max_connections=connections),
            # A proxy from the environment cannot reach this host's own loopback.
            trust_env=urlsplit(self.base_url).hostname not in ("127.0.0.1", "localhost", "::1"),
        )

    async def exchange(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        headers: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        """The JSON object of an answer with status 2xx.

        Raises Transient for connection faults, timeouts, HTTP 408, 409, 429 and 5xx and for a body
        that is no JSON object; Refused for every other status; TeacherError for a body without end.
        """
        what = f"{method} {self.base_url}{path}"
        try:
            async with (
                asyncio.timeout(self._timeout_s),
                self._http.stream(
                    method, self.base_url + path, json=body, headers=headers
                ) as response,
            ):
                content = await self._capped(response, what)
        except TimeoutError:
            raise Transient(f"{what} had no full answer within {self._timeout_s:g} s") from None
        except httpx.RequestError as error:  # connecting, reading, a broken protocol or encoding
            cause = f"{type(error).__name__} {self.key.redact(str(error))}".strip()
            raise Transient(f"{what} failed with {one_line(cause)}") from None
        return self._judged(response, self.key.redacted(content), what)

    async def aclose(self) -> None:
        await self._http.aclose()

    async def _capped(self, response: httpx.Response, what: str) -> bytes:
        content = bytearray()
        async for chunk in response.aiter_bytes(65536):
            content += chunk
            if len(content) > MAX_BODY_BYTES:
                raise TeacherError(
                    f"{what} was answered with more than {MAX_BODY_BYTES} bytes, which is no chat"
                    f" completion; check {self._section}.base_url."
                )
        return bytes(content)

    def _judged(self, response: httpx.Response, content: bytes, what: str) -> dict[str, Any]:
        status = response.status_code
        words = self.key.redact(content[: 4 * _SEEN].decode("utf-8", "replace"))[:_SEEN]
        seen = one_line(words) or "an empty body"
        if status in _PASSING or status >= 500:
            wait_s = retry_after(response.headers)
            asked = "" if wait_s is None else f" and is to wait {wait_s:g} s"
            raise Transient(
                f"{what} got HTTP {status}{asked}: {seen}", wait_s=wait_s, status=status
            )
        if not 200 <= status < 300:
            target = response.headers.get("location")
            moved = f" (a redirect to {one_line(self.key.redact(target))})" if target else ""
            raise Refused(f"{what} got HTTP {status}{moved}: {seen}", status=status, seen=words)
        try:
            payload = json.loads(content)
        except (ValueError, RecursionError):
            kind = "a web page" if content.lstrip()[:1] == b"<" else "no JSON"
            raise Transient(f"{what} was answered with {kind}: {seen}", status=status) from None
        if not isinstance(payload, dict):
            raise Transient(f"{what} was answered with no JSON object: {seen}", status=status)
        return payload
