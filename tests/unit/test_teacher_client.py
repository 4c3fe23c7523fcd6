"""Laws of the teacher client, against a server that breaks every one of its own."""

from __future__ import annotations

import asyncio
import json
import logging
import pickle
import socket
import time
import traceback
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
import stamina

from tailor_rl.errors import TeacherError
from tailor_rl.protocols import TeacherRequest
from tailor_rl.teachers.client import ChatClient
from tailor_rl.teachers.faults import Refused, Transient, UnusableAnswer, retry_after, retry_wait
from tailor_rl.teachers.transport import MAX_BODY_BYTES
from tests.teacher_server import (
    Step,
    TeacherServer,
    answer,
    chat,
    drip,
    reset_in_the_middle,
    silence,
)

KEY_ENV = "TAILOR_TEST_KEY"
KEY = "sk-canary-0123456789"
REQUEST = TeacherRequest(
    purpose="discover", system="s", prompt="p", temperature=0.5, max_tokens=9, sample=3
)
Open = Callable[..., ChatClient]


@pytest.fixture(autouse=True)
def no_backoff(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv(KEY_ENV, KEY)
    with stamina.set_testing(True, attempts=3, cap=True):
        yield


@pytest.fixture
async def client() -> AsyncIterator[Open]:
    opened: list[ChatClient] = []

    def open_client(base_url: str, model: str = "m", **changed: Any) -> ChatClient:
        settings: dict[str, Any] = {
            "api_key_env": KEY_ENV,
            "timeout_s": 5.0,
            "requests_in_flight": 4,
            **changed,
        }
        opened.append(ChatClient(base_url, model, **settings))
        return opened[-1]

    yield open_client
    for one in opened:
        await one.aclose()


async def test_a_proper_answer_is_returned_with_its_cost(client: Open) -> None:
    async with TeacherServer() as server:
        reply = await client(server.base_url + "/").complete(REQUEST)
    assert (reply.text, reply.model, reply.finish_reason) == ("answer to p", "served", "stop")
    assert (reply.prompt_tokens, reply.completion_tokens, reply.paid) == (7, 5, True)
    (seen,) = server.requests
    assert (seen.method, seen.path) == ("POST", "/v1/chat/completions")
    assert seen.headers["authorization"] == f"Bearer {KEY}"
    assert len(seen.headers["idempotency-key"]) == 64
    assert seen.body == {
        "model": "m",
        "messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "p"}],
        "temperature": 0.5,
        "max_tokens": 9,
        "seed": 3,
    }


@pytest.mark.parametrize(
    "step",
    [
        *(answer(status, b"busy") for status in (408, 409, 429, 500, 502, 503, 504)),
        answer(200, b'{"choices": [', content_type="application/json"),
        answer(200, b""),
        reset_in_the_middle,
    ],
)
async def test_a_passing_fault_is_survived(client: Open, step: Step) -> None:
    async with TeacherServer(step, step) as server:
        reply = await client(server.base_url).complete(REQUEST)
    assert reply.text == "answer to p"
    assert len(server.requests) == 3


@pytest.mark.parametrize("status", [301, 400, 401, 403, 404, 422])
async def test_a_refusal_is_never_repeated(client: Open, status: int) -> None:
    async with TeacherServer(answer(status, b"no way")) as server:
        with pytest.raises(TeacherError, match=f"HTTP {status}: no way") as caught:
            await client(server.base_url).complete(REQUEST)
    assert len(server.requests) == 1
    assert server.base_url in str(caught.value)
    assert caught.value.exit_code == 3
    assert (KEY_ENV in str(caught.value)) == (status in (401, 403))


async def test_without_a_system_message_none_is_sent(client: Open) -> None:
    async with TeacherServer() as server:
        await client(server.base_url).complete(replace(REQUEST, system=""))
    assert server.requests[0].body["messages"] == [{"role": "user", "content": "p"}]


async def test_a_server_that_refuses_the_seed_is_asked_without_it(client: Open) -> None:
    refusal = answer(422, b'{"detail": "extra inputs are not permitted: seed"}')
    async with TeacherServer(refusal) as server:
        teacher = client(server.base_url)
        await teacher.complete(REQUEST)
        await teacher.complete(REQUEST)
    assert ["seed" in seen.body for seen in server.requests] == [True, False, False]


async def test_giving_up_says_what_was_tried_and_what_came(client: Open) -> None:
    async with TeacherServer(*[answer(503, b"<h1>over\x1b[31mloaded</h1>")] * 3) as server:
        with pytest.raises(TeacherError) as caught:
            await client(server.base_url).complete(REQUEST)
    message = str(caught.value)
    assert f"POST {server.base_url}/chat/completions got HTTP 503" in message
    assert "loaded</h1>" in message and "\x1b" not in message and "(try 3)" in message
    assert len(message) < 600


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"<!doctype html><title>Login</title>", "a web page: <!doctype html>"),
        (b"[" * 100_000, "no JSON"),
        (b"\xff\xfe\x00", "no JSON"),
        (b"[1, 2]", "no JSON object"),
    ],
)
async def test_what_is_no_completion_is_named(client: Open, body: bytes, words: str) -> None:
    async with TeacherServer(*[answer(200, body)] * 3) as server:
        with pytest.raises(TeacherError, match=words):
            await client(server.base_url).complete(REQUEST)


@pytest.mark.parametrize(
    "body",
    [
        b"{}",
        b'{"choices": []}',
        b'{"choices": null, "usage": [], "model": 3}',
        b'{"choices": [{"message": null}]}',
        b'{"choices": [7]}',
        chat(None, finish_reason="content_filter"),
        chat("  \n"),
    ],
)
async def test_an_answer_without_text_is_unusable_and_not_repeated(
    client: Open, body: bytes
) -> None:
    async with TeacherServer(answer(200, body)) as server:
        with pytest.raises(UnusableAnswer, match="without a text") as caught:
            await client(server.base_url).complete(REQUEST)
    assert len(server.requests) == 1
    copy = pickle.loads(pickle.dumps(caught.value))
    assert (str(copy), copy.reply) == (str(caught.value), caught.value.reply)


async def test_any_text_arrives_as_it_was_sent(client: Open) -> None:
    text = "naïve 🦊 \u202e\u0627\u0644 \x00 end"
    body = json.dumps({"choices": [{"message": {"content": text + "\ud800"}}]}).encode()
    async with TeacherServer(answer(200, body)) as server:
        reply = await client(server.base_url).complete(REQUEST)
    assert reply.text == text + "?"
    assert (reply.prompt_tokens, reply.completion_tokens) == (0, 0)


async def test_a_huge_body_is_cut_off(client: Open) -> None:
    async with TeacherServer(answer(200, b" " * (MAX_BODY_BYTES + 1))) as server:
        with pytest.raises(TeacherError, match=f"more than {MAX_BODY_BYTES} bytes"):
            await client(server.base_url).complete(REQUEST)
    assert len(server.requests) == 1


@pytest.mark.parametrize("step", [drip, silence])
async def test_a_slow_attempt_ends_at_its_timeout(client: Open, step: Step) -> None:
    started = time.monotonic()
    async with TeacherServer(step) as server:
        reply = await client(server.base_url, timeout_s=0.3).complete(REQUEST)
    assert reply.text == "answer to p"
    assert 0.3 <= time.monotonic() - started < 2


async def test_all_attempts_together_end_at_the_deadline(client: Open) -> None:
    started = time.monotonic()
    async with TeacherServer(*[silence] * 3) as server:
        with pytest.raises(TeacherError, match=r"did not end within 0\.5 s.*within 0\.3 s"):
            await client(server.base_url, timeout_s=0.3, deadline_s=0.5).complete(REQUEST)
    assert 0.5 <= time.monotonic() - started < 2


async def test_requests_in_flight_are_bounded(client: Open) -> None:
    async with TeacherServer(delay_s=0.02) as server:
        teacher = client(server.base_url, requests_in_flight=2)
        await asyncio.gather(*(teacher.complete(REQUEST) for _ in range(10)))
    assert server.most_open == 2 and len(server.requests) == 10


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after-ms": "250", "retry-after": "7"}, 0.25),
        ({"retry-after-ms": "soon", "retry-after": "7"}, 7.0),
        ({"retry-after": "3600"}, 3600.0),
        ({"retry-after": "-3"}, None),
        ({"retry-after": "0"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "in a while"}, None),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, None),
        ({}, None),
    ],
)
def test_retry_after_is_read_or_ignored(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers) == seconds


def test_retry_after_may_be_a_date() -> None:
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)
    waited = retry_after({"retry-after": date})
    assert waited is not None and 28 < waited <= 30


def test_only_a_passing_fault_is_tried_again() -> None:
    assert retry_wait(Transient("x")) is True
    assert retry_wait(Transient("x", wait_s=7.0)) == 7.0
    assert retry_wait(Transient("x", wait_s=121.0)) is False
    assert retry_wait(Refused("x", status=400)) is False
    assert retry_wait(ValueError("x")) is False


async def test_the_wait_that_a_server_asks_for_is_kept(client: Open) -> None:
    with stamina.set_testing(False):
        started = time.monotonic()
        async with TeacherServer(answer(429, b"", retry_after_ms="400")) as server:
            await client(server.base_url).complete(REQUEST)
    assert 0.4 <= time.monotonic() - started < 1.5


async def test_a_wait_longer_than_two_minutes_ends_the_request(client: Open) -> None:
    async with TeacherServer(answer(429, b"quota", retry_after="3600")) as server:
        with pytest.raises(TeacherError, match=r"wait 3600 s.*quota"):
            await client(server.base_url).complete(REQUEST)
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "steps",
    [
        [answer(401, f"bad key {KEY}".encode())],
        [answer(302, b"", location=f"http://elsewhere/?key={KEY}")],
        [answer(500, KEY.encode() * 50)] * 3,
        [answer(200, b"x" * 195 + KEY.encode())] * 3,
        [reset_in_the_middle] * 3,
    ],
)
async def test_the_key_is_in_no_error_log_or_repr(
    client: Open, steps: list[Step], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with TeacherServer(*steps) as server:
        teacher = client(server.base_url)
        with pytest.raises(TeacherError) as caught:
            await teacher.complete(REQUEST)
    shown = "".join(traceback.TracebackException.from_exception(caught.value, capture_locals=True)
                    .format())  # fmt: skip
    for text in (shown, caplog.text, repr(teacher), repr(vars(teacher)), str(caught.value)):
        assert "canary" not in text


async def test_a_key_that_cannot_be_a_header_is_refused_unseen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for bad in (f"{KEY}\nX: y", f"{KEY}é"):
        monkeypatch.setenv(KEY_ENV, bad)
        with pytest.raises(TeacherError, match=KEY_ENV) as caught:
            ChatClient("http://h/v1", "m", api_key_env=KEY_ENV, timeout_s=1, requests_in_flight=1)
        assert "canary" not in str(caught.value) and caught.value.exit_code == 2


@pytest.mark.parametrize(
    "url", ["", "api.example.com/v1", "ftp://h", "http://", "http://h:x/v1", "http://[::1/v1"]
)
async def test_a_url_that_is_none_is_refused_at_once(client: Open, url: str) -> None:
    with pytest.raises(TeacherError, match=r"teacher\.base_url") as caught:
        client(url)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("url", [f"http://u:{KEY}@h/v1", f"https://h/v1?key={KEY}"])
async def test_a_url_with_a_secret_is_refused_without_showing_it(client: Open, url: str) -> None:
    with pytest.raises(TeacherError, match="api_key_env") as caught:
        client(url)
    assert "canary" not in str(caught.value)


async def test_check_costs_one_get(client: Open) -> None:
    async with TeacherServer() as server:
        await client(server.base_url).check()
    assert [(seen.method, seen.path) for seen in server.requests] == [("GET", "/v1/models")]


@pytest.mark.parametrize("models", [None, (), ("some", "others")])
async def test_check_asks_for_one_token_where_the_listing_does_not_tell(
    client: Open, models: tuple[str, ...] | None
) -> None:
    async with TeacherServer(models=models) as server:
        await client(server.base_url).check()
    assert [seen.method for seen in server.requests] == ["GET", "POST"]
    assert server.requests[1].body["max_tokens"] == 1


async def test_check_names_an_unknown_model_and_the_known_ones(client: Open) -> None:
    listing = answer(200, b'{"data": [{"id": "small"}, {"id": "large"}, 3]}')
    async with TeacherServer(listing, answer(404, b"no model m")) as server:
        with pytest.raises(TeacherError, match=r"no model 'm'.*small, large") as caught:
            await client(server.base_url).check()
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("status", [401, 403])
async def test_check_names_the_variable_of_a_wrong_key(
    client: Open, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with TeacherServer(answer(status), answer(status)) as server:
        with pytest.raises(TeacherError, match=f"{KEY_ENV} to a valid key") as caught:
            await client(server.base_url).check()
        monkeypatch.delenv(KEY_ENV)
        with pytest.raises(TeacherError, match=f"no key was sent: set .* {KEY_ENV}"):
            await client(server.base_url).check()
    assert caught.value.exit_code == 2
    assert "authorization" not in server.requests[1].headers


async def test_check_says_that_a_web_page_answered(client: Open) -> None:
    async with TeacherServer(*[answer(200, b"<html>hi")] * 2) as server:
        with pytest.raises(TeacherError, match=r"a web page.*usually ends in /v1") as caught:
            await client(server.base_url).check()
    assert caught.value.exit_code == 2


async def test_check_says_which_url_cannot_be_reached(client: Open) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/v1"
    started = time.monotonic()
    with pytest.raises(TeacherError, match=f"GET {url}/models failed with ConnectError") as caught:
        await client(url).check()
    assert caught.value.exit_code == 2 and "that the server runs" in str(caught.value)
    assert time.monotonic() - started < 2
