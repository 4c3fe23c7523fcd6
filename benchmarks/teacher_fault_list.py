"""What can go wrong with a teacher's endpoint, as scripts for a server on loopback."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

from tailor_rl.teachers.transport import MAX_BODY_BYTES
from tests.teacher_server import (
    Charged,
    Seen,
    Step,
    answer,
    chat,
    cut,
    drip,
    hang_up,
    reset_in_the_middle,
    silence,
)

IN_FLIGHT = 16  # requests of each service
KEY = "sk-canary-5f3b9c0d1e"
ByRequest = Callable[[Seen], Step | None]


@dataclass(frozen=True)
class Fault:
    """`first`: how the first requests are answered. `always`: all of them. `away`: seconds for
    which there is no server at all, 0 for good. `deaf`: a port that accepts no connection.
    """

    name: str
    first: tuple[Step, ...] = ()
    always: Step | None = None
    sometimes: tuple[float, tuple[int, ...]] | None = None  # probability, statuses
    url: str = ""
    num: int = 20
    away: float | None = None
    deaf: bool = False
    settings: dict[str, Any] = field(default_factory=dict)
    server: dict[str, Any] = field(default_factory=dict)

    def prepare(self, rng: random.Random) -> tuple[tuple[Step, ...], ByRequest | None]:
        if self.sometimes is None:
            return self.first, (lambda seen: self.always) if self.always else None
        share, statuses = self.sometimes

        def by_chance(seen: Seen) -> Step | None:
            return answer(rng.choice(statuses), b"upstream") if rng.random() < share else None

        return self.first, by_chance


async def retry_after_a_date(writer: asyncio.StreamWriter) -> None:
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=3), usegmt=True)
    await answer(429, b"busy", retry_after=date)(writer)


def busy(**headers: str) -> tuple[Step, ...]:
    return (answer(429, b"busy", **headers),) * 5


QUICK = {"timeout_s": 2.0, "deadline_s": 10.0}
PAGE = b"<!doctype html><title>502 Bad Gateway</title>"
FAULTS = (
    Fault("nothing goes wrong"),
    Fault("connection refused, for good", away=0, settings=QUICK),
    Fault("connection refused, for 8 s", away=8.0),
    Fault("no such host (DNS)", url="http://no-such-host.invalid/v1", settings=QUICK),
    Fault("connections are never accepted", deaf=True, settings=QUICK),
    Fault("accepts and says nothing, 5 times", (Charged(silence),) * 5, settings=QUICK),
    Fault("says nothing, for good", always=Charged(silence), settings=QUICK),
    Fault("slow-loris: a byte every 50 ms, 5 times", (Charged(drip),) * 5, settings=QUICK),
    Fault("connection reset before the answer, 5 times", (hang_up,) * 5),
    Fault("connection reset in the middle, 5 times", (Charged(reset_in_the_middle),) * 5),
    Fault("answer cut half-way, 5 times", (Charged(cut(chat("half"))),) * 5),
    Fault("429 without Retry-After, 5 times", busy()),
    Fault("429, Retry-After: 2", busy(retry_after="2")),
    Fault("429, Retry-After: a date in 3 s", (retry_after_a_date,) * 5),
    Fault("429, retry-after-ms: 300", busy(retry_after_ms="300")),
    Fault("429, Retry-After: soon", busy(retry_after="soon")),
    Fault("429, Retry-After: -3", busy(retry_after="-3")),
    Fault("429, Retry-After: 3600", (answer(429, b"quota of today", retry_after="3600"),)),
    Fault(
        "429 for all beyond 4 at a time, 200 requests",
        num=200,
        server={"most": 4, "delay_s": 0.05},
    ),
    Fault("429 without end", always=answer(429, b"slow down"), settings=QUICK),
    Fault(
        "500, 502, 503, 504 for 30 % of 200 requests",
        num=200,
        sometimes=(0.3, (500, 502, 503, 504)),
        server={"delay_s": 0.05},
    ),
    Fault("503 without end", always=answer(503, b"overloaded"), settings=QUICK),
    Fault("408, 409, 500, then well", (answer(408), answer(409), answer(500))),
    Fault("a web page with status 200, 5 times", (answer(200, PAGE),) * 5),
    Fault("a web page with status 200, always", always=answer(200, PAGE), settings=QUICK),
    Fault("half a JSON object, 5 times", (Charged(answer(200, chat("x")[:40])),) * 5),
    Fault("an empty body, 5 times", (answer(200, b""),) * 5),
    Fault("a body that is not gzip as it says", (answer(200, b"{}", content_encoding="gzip"),)),
    Fault("a body without end", (answer(200, b" " * (MAX_BODY_BYTES + 1)),)),
    Fault("empty completions, 3 times", (Charged(answer(200, chat(""))),) * 3),
    Fault(
        "content_filter without a text",
        (Charged(answer(200, chat(None, finish_reason="content_filter"))),),
    ),
    Fault(
        "completions cut by the token limit, 3 times",
        (Charged(answer(200, chat("half a sen", finish_reason="length"))),) * 3,
    ),
    Fault("wrong model", always=answer(404, b'{"error": "the model `m` does not exist"}')),
    Fault(
        "wrong key",
        always=answer(401, b'{"error": "Incorrect API key provided: ' + KEY.encode() + b'"}'),
    ),
    Fault(
        "the key expires after 12 answers",
        (Charged(answer(200, chat("well"))),) * 12,
        always=answer(401, b'{"error": "this key has expired"}'),
    ),
    Fault("no money left", always=answer(402, b'{"error": "Insufficient Balance"}')),
    Fault("a prompt that is too long", (answer(400, b'{"error": "context length exceeded"}'),)),
    Fault("moved elsewhere", always=answer(301, b"", location="https://elsewhere.example/v2")),
    Fault(
        "the parameter seed is refused",
        (answer(422, b'{"detail": "extra inputs are not permitted: seed"}'),) * IN_FLIGHT,
    ),
    Fault("a budget of 120 tokens", settings={"budget_tokens": 120}),
)
