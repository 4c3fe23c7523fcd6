"""One HTTP exchange with a chat-completions endpoint: a JSON object, or a fault with its reason.

The key is read from one environment variable and appears in no log, error or repr.
Knows nothing about retries, prompts or the purchase book.
"""

from __future__ import annotations

import asyncio
import functools
import json
import logging
import ssl
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import httpx

from tailor_rl.printable import one_line
from tailor_rl.teachers.faults import Refused, Transient, retry_after
from tailor_rl.teachers.key import ApiKey
from tailor_rl.teachers.wire import checked_url

MAX_BODY_BYTES = 4 * 1024 * 1024
_PASSING = frozenset({408, 409, 429})
_SEEN = 1000  # characters of an answer that are looked at to say what is wrong


@functools.cache
def _certificates() -> ssl.SSLContext:
    """Read once: it takes 40 ms, and every connection would read them anew."""
    return httpx.create_ssl_context()


class Transport:
    """One endpoint, over as many connections as there are exchanges at a time.

    `timeout_s` bounds an exchange from connecting to the last byte.
    """

    def __init__(self, base_url: str, *, api_key_env: str, timeout_s: float, section: str) -> None:
        self.base_url = checked_url(base_url, section=section)
        self.key = ApiKey(api_key_env)
        self._timeout_s = timeout_s
        # They log URLs and headers; stamina logs retries without a cause (faults.py does).
        for library, level in (("httpx", "WARNING"), ("httpcore", "WARNING"), ("stamina", "ERROR")):
            logging.getLogger(library).setLevel(level)
        self._all: list[httpx.AsyncClient] = []
        self._free: list[httpx.AsyncClient] = []

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
        that is no JSON object; Refused for every other status and for a body without end.
        """
        what = f"{method} {self.base_url}{path}"
        url = self.base_url + path
        http = self._free.pop() if self._free else self._open()
        try:
            async with (
                asyncio.timeout(self._timeout_s),
                http.stream(method, url, json=body, headers=headers) as response,
            ):
                content = await _capped(response)
        except TimeoutError:
            raise Transient(f"{what} had no full answer within {self._timeout_s:g} s") from None
        except httpx.RequestError as error:  # connecting, reading, a broken protocol or encoding
            cause = f"{type(error).__name__} {self.key.redact(str(error))}".strip()
            raise Transient(f"{what} failed with {one_line(cause)}") from None
        finally:
            self._free.append(http)
        return self._judged(response, self.key.redacted(content), what)

    async def aclose(self) -> None:
        for http in self._all:
            await http.aclose()

    def _open(self) -> httpx.AsyncClient:
        # One connection each: a pool of httpcore 1.0 takes time quadratic in its connections for
        # every request, which at 64 of them is 15 ms and limits a service to 60 answers a second.
        http = httpx.AsyncClient(
            auth=self.key,
            timeout=httpx.Timeout(self._timeout_s),
            limits=httpx.Limits(max_connections=1),
            verify=_certificates(),
            # A proxy from the environment cannot reach this host's own loopback.
            trust_env=urlsplit(self.base_url).hostname not in ("127.0.0.1", "localhost", "::1"),
        )
        self._all.append(http)
        return http

    def _judged(self, response: httpx.Response, content: bytes, what: str) -> dict[str, Any]:
        status = response.status_code
        if status in _PASSING or status >= 500:
            wait_s = retry_after(response.headers)
            asked = "" if wait_s is None else f" and is to wait {wait_s:g} s"
            seen = self._shown(content)
            raise Transient(
                f"{what} got HTTP {status}{asked}: {seen}", wait_s=wait_s, status=status
            )
        if not 200 <= status < 300:
            target = response.headers.get("location")
            moved = f" (a redirect to {one_line(self.key.redact(target))})" if target else ""
            raise Refused(
                f"{what} got HTTP {status}{moved}: {self._shown(content)}",
                status=status,
                seen=self._words(content),
            )
        if len(content) > MAX_BODY_BYTES:
            raise Refused(
                f"{what} was answered with more than {MAX_BODY_BYTES} bytes, which is no chat"
                " completion",
                status=status,
            )
        try:
            payload = json.loads(content)
        except (ValueError, RecursionError):
            kind = "a web page" if content.lstrip()[:1] == b"<" else "no JSON"
            raise Transient(
                f"{what} was answered with {kind}: {self._shown(content)}", status=status
            ) from None
        if not isinstance(payload, dict):
            raise Transient(
                f"{what} was answered with no JSON object: {self._shown(content)}", status=status
            )
        return payload

    def _words(self, content: bytes) -> str:
        return self.key.redact(content[: 4 * _SEEN].decode("utf-8", "replace"))[:_SEEN]

    def _shown(self, content: bytes) -> str:
        return one_line(self._words(content)) or "an empty body"


async def _capped(response: httpx.Response) -> bytes:
    """The body, or as much of it as shows that it is too long."""
    content = bytearray()
    async for chunk in response.aiter_bytes(65536):
        content += chunk
        if len(content) > MAX_BODY_BYTES:
            break
    return bytes(content)
