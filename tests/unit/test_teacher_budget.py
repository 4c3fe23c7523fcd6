"""Laws of the budget, and of what an answer is said to have cost."""

from __future__ import annotations

import asyncio
import pickle
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tailor_rl.errors import ConfigError, TeacherError
from tailor_rl.protocols import TeacherReply, TeacherRequest, TeacherSpent
from tailor_rl.stages.metered import MeteredTeacher
from tailor_rl.teachers.faults import BudgetSpent, UnusableAnswer
from tests.teacher_server import TeacherServer, answer, chat
from tests.teacher_service_fakes import REQUEST, endpoint, service

MANY = [replace(REQUEST, sample=i) for i in range(40)]
PRICED: dict[str, Any] = {"price_prompt": 1e6, "price_completion": 2e6}  # 7 + 5 tokens: 17 in money


async def test_an_answer_says_what_it_took(tmp_path: Path) -> None:
    async with TeacherServer(answer(500), answer(502), delay_s=0.05) as server:
        teacher = service(tmp_path / "book", endpoint(server.base_url, **PRICED))
        reply = await teacher.complete(REQUEST)
        assert (reply.retries, reply.cost, reply.paid) == (2, 17.0, True)
        assert 0.15 <= reply.seconds < 3
        assert await teacher.complete(REQUEST) == replace(reply, paid=False)
        assert teacher.spent()["discover"] == TeacherSpent(
            1, 7, 5, unusable=0, sent_again=0, retries=2, seconds=reply.seconds, cost=17.0
        )
        await teacher.aclose()


async def test_an_answer_without_a_text_says_what_it_took(tmp_path: Path) -> None:
    async with TeacherServer(answer(500), answer(200, chat(""))) as server:
        teacher = service(tmp_path / "book", endpoint(server.base_url, **PRICED))
        with pytest.raises(UnusableAnswer) as caught:
            await teacher.complete(REQUEST)
        await teacher.aclose()
    reply = caught.value.reply
    assert (reply.retries, reply.cost) == (1, 17.0) and reply.seconds > 0


async def test_waiting_for_a_turn_is_not_counted_as_the_answers_time(tmp_path: Path) -> None:
    async with TeacherServer(delay_s=0.05) as server:
        teacher = service(tmp_path / "book", endpoint(server.base_url), requests_in_flight=1)
        began = time.monotonic()
        replies = await asyncio.gather(*(teacher.complete(request) for request in MANY[:4]))
        took_s = time.monotonic() - began
        await teacher.aclose()
    assert sum(reply.seconds for reply in replies) <= took_s


@pytest.mark.parametrize(
    ("limit", "words"),
    [
        ({"budget_tokens": 120}, r"120 tokens .* teacher\.budget_tokens allows 120"),
        ({"budget_tokens": 115}, r"120 tokens .* teacher\.budget_tokens allows 115"),
        ({"budget_money": 169.5}, r"170 in money .* teacher\.budget_money allows 169\.5"),
    ],
)
async def test_nothing_is_bought_beyond_the_budget_and_what_was_bought_is_given(
    tmp_path: Path, limit: dict[str, float], words: str
) -> None:
    async with TeacherServer() as server:
        teacher = service(tmp_path / "book", endpoint(server.base_url, **PRICED), **limit)
        for request in MANY[:10]:
            await teacher.complete(request)
        with pytest.raises(BudgetSpent, match=words) as caught:
            await teacher.complete(MANY[10])
        assert not (await teacher.complete(MANY[3])).paid
        await teacher.aclose()
    assert len(server.requests) == 10
    assert caught.value.exit_code == 3
    copy = pickle.loads(pickle.dumps(caught.value))
    assert isinstance(copy, BudgetSpent) and str(copy) == str(caught.value)


async def test_a_budget_holds_over_the_life_of_the_book_and_may_be_raised(tmp_path: Path) -> None:
    async with TeacherServer() as server:
        for budget, bought in ((24, 2), (24, 0), (60, 3)):
            teacher = service(tmp_path / "book", endpoint(server.base_url), budget_tokens=budget)
            before = len(server.requests)
            with pytest.raises(BudgetSpent):
                for request in MANY:
                    await teacher.complete(request)
            assert len(server.requests) - before == bought
            await teacher.aclose()


async def test_services_that_share_a_book_share_its_budget_up_to_what_is_in_flight(
    tmp_path: Path,
) -> None:
    async with TeacherServer(delay_s=0.01) as server:
        several = [
            service(
                tmp_path / "book",
                endpoint(server.base_url),
                budget_tokens=240,  # 20 answers
                requests_in_flight=3,
            )
            for _ in range(2)
        ]
        outcomes = await asyncio.gather(
            *(several[i % 2].complete(request) for i, request in enumerate(MANY)),
            return_exceptions=True,
        )
        for one in several:
            await one.aclose()
    kinds = {type(outcome) for outcome in outcomes}
    assert kinds == {TeacherReply, BudgetSpent}
    bought = sum(isinstance(outcome, TeacherReply) for outcome in outcomes)
    assert 20 <= bought == len(server.requests) <= 20 + 6


async def test_a_spent_budget_does_not_promise_that_the_run_goes_on(tmp_path: Path) -> None:
    async with TeacherServer() as server:
        teacher = service(tmp_path / "book", endpoint(server.base_url), budget_tokens=12)
        await teacher.complete(REQUEST)
        with pytest.raises(BudgetSpent, match="is kept, and a larger budget buys more") as caught:
            await teacher.complete(MANY[1])
        await teacher.aclose()
    assert "resume" not in str(caught.value)


async def test_a_budget_in_money_needs_a_price(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"teacher\.budget_money is 5,"):
        service(tmp_path / "book", endpoint("http://h/v1"), budget_money=5.0)


async def test_a_budget_needs_a_teacher_that_counts(tmp_path: Path) -> None:
    uncounted = answer(200, b'{"choices": [{"message": {"content": "hi"}}]}')
    async with TeacherServer(uncounted) as server:
        teacher = service(tmp_path / "book", endpoint(server.base_url), budget_tokens=100)
        with pytest.raises(TeacherError, match="does not say how many tokens"):
            await teacher.complete(REQUEST)
        assert (await teacher.complete(REQUEST)).text == "hi"  # it was paid for and is kept
        await teacher.aclose()


class OneReply:
    """A teacher with one answer."""

    name = "fake"

    def __init__(self, reply: TeacherReply) -> None:
        self._reply = reply

    async def complete(self, request: TeacherRequest) -> TeacherReply:
        if not self._reply.text:
            raise UnusableAnswer("no text", self._reply)
        return self._reply


class Amounts:
    """The one method of a journal that is used."""

    def __init__(self) -> None:
        self.spent: list[tuple[str, dict[str, float]]] = []

    def spend(self, stage: str, amounts: dict[str, float]) -> None:
        self.spent.append((stage, amounts))


@pytest.mark.parametrize("text", ["t", ""])
async def test_the_ledger_gets_what_was_paid_for_now(text: str) -> None:
    reply = TeacherReply(text, "m", "stop", 7, 5, True, retries=2, seconds=1.5, cost=0.25)
    for paid in (True, False):
        amounts = Amounts()
        teacher = MeteredTeacher(OneReply(replace(reply, paid=paid)), amounts)  # type: ignore[arg-type]
        try:
            await teacher.complete(REQUEST)
        except UnusableAnswer:
            assert not text
        expected = {
            "teacher_requests": 1,
            "teacher_tokens": 12,
            "teacher_seconds": 1.5,
            "teacher_retries": 2,
            "teacher_money": 0.25,
        }
        assert amounts.spent == ([("discover", expected)] if paid else [])
