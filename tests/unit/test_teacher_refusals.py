"""A refused question is lost alone; a teacher that refuses most questions ends the run."""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import stamina

from tailor_rl.errors import TeacherError
from tailor_rl.protocols import TeacherReply
from tailor_rl.teachers.faults import RefusedQuestion, UnusableAnswer
from tailor_rl.teachers.refusals import Flood, Verdict
from tailor_rl.teachers.transport import MAX_BODY_BYTES
from tests.teacher_server import Seen, Step, TeacherServer, answer, chat, silence
from tests.teacher_service_fakes import REQUEST, endpoint, service

MANY = [replace(REQUEST, prompt=f"p{i}") for i in range(200)]
BAD = replace(REQUEST, prompt="bad")
FILTER = b'{"error": "the content management policy"}'
ENDLESS = b" " * (MAX_BODY_BYTES + 1)
REFUSAL = answer(400, FILTER)


@pytest.fixture(autouse=True)
def no_backoff() -> Iterator[None]:
    with stamina.set_testing(True, attempts=2, cap=True):
        yield


def refusing(
    is_bad: Callable[[str], bool] = lambda prompt: prompt == "bad",
    step: Step = REFUSAL,
) -> Callable[[Seen], Step | None]:
    return lambda seen: step if is_bad(seen.body["messages"][-1]["content"]) else None


async def outcomes_of(teacher: Any, requests: Any) -> list[Any]:
    asked = [teacher.complete(request) for request in requests]
    return await asyncio.gather(*asked, return_exceptions=True)


@pytest.mark.parametrize(
    ("step", "words"),
    [
        (answer(400, FILTER), "HTTP 400: .*content management policy"),
        (answer(413, b"payload too large"), "HTTP 413: payload too large"),
        (answer(422, b"context length exceeded"), "HTTP 422: context length"),
        (answer(200, ENDLESS), f"more than {MAX_BODY_BYTES} bytes"),
    ],
)
async def test_a_refused_question_is_recorded_as_empty_and_never_asked_again(
    tmp_path: Path, step: Step, words: str
) -> None:
    async with TeacherServer(fault=refusing(step=step)) as server:
        teacher = service(tmp_path / "book", endpoint(server.base_url), budget_tokens=1000)
        await teacher.complete(REQUEST)
        with pytest.raises(RefusedQuestion, match=words) as caught:
            await teacher.complete(BAD)
        await teacher.complete(MANY[0])
        spent = teacher.spent()["discover"]
        await teacher.aclose()
        again = service(tmp_path / "book", endpoint(server.base_url), budget_tokens=1000)
        with pytest.raises(UnusableAnswer, match="refused") as later:
            await again.complete(BAD)
        await again.aclose()
    assert replace(caught.value.reply, seconds=0.0) == TeacherReply("", "m", "refused", 0, 0, True)
    assert not later.value.reply.paid
    assert (spent.requests, spent.unusable, spent.prompt_tokens) == (3, 1, 14)
    assert len(server.requests) == 3
    copy = pickle.loads(pickle.dumps(caught.value))
    assert isinstance(copy, RefusedQuestion)
    assert (str(copy), copy.reply) == (str(caught.value), caught.value.reply)


@pytest.mark.parametrize("status", [301, 401, 402, 403, 404, 405, 451])
async def test_what_is_wrong_with_every_question_ends_the_run_at_any_time(
    tmp_path: Path, status: int
) -> None:
    async with TeacherServer(fault=refusing(step=answer(status, b"no way"))) as server:
        teacher = service(tmp_path / "book", endpoint(server.base_url))
        await teacher.complete(REQUEST)
        with pytest.raises(TeacherError, match=f"HTTP {status}: no way") as caught:
            await teacher.complete(BAD)
        await teacher.aclose()
    assert not isinstance(caught.value, UnusableAnswer)


@pytest.mark.parametrize("body", [FILTER, ENDLESS])
async def test_an_endless_page_of_a_broken_server_is_a_passing_fault(
    tmp_path: Path, body: bytes
) -> None:
    async with TeacherServer(answer(502, body)) as server:
        teacher = service(tmp_path / "book", endpoint(server.base_url))
        assert (await teacher.complete(REQUEST)).retries == 1
        await teacher.aclose()


@pytest.mark.parametrize("step", [answer(400, FILTER), answer(200, ENDLESS)])
async def test_a_first_request_that_is_refused_is_a_wrong_recipe(
    tmp_path: Path, step: Step
) -> None:
    async with TeacherServer(fault=lambda seen: step) as server:
        teacher = service(tmp_path / "book", endpoint(server.base_url))
        many = await outcomes_of(teacher, MANY[:10])
        assert teacher.spent()["discover"].requests == 0
        await teacher.aclose()
    for outcome in many:
        assert isinstance(outcome, TeacherError) and not isinstance(outcome, UnusableAnswer)
        assert outcome.exit_code == 3


async def test_of_requests_sent_together_one_that_is_refused_first_waits_for_the_others(
    tmp_path: Path,
) -> None:
    async with TeacherServer(answer(400, FILTER), delay_s=0.01) as server:
        teacher = service(tmp_path / "book", endpoint(server.base_url))
        first, *others = await outcomes_of(teacher, MANY[:8])
        await teacher.aclose()
    kinds = [type(outcome) for outcome in (first, *others)]
    assert sorted(kind.__name__ for kind in kinds) == ["RefusedQuestion"] + ["TeacherReply"] * 7


async def test_a_resumed_run_may_begin_with_a_question_that_is_refused(tmp_path: Path) -> None:
    async with TeacherServer(fault=refusing()) as server:
        before = service(tmp_path / "book", endpoint(server.base_url))
        await before.complete(REQUEST)
        await before.aclose()
        teacher = service(tmp_path / "book", endpoint(server.base_url))
        with pytest.raises(RefusedQuestion):
            await teacher.complete(BAD)
        await teacher.aclose()
        other = service(tmp_path / "book", endpoint(server.base_url, model="other"))
        with pytest.raises(TeacherError, match="'other' cannot be used"):
            await other.complete(BAD)
        await other.aclose()


async def test_a_refusal_without_any_answer_ends_when_nobody_else_is_waited_for(
    tmp_path: Path,
) -> None:
    steps = {"p0": answer(400, FILTER), "p1": silence}
    fault = lambda seen: steps[seen.body["messages"][-1]["content"]]  # noqa: E731
    async with TeacherServer(fault=fault) as server:
        teacher = service(
            tmp_path / "book", endpoint(server.base_url), timeout_s=0.1, deadline_s=0.3
        )
        async with asyncio.timeout(2):
            outcomes = await outcomes_of(teacher, MANY[:2])
        await teacher.aclose()
    assert [type(outcome) for outcome in outcomes] == [TeacherError] * 2


async def test_a_verdict_waits_only_for_those_on_their_way() -> None:
    verdict = Verdict(proven=False)
    with verdict.on_its_way():
        waiting = asyncio.create_task(verdict.is_proven())
        await asyncio.sleep(0)
        assert not waiting.done()
    assert await waiting is False
    with verdict.on_its_way():
        waiting = asyncio.create_task(verdict.is_proven())
        await asyncio.sleep(0)
        verdict.answered()
        assert await waiting is True
    assert await Verdict(proven=True).is_proven()


async def test_a_flood_of_refusals_is_one_sentence_and_loses_no_question(tmp_path: Path) -> None:
    closed = [True]
    no_credit = answer(400, b"your credit balance is too low")
    fault = refusing(lambda prompt: closed[0] and prompt != "p", no_credit)
    async with TeacherServer(fault=fault) as server:
        teacher = service(tmp_path / "book", endpoint(server.base_url))
        await teacher.complete(REQUEST)
        outcomes = [(await outcomes_of(teacher, [request]))[0] for request in MANY[:40]]
        spent = teacher.spent()["discover"]
        assert (spent.requests, spent.unusable) == (1, 0)
        closed[0] = False
        assert (await teacher.complete(MANY[0])).text == "answer to p0"
        await teacher.aclose()
    data, stops = outcomes[:18], outcomes[18:]
    assert all(isinstance(outcome, RefusedQuestion) for outcome in data)
    for stop in stops:
        assert isinstance(stop, TeacherError) and not isinstance(stop, UnusableAnswer)
        assert "HTTP 400: your credit balance is too low" in str(stop) and "\n" not in str(stop)
    assert "refused 19 of its last 20" in str(stops[0])


async def test_half_of_the_answers_may_be_refusals(tmp_path: Path) -> None:
    every_second = refusing(lambda prompt: prompt != "p" and int(prompt[1:]) % 2 == 1)
    async with TeacherServer(fault=every_second) as server:
        teacher = service(tmp_path / "book", endpoint(server.base_url))
        outcomes = [(await outcomes_of(teacher, [request]))[0] for request in MANY]
        await teacher.aclose()
    kinds = [type(outcome) for outcome in outcomes]
    assert kinds == [TeacherReply, RefusedQuestion] * 100


def test_a_flood_after_many_answers_is_seen_soon_and_a_wave_in_flight_is_none() -> None:
    flood = Flood(in_flight=8)
    for _ in range(10_000):
        flood.saw(refused=False)
    num = 0
    while not flood.is_here:
        flood.saw(refused=True)
        num += 1
    assert num == 51
    wide = Flood(in_flight=64)
    for _ in range(63):  # refusals come back sooner than answers
        wide.saw(refused=True)
    assert not wide.is_here


async def test_an_empty_completion_is_an_answer_and_no_refusal(tmp_path: Path) -> None:
    async with TeacherServer(fault=lambda seen: answer(200, chat(""))) as server:
        teacher = service(tmp_path / "book", endpoint(server.base_url))
        outcomes = [(await outcomes_of(teacher, [request]))[0] for request in MANY[:40]]
        assert teacher.spent()["discover"].unusable == 40
        await teacher.aclose()
    assert {type(outcome) for outcome in outcomes} == {UnusableAnswer}
