"""A chat-completions server that does nothing but wait: the other end of throughput measurements.

    python -m benchmarks.loopback_teacher --latency-s 0.2

Prints its port, then answers every request after exactly so long, on connections that stay open.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys

_BODY = json.dumps(
    {
        "model": "served",
        "choices": [{"index": 0, "message": {"content": "x" * 400}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 100, "completion_tokens": 100},
    }
).encode()
ANSWER = (
    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(_BODY)
) + _BODY


class Connection(asyncio.Protocol):
    """Requests one after another; each answer leaves `latency_s` after its request has arrived."""

    def __init__(self, latency_s: float) -> None:
        self._latency_s = latency_s
        self._arrived = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._arrived += data
        head, found, rest = self._arrived.partition(b"\r\n\r\n")
        if found and len(rest) >= _content_length(head):
            self._arrived = b""
            asyncio.get_running_loop().call_later(self._latency_s, self._answer)

    def _answer(self) -> None:
        if not self._transport.is_closing():
            self._transport.write(ANSWER)


def _content_length(head: bytes) -> int:
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line.partition(b":")[2])
    return 0


async def serve(latency_s: float) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(latency_s), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)  # until the parent is gone


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--latency-s", type=float, required=True)
    args = parser.parse_args()
    asyncio.run(serve(args.latency_s))


if __name__ == "__main__":
    main()
