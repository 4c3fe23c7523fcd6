"""A chat-completions endpoint on loopback that misbehaves as it is told.

Each request is answered by the next step of the script, else as `fault` decides, else properly.
`requests` holds what it was asked, `charged` the Idempotency-Key of every completion that a
provider would put on the bill, from the moment it is accepted.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

Step = Callable[[asyncio.StreamWriter], Awaitable[None]]


@dataclass(frozen=True)
class Seen:
    method: str
    path: str
    headers: Mapping[str, str]  # lower-case names
    body: Any


def chat(text: str | None, *, finish_reason: str = "stop", **more: Any) -> bytes:
    """A chat completion that costs 7 + 5 tokens."""
    choice = {"index": 0, "message": {"content": text, **more}, "finish_reason": finish_reason}
    usage = {"prompt_tokens": 7, "completion_tokens": 5}
    return json.dumps({"model": "served", "choices": [choice], "usage": usage}).encode()


def answer(status: int, body: bytes = b"{}", /, **headers: str) -> Step:
    """A whole answer; header names are written with underscores."""

    async def step(writer: asyncio.StreamWriter) -> None:
        lines = [f"HTTP/1.1 {status} Scripted", f"content-length: {len(body)}", "connection: close"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        writer.write("\r\n".join([*lines, "", ""]).encode() + body)
        await writer.drain()

    return step


@dataclass(frozen=True)
class Charged:
    """A step that a provider puts on the bill, whether its answer arrives or not."""

    step: Step

    async def __call__(self, writer: asyncio.StreamWriter) -> None:
        await self.step(writer)


async def reset_in_the_middle(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n{")
    await writer.drain()
    writer.transport.abort()


async def drip(writer: asyncio.StreamWriter) -> None:
    """One byte at a time, so that no single read ever times out."""
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n")
    for _ in range(1000):
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.05)


async def hang_up(writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()


def cut(body: bytes) -> Step:
    """An answer of which the second half never comes, though the connection ends in good order."""

    async def step(writer: asyncio.StreamWriter) -> None:
        head = f"HTTP/1.1 200 OK\r\ncontent-length: {len(body)}\r\n\r\n".encode()
        writer.write(head + body[: len(body) // 2])
        await writer.drain()

    return step


async def silence(writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(60)


class TeacherServer:
    def __init__(
        self,
        *script: Step,
        models: tuple[str, ...] | None = ("m",),
        delay_s: float = 0.0,
        most: int | None = None,
        fault: Callable[[Seen], Step | None] | None = None,
    ) -> None:
        """`most`: requests that it takes at a time; further ones get HTTP 429."""
        self._script = list(script)
        self._models = models
        self._delay_s = delay_s
        self._most = most
        self._fault = fault
        self._handlers: set[asyncio.Task[None]] = set()
        self.requests: list[Seen] = []
        self.charged: list[str] = []
        self.num_refused = 0  # for being too many
        self.open = self.most_open = 0

    async def __aenter__(self) -> Self:
        await self._listen(0)
        return self

    async def _listen(self, port: int) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", port)
        self._port = self._server.sockets[0].getsockname()[1]
        self.base_url = f"http://127.0.0.1:{self._port}/v1"

    def leave(self) -> None:
        """Refuse connections from now on."""
        self._server.close()

    async def come_back(self) -> None:
        await self._listen(self._port)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.close()
        for handler in list(self._handlers):
            handler.cancel()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._handlers.add(task)
        self.open += 1
        self.most_open = max(self.most_open, self.open)
        try:
            seen = await _read(reader)
            self.requests.append(seen)
            if self._most is not None and self.open > self._most:
                self.num_refused += 1
                return await answer(429, b"too many at a time")(writer)
            step = self._step(seen)
            if isinstance(step, Charged):
                self.charged.append(seen.headers.get("idempotency-key", ""))
            await asyncio.sleep(self._delay_s)
            await step(writer)
        except (ConnectionError, asyncio.CancelledError, asyncio.IncompleteReadError):
            pass
        finally:
            self.open -= 1
            self._handlers.discard(task)
            writer.close()

    def _step(self, seen: Seen) -> Step:
        if self._script:
            return self._script.pop(0)
        return (self._fault and self._fault(seen)) or self._proper(seen)

    def _proper(self, seen: Seen) -> Step:
        if seen.path.endswith("/models"):
            if self._models is None:
                return answer(404, b'{"error": "no such path"}')
            listing = {"data": [{"id": name} for name in self._models]}
            return answer(200, json.dumps(listing).encode())
        return Charged(answer(200, chat(f"answer to {seen.body['messages'][-1]['content']}")))


async def _read(reader: asyncio.StreamReader) -> Seen:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = head.strip().split("\r\n")
    method, path, _ = first.split(" ", 2)
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    content = await reader.readexactly(int(headers.get("content-length", "0")))
    return Seen(method, path, headers, json.loads(content) if content else None)
