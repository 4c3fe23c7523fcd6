"""A chat-completions endpoint on loopback that misbehaves as it is told, one step a request.

When the script is used up it answers properly. `requests` holds what it was asked.
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


async def silence(writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(60)


class TeacherServer:
    def __init__(
        self, *script: Step, models: tuple[str, ...] | None = ("m",), delay_s: float = 0.0
    ) -> None:
        self._script = list(script)
        self._models = models
        self._delay_s = delay_s
        self._handlers: set[asyncio.Task[None]] = set()
        self.requests: list[Seen] = []
        self.open = self.most_open = 0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port = self._server.sockets[0].getsockname()[1]
        self.base_url = f"http://127.0.0.1:{port}/v1"
        return self

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
            await asyncio.sleep(self._delay_s)
            step = self._script.pop(0) if self._script else self._proper(seen)
            await step(writer)
        except (ConnectionError, asyncio.CancelledError, asyncio.IncompleteReadError):
            pass
        finally:
            self.open -= 1
            self._handlers.discard(task)
            writer.close()

    def _proper(self, seen: Seen) -> Step:
        if seen.path.endswith("/models"):
            if self._models is None:
                return answer(404, b'{"error": "no such path"}')
            listing = {"data": [{"id": name} for name in self._models]}
            return answer(200, json.dumps(listing).encode())
        return answer(200, chat(f"answer to {seen.body['messages'][-1]['content']}"))


async def _read(reader: asyncio.StreamReader) -> Seen:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = head.strip().split("\r\n")
    method, path, _ = first.split(" ", 2)
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    content = await reader.readexactly(int(headers.get("content-length", "0")))
    return Seen(method, path, headers, json.loads(content) if content else None)
