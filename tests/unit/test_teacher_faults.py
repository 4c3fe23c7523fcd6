"""A real service on its bad days: what it survives, what ends it, and what it never loses."""

from __future__ import annotations

import asyncio
import random
import signal
import sys
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tailor_rl.errors import TeacherError
from tailor_rl.protocols import TeacherReply
from tailor_rl.teachers.faults import UnusableAnswer, retry_after
from tailor_rl.teachers.patience import Patience
from tailor_rl.teachers.purchases import PurchaseBook
from tailor_rl.teachers.wire import read_reply
from tests.teacher_server import (
    Seen,
    Step,
    TeacherServer,
    answer,
    chat,
    cut,
    drip,
    hang_up,
    reset_in_the_middle,
    silence,
)
from tests.teacher_service_fakes import BUYER, IMPATIENT, KEY_ENV, REQUEST, endpoint, service

ROOT = Path(__file__).parents[2]
MANY = [replace(REQUEST, sample=i) for i in range(400)]
KEY = "sk-canary-0123456789"


async def asked(teacher: Any, num: int) -> list[Any]:
    return await asyncio.gather(
        *(teacher.complete(request) for request in MANY[:num]), return_exceptions=True
    )


@pytest.mark.parametrize(
    ("headers", "least_s", "most_s"),
    [
        ({"retry_after_ms": "300"}, 0.3, 1.0),
        ({"retry_after": "0.3"}, 0.3, 1.0),
        ({"retry_after": "soon"}, 0.0, 0.7),
        ({"retry_after": "-3"}, 0.0, 0.7),
        ({}, 0.0, 0.7),
    ],
)
async def test_a_server_is_asked_again_when_it_wants_to_be(
    tmp_path: Path, headers: dict[str, str], least_s: float, most_s: float
) -> None:
    async with TeacherServer(answer(429, b"busy", **headers)) as server:
        teacher = service(tmp_path / "book", endpoint(server.base_url))
        reply = await teacher.complete(REQUEST)
        await teacher.aclose()
    assert least_s <= reply.seconds < most_s and reply.retries == 1


async def test_a_wait_of_an_hour_is_told_at_once_and_nobody_else_is_sent(tmp_path: Path) -> None:
    async with TeacherServer(answer(429, b"quota of today", retry_after="3600")) as server:
        teacher = service(tmp_path / "book", endpoint(server.base_url))
        with pytest.raises(TeacherError, match=r"3600 s: .*quota of today.*check the quota"):
            await teacher.complete(REQUEST)
        outcomes = await asked(teacher, 20)
        await teacher.aclose()
    assert all(isinstance(outcome, TeacherError) for outcome in outcomes)
    assert len(server.requests) == 1


async def test_bursts_of_server_errors_lose_and_charge_nothing(tmp_path: Path) -> None:
    rng = random.Random(0)

    def sometimes(seen: Seen) -> Step | None:
        return answer(rng.choice([500, 502, 503, 504])) if rng.random() < 0.3 else None

    async with TeacherServer(fault=sometimes) as server:
        teacher = service(tmp_path / "book", endpoint(server.base_url), requests_in_flight=16)
        replies = await asked(teacher, 200)
        await teacher.aclose()
    assert [reply.text for reply in replies] == ["answer to p"] * 200
    assert set(Counter(server.charged).values()) == {1}
    assert sum(reply.retries for reply in replies) == len(server.requests) - 200 > 50


@pytest.mark.parametrize("step", [reset_in_the_middle, hang_up, cut(chat("half")), drip, silence])
async def test_a_broken_connection_ends_in_time_and_leaves_none_open(
    tmp_path: Path, step: Step
) -> None:
    async with TeacherServer(fault=lambda seen: step) as server:
        teacher = service(
            tmp_path / "book", endpoint(server.base_url), timeout_s=0.1, deadline_s=0.3
        )
        began = asyncio.get_running_loop().time()
        with pytest.raises(TeacherError, match=server.base_url):
            await teacher.complete(REQUEST)
        assert asyncio.get_running_loop().time() - began < 0.8
        port = urlsplit(server.base_url).port
        connections = psutil.Process().net_connections("tcp")
        assert not [c for c in connections if c.raddr and c.raddr.port == port]
        await teacher.aclose()


async def test_an_answer_that_was_cut_is_data_and_not_asked_again(tmp_path: Path) -> None:
    async with TeacherServer(answer(200, chat("half a", finish_reason="length"))) as server:
        teacher = service(tmp_path / "book", endpoint(server.base_url))
        reply = await teacher.complete(REQUEST)
        await teacher.aclose()
    assert (reply.text, reply.finish_reason, len(server.requests)) == ("half a", "length", 1)


async def test_a_storm_of_refusals_settles_at_what_the_server_takes(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """How few are refused in the end is in test_teacher_limiter.py, where no clock disturbs it."""
    async with TeacherServer(most=4, delay_s=0.004) as server:
        teacher = service(tmp_path / "book", endpoint(server.base_url), requests_in_flight=64)
        storm = asyncio.create_task(asked(teacher, 400))
        while len(server.charged) < 200:
            await asyncio.sleep(0.005)
        refused_before, asked_before = server.num_refused, len(server.requests)
        server.most_open = 0
        replies = await storm
        await teacher.aclose()
    assert all(isinstance(reply, TeacherReply) for reply in replies)
    refused = server.num_refused - refused_before
    assert refused / (len(server.requests) - asked_before) < 0.15  # of 64 at a time: 0.9
    assert 4 <= server.most_open <= 6
    assert "next try in" not in caplog.text  # the circuit never opened
    assert set(Counter(server.charged).values()) == {1}


async def test_an_outage_is_waited_for_without_hammering(tmp_path: Path) -> None:
    down = [True]
    async with TeacherServer(fault=lambda seen: hang_up if down[0] else None) as server:
        teacher = service(tmp_path / "book", endpoint(server.base_url))
        waiting = asyncio.create_task(asked(teacher, 50))
        await asyncio.sleep(0.7)
        num_probes = len(server.requests)
        down[0] = False
        replies = await waiting
        await teacher.aclose()
    assert all(isinstance(reply, TeacherReply) for reply in replies)
    assert 8 <= num_probes <= 8 + IMPATIENT.failures + 5  # not 0.7 s / 0.02 s for each of 8


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/v1", "http://no-such-host.invalid/v1"])
async def test_an_outage_beyond_the_deadline_ends_with_one_sentence(
    tmp_path: Path, url: str
) -> None:
    teacher = service(tmp_path / "book", endpoint(url), deadline_s=0.4)
    outcomes = await asked(teacher, 8)
    await teacher.aclose()
    for error in outcomes:
        assert isinstance(error, TeacherError) and error.exit_code == 3
        assert url in str(error) and "check teacher.base_url and that the server runs" in str(error)
        assert len(str(error)) < 600 and "\n" not in str(error)


@pytest.mark.parametrize("status", [429, 503])
async def test_requests_run_out_of_time_together_and_not_one_after_another(
    tmp_path: Path, status: int
) -> None:
    async with TeacherServer(fault=lambda seen: answer(status, b"go away")) as server:
        teacher = service(
            tmp_path / "book", endpoint(server.base_url), deadline_s=1.0, requests_in_flight=16
        )
        began = asyncio.get_running_loop().time()
        outcomes = await asked(teacher, 16)
        assert asyncio.get_running_loop().time() - began < 8.0  # 16 x 1 s is 16
        await teacher.aclose()
    assert all(f"HTTP {status}: go away" in str(outcome) for outcome in outcomes)


async def test_what_was_bought_before_an_outage_is_kept(tmp_path: Path) -> None:
    async with TeacherServer() as server:
        teacher = service(tmp_path / "book", endpoint(server.base_url), deadline_s=0.5)
        await asked(teacher, 10)
    outcomes = await asked(teacher, 18)  # the server is gone
    await teacher.aclose()
    assert [isinstance(outcome, TeacherReply) for outcome in outcomes] == [True] * 10 + [False] * 8


async def test_closing_during_an_outage_takes_no_longer_than_a_try(tmp_path: Path) -> None:
    slow = Patience(first_wait_s=30.0, jitter_s=0.0)
    async with TeacherServer(answer(503)) as server:
        teacher = service(
            tmp_path / "book", endpoint(server.base_url), timeout_s=0.2, patience=slow
        )
        waiting = asyncio.create_task(teacher.complete(REQUEST))
        await asyncio.sleep(0.1)
        async with asyncio.timeout(5.0):
            await teacher.aclose()
    assert (await asyncio.gather(waiting, return_exceptions=True))[0] is not None


async def test_a_slow_teacher_holds_up_no_other(tmp_path: Path) -> None:
    async with TeacherServer(delay_s=5.0) as slow, TeacherServer() as quick:
        teachers = service(
            tmp_path / "book",
            endpoint(slow.base_url, "slow"),
            endpoint(quick.base_url, "quick", model="n"),
            timeout_s=0.5,
        )
        stuck = [
            asyncio.create_task(teachers.complete(replace(request, teacher="slow")))
            for request in MANY[:20]
        ]
        began = time.monotonic()
        for request in MANY[:20]:
            assert (await teachers.complete(replace(request, teacher="quick"))).text
        assert len(quick.requests) == 20
        assert time.monotonic() - began < 5.0  # 20 x 0.5 s is 10
        for task in stuck:
            task.cancel()
        await teachers.aclose()


async def test_the_key_is_in_no_file_of_the_book(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(KEY_ENV, KEY)
    async with TeacherServer(
        answer(500, KEY.encode()), answer(200, chat(f"your key is {KEY}"))
    ) as server:
        teacher = service(tmp_path / "book", endpoint(server.base_url))
        reply = await teacher.complete(REQUEST)
        assert reply.text == "your key is [key]"
        found = [path for path in tmp_path.iterdir() if b"canary" in path.read_bytes()]
        await teacher.aclose()
    assert server.requests[0].headers["authorization"] == f"Bearer {KEY}"
    assert found == []


async def test_a_placeholder_for_a_key_is_no_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(KEY_ENV, "EMPTY")
    async with TeacherServer(answer(200, chat("The set is EMPTY."))) as server:
        teacher = service(tmp_path / "book", endpoint(server.base_url))
        assert (await teacher.complete(REQUEST)).text == "The set is EMPTY."
        await teacher.aclose()


names = st.sampled_from(
    ["choices", "message", "content", "usage", "prompt_tokens", "model", "finish_reason", "x"]
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(names, json_values, max_size=5))
def test_any_json_is_an_answer_or_an_unusable_one(payload: dict[str, Any]) -> None:
    try:
        reply = read_reply(payload, url="http://h", model="m")
    except UnusableAnswer as answer:
        reply = answer.reply
        assert len(str(answer)) < 600
    assert min(reply.prompt_tokens, reply.completion_tokens) >= 0
    assert "\n" not in reply.model + reply.finish_reason
    reply.text.encode()


@settings(deadline=None)
@given(st.text(max_size=40) | st.from_regex(r"Wed, \d{1,3} Oct \d{1,9} 07:28:00 [+-]?\d{1,12}"))
def test_any_retry_after_is_a_positive_number_or_nothing(value: str) -> None:
    seconds = retry_after({"retry-after": value})
    assert seconds is None or seconds > 0


async def test_kills_at_random_moments_lose_no_answer_and_pay_twice_only_what_was_in_flight(
    tmp_path: Path,
) -> None:
    num, in_flight, rng = 200, 8, random.Random(4)
    book = tmp_path / "book"
    lost = 0

    async def buy(server: TeacherServer, *, kill_at: int | None) -> int:
        command = [sys.executable, "-c", BUYER, server.base_url, str(book), str(num), "8"]
        buyer = await asyncio.create_subprocess_exec(*command, cwd=ROOT)
        while kill_at is not None and len(server.charged) < kill_at:
            await asyncio.sleep(0)
        if kill_at is not None:
            await asyncio.sleep(rng.random() * 0.02)
            buyer.send_signal(signal.SIGKILL)
        return await asyncio.wait_for(buyer.wait(), 30)

    async with TeacherServer(delay_s=0.01) as server:
        for kill_at in sorted(rng.sample(range(10, 180), 3)):
            assert await buy(server, kill_at=kill_at) == -signal.SIGKILL
            kept = PurchaseBook(book).spent()["discover"].requests
            assert len(server.charged) - lost - kept <= in_flight
            lost = len(server.charged) - kept
        assert await buy(server, kill_at=None) == 0
    paid = len(server.charged)
    assert paid <= num + 3 * in_flight
    assert len(set(server.charged)) == num
    spent = PurchaseBook(book).spent()["discover"]
    assert (spent.requests, spent.prompt_tokens) == (num, 7 * num)
    assert paid - num <= spent.sent_again <= 3 * in_flight
